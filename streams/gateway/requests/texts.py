"""Texts of options: tags, context, names of assets; what is wrong with one is said with its cure."""

import re
from collections.abc import Iterable, Mapping

from schemas.errors import BadEventError
from schemas.names import MAX_NAME, check_visible
from streams.gateway.requests.fields import Field, Fields
from streams.gateway.requests.problems import BadCallError, shown

MAX_TAGS = 1000
MAX_CONTEXT_PAIRS = 1000
MAX_CONTEXT_BYTES = 32_768
_MAX_CONTEXT_TEXT = 2 * MAX_CONTEXT_BYTES + 2 * MAX_CONTEXT_PAIRS  # each character may be escaped
MAX_PUBLIC_ID = 230  # the key of a raw asset's row has some characters more
_FORBIDDEN = re.compile(r"[?#\\%<>\x00-\x1f\x7f-\x9f]")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_PAIRS = re.compile(r"((?:\\.|[^|\\]|\\\Z)*)(?:\||\Z)", re.DOTALL)  # fits at any place: else it is quadratic
_KEY = re.compile(r"((?:\\.|[^=\\])*)=", re.DOTALL)


def tags_of(fields: Fields, name: str = "tags") -> list[str] | None:
    """Give tags, each once, in their order; None: it is absent or empty. An empty array is none.

    Raises:
        BadCallError: There are too many, or one is too long.
    """
    items = fields.array(name, most=MAX_TAGS)
    return None if items is None or _is_empty(fields[name]) else checked_tags(items)


def checked_tags(items: Iterable[str]) -> list[str]:
    """Give tags, each once.

    Raises:
        BadCallError: One is too long, or not visible.
    """
    tags = list(dict.fromkeys(items))
    for tag in tags:
        if len(tag) > MAX_NAME:
            raise BadCallError(
                f"Tag {shown(tag)!r} has {len(tag)} characters; at most {MAX_NAME} are accepted"
            )
        _check_visible("Tag", tag)
    return tags


def context_of(fields: Fields, name: str = "context") -> dict[str, str] | None:
    """Give a context: names and values; None: the field is absent or an empty text.

    Raises:
        BadCallError: It is no list of pairs, or it is too large.
    """
    field = fields.get(name)
    if field is None or _is_empty(field):
        return None
    if isinstance(field.value, Mapping):
        custom = field.value.get("custom")
        given = custom if isinstance(custom, Mapping) else field.value
        context = {str(key): _json_text(value) for key, value in given.items()}
    else:
        written = fields.given(name) or ""
        if len(written) > _MAX_CONTEXT_TEXT:
            raise BadCallError(
                f"{name} has {len(written)} characters; at most {_MAX_CONTEXT_TEXT} are accepted"
            )
        context = dict(_pair(text, name) for text in _split(written))
    _check_context(context, name)
    return context


def public_id_of(text: str, what: str = "public_id") -> str:
    """Give an asset's name.

    Raises:
        BadCallError: It cannot be one.
    """
    segments = text.split("/")
    if len(text) > MAX_PUBLIC_ID:
        raise BadCallError(f"{what} ({shown(text)}) is invalid: it has more than {MAX_PUBLIC_ID} characters")
    if not text.strip() or _FORBIDDEN.search(text) or text != text.strip():
        rule = "it must not begin or end with a blank, nor hold any of ? # \\ % < > or a control character"
        raise BadCallError(f"{what} ({shown(text)}) is invalid: {rule}")
    if any(segment.strip(" .") == "" for segment in segments):
        raise BadCallError(
            f"{what} ({shown(text)}) is invalid: no part between slashes may be empty or only dots"
        )
    return text


def folder_of(fields: Fields, name: str) -> str | None:
    """Give a folder without slashes around it; None: the field is absent or empty.

    Raises:
        BadCallError: It cannot be one.
    """
    text = (fields.text(name) or "").strip("/")
    return public_id_of(text, name) if text else None


def label_of(fields: Fields, name: str) -> str | None:
    """Give a text that people read; None: the field is absent or empty.

    Raises:
        BadCallError: It is too long, or not visible.
    """
    text = fields.text(name)
    if text is None:
        return None
    if len(text) > MAX_NAME:
        raise BadCallError(f"{name} {shown(text)!r} has more than {MAX_NAME} characters")
    _check_visible(name, text)
    return text


def number_from_0_to_1(name: str, text: str) -> float:
    """Give a confidence.

    Raises:
        BadCallError: It is none.
    """
    try:
        number = float(text) if text.isascii() and "_" not in text and len(text) <= 32 else -1.0  # noqa: PLR2004
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise BadCallError(f"Invalid value {shown(text)} for parameter {name}: use a number from 0 to 1")
    return number


def url_of(fields: Fields, name: str) -> str | None:
    """Give a web address; None: the field is absent or empty.

    Raises:
        BadCallError: It is none.
    """
    text = fields.text(name)
    if text is not None and not re.fullmatch(r"https?://[^\s\x00-\x20]{1,2040}", text):
        raise BadCallError(f"{name} {shown(text)!r} is no address; it must begin with http:// or https://")
    return text


def _is_empty(field: Field) -> bool:
    return not field.is_array and field.value in (None, "") and not any(field.texts)


def _split(text: str) -> list[str]:
    return [part for part in (match[1] for match in _PAIRS.finditer(text)) if part.strip()]


def _pair(text: str, name: str) -> tuple[str, str]:
    match = _KEY.match(text)
    if match is None or not match[1].strip():
        raise BadCallError(f"{name} {shown(text)!r} is no key=value; write pairs as key=value|key=value")
    return _ESCAPED.sub(r"\1", match[1]).strip(), _ESCAPED.sub(r"\1", text[match.end() :])


def _json_text(value: object) -> str:
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _check_context(context: Mapping[str, str], name: str) -> None:
    for key in context:
        if len(key) > MAX_NAME:
            raise BadCallError(f"{name} key {shown(key)!r} has more than {MAX_NAME} characters")
        _check_visible(f"{name} key", key)
    if len(context) > MAX_CONTEXT_PAIRS:
        raise BadCallError(f"{name} has {len(context)} pairs; at most {MAX_CONTEXT_PAIRS} are accepted")
    size = sum(len(key.encode()) + len(value.encode()) for key, value in context.items())
    if size > MAX_CONTEXT_BYTES:
        raise BadCallError(f"{name} has {size} bytes; at most {MAX_CONTEXT_BYTES} are accepted")


def _check_visible(what: str, text: str) -> None:
    try:
        check_visible("", what, text)
    except BadEventError as error:
        raise BadCallError(str(error)) from None
