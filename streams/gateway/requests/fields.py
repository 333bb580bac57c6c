"""Fields of a request, whatever form they came in, and what their texts mean.

Arrays come as `k[]=a&k[]=b`, as `k[0]=a&k[1]=b`, as JSON, or as one text with commas; booleans as `1`, `true`
or a JSON boolean. An empty text means that there is none.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from streams.gateway.requests.problems import BadCallError, shown

MAX_DEPTH = 16  # of JSON
_MOST_EMPTY = 16  # commas of an array by items that it may have
_NAME = re.compile(r"[A-Za-z0-9_.:$-]{1,128}(?:\[[A-Za-z0-9_.:$-]{0,64}\]){0,4}")
_PLACE = re.compile(r"(.+)\[(\d{0,6})\]")
_FLAGS = {"1": True, "true": True, "0": False, "false": False}


@dataclass(frozen=True)
class Field:
    """What was sent under a name.

    Attributes:
        texts: Its text, or those of an array.
        is_array: Whether it came in a form that only arrays have.
        value: What it is in JSON, where it came so.
    """

    texts: tuple[str, ...]
    is_array: bool = False
    value: Any = None


class Fields(Mapping[str, Field]):
    """The fields of one request by name, an array's without brackets."""

    def __init__(self, fields: Mapping[str, Field]) -> None:
        self._fields = dict(fields)

    @classmethod
    def of_pairs(cls, pairs: Iterable[tuple[str, str]]) -> "Fields":
        """Make them of names and texts as a form has them.

        Raises:
            BadCallError: A name is none.
        """
        found: dict[str, list[tuple[int, str]]] = {}
        arrays: set[str] = set()
        for written, text in pairs:
            if not _NAME.fullmatch(written):
                rule = "has characters that no parameter's name has"
                raise BadCallError(f"Field name {shown(written)!r} {rule}; use letters, digits and _")
            match = _PLACE.fullmatch(written)
            name = match[1] if match else written
            texts = found.setdefault(name, [])
            texts.append((int(match[2]) if match and match[2] else len(texts), text))
            if match:
                arrays.add(name)
        return cls({name: Field(_in_order(texts), name in arrays) for name, texts in found.items()})

    @classmethod
    def of_json(cls, content: bytes) -> "Fields":
        """Make them of a JSON object; null is as good as absent.

        Raises:
            BadCallError: It is none.
        """
        try:
            read = msgspec.json.decode(content, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise BadCallError(f"The body is no JSON object: {error}") from None
        _check_depth(read)
        return cls({name: _field_of(value) for name, value in read.items() if value is not None})

    def __getitem__(self, name: str) -> Field:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def over(self, others: "Fields") -> "Fields":
        """Give these fields, and the others where none of these has the name."""
        return Fields({**others._fields, **self._fields})

    def without(self, *names: str) -> "Fields":
        """Give all fields but some."""
        return Fields({name: field for name, field in self._fields.items() if name not in names})

    def told(self) -> "Fields":
        """Give the fields that say something: an empty one is in no signature, so it may change nothing."""
        return Fields({name: field for name, field in self._fields.items() if ",".join(field.texts)})

    def text(self, name: str) -> str | None:
        """Give a field's text; None: there is none, or an empty one.

        Raises:
            BadCallError: There are several.
        """
        return self.given(name) or None

    def given(self, name: str) -> str | None:
        """Give a field's text, also where it is empty; None: there is no such field.

        Raises:
            BadCallError: There are several.
        """
        field = self._fields.get(name)
        if field is None or not field.texts:
            return None
        if len(field.texts) > 1:
            raise BadCallError(f"{name} is given {len(field.texts)} times; give it once")
        return field.texts[0]

    def required(self, name: str) -> str:
        """Give a field's text.

        Raises:
            BadCallError: There is none, or there are several.
        """
        text = self.text(name)
        if text is None:
            raise BadCallError(f"Missing required parameter - {name}")
        return text

    def array(self, name: str, most: int = 1000) -> list[str] | None:
        """Give an array; one text is split at commas, the texts of an array stay whole. None: there is none.

        Raises:
            BadCallError: It has too many items.
        """
        field = self._fields.get(name)
        if field is None:
            return None
        texts: Sequence[str] = field.texts
        if not field.is_array and len(texts) == 1:
            commas = texts[0].count(",")
            if commas > _MOST_EMPTY * most:
                raise BadCallError(
                    f"{name} has {commas} commas; at most {most} items are accepted in one call"
                )
            texts = _json_texts(texts[0]) or texts[0].split(",")
        items = [item for item in (text.strip() for text in texts) if item]
        if len(items) > most:
            raise BadCallError(f"{name} has {len(items)} items; at most {most} are accepted in one call")
        return items

    def flag(self, name: str, default: bool = False) -> bool:  # noqa: FBT001, FBT002 - a default
        """Give a boolean.

        Raises:
            BadCallError: It is none.
        """
        text = self.text(name)
        if text is None:
            return default
        flag = _FLAGS.get(text.lower())
        if flag is None:
            raise BadCallError(f"{name} {shown(text)!r} must be true or false")
        return flag

    def whole_number(self, name: str, least: int, most: int, default: int) -> int:
        """Give a whole number within bounds.

        Raises:
            BadCallError: It is none.
        """
        text = self.text(name)
        if text is None:
            return default
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(most)) else least - 1
        if not least <= number <= most:
            raise BadCallError(f"Invalid value {shown(text)} for parameter {name}: use {least} to {most}")
        return number


def _in_order(texts: list[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(text for _, text in sorted(texts, key=lambda each: each[0]))


def _field_of(value: Any) -> Field:  # noqa: ANN401 - JSON
    if isinstance(value, list):
        return Field(tuple(_text_of(each) for each in value if each is not None), is_array=True, value=value)
    return Field((_text_of(value),), value=value)


def _text_of(value: Any) -> str:  # noqa: ANN401 - JSON
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _json_texts(text: str) -> list[str]:
    if not (text.startswith('["') and text.endswith('"]')):
        return []
    try:
        return msgspec.json.decode(text, type=list[str])
    except (msgspec.MsgspecError, RecursionError):
        return []


def _check_depth(value: Any) -> None:  # noqa: ANN401 - JSON
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        nodes = (node.values() if isinstance(node, dict) else node for node in level)
        level = [child for node in nodes for child in node if isinstance(child, dict | list)]
        if not level:
            return
    raise BadCallError(f"The body's JSON is nested more than {MAX_DEPTH} levels deep")
