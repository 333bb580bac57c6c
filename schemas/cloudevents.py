"""CloudEvents 1.0 over Kafka: the three ways in which an upload event may arrive.

Source: CloudEvents specification 1.0.2 and its Kafka protocol binding.
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec

from schemas.errors import BadEventError
from schemas.names import check_visible

Headers = Sequence[tuple[str, bytes | None]]
MAX_ATTRIBUTE = 1024
_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ATTRIBUTE)]
_REQUIRED = ("id", "source", "type")
_HEADER = re.compile(r"(ce|cloudevents?)([^a-z0-9]+)(specversion|id|source|type|time|subject)")
_PREFIXES = frozenset({"ce_", "ce-", "cloudevents_", "cloudevents:"})  # of Kafka, HTTP, AMQP
_MARK = b'"specversion"'


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds the data of an event.

    Attributes:
        id: The event's id, unique within its source; None for plain JSON.
        source: Who published it; None for plain JSON.
        type: What happened; None where the publisher did not say.
        time: RFC 3339 event time, unparsed; None where absent.
        subject: What the event is about, in its source's words; None where absent.
        data: The event's JSON, still encoded.
    """

    data: bytes
    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None
    subject: str | None = None


class _Structured(msgspec.Struct, frozen=True):
    specversion: str
    id: _Attribute
    source: _Attribute
    type: _Attribute
    time: str | None = None
    subject: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None


def open_envelope(value: bytes, headers: Headers) -> Envelope:
    """Take the data and the CloudEvents attributes out of a Kafka record.

    What says that it is a CloudEvent is read as one, whatever its `content-type`: its `type` may delete.

    Args:
        value: The record's value.
        headers: The record's headers, as Kafka delivers them.

    Raises:
        BadEventError: The record claims to be a CloudEvent and is none.
    """
    content_type, texts = _read(headers)
    if is_structured(content_type):
        _check_format(content_type)
        return _open_structured(value)
    inner = _Marks() if _MARK not in value else _marks(value)
    if texts.keys() - {"time", "subject"}:
        if inner.specversion is None:
            return _open_binary(value, texts)
        _check_same(inner, texts)
    return Envelope(data=value) if inner.specversion is None else _open_structured(value)


class _Marks(msgspec.Struct, frozen=True):
    """What tells a CloudEvent in structured mode, where no `content-type` does."""

    specversion: Any = None
    id: Any = None
    source: Any = None
    type: Any = None


def _marks(value: bytes) -> _Marks:
    try:
        return msgspec.json.decode(value, type=_Marks)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):  # no object: told by who reads it
        return _Marks()


def _check_same(inner: _Marks, texts: Mapping[str, str]) -> None:
    """Refuse a record whose headers and value are different CloudEvents."""
    for name in _REQUIRED:
        if texts.get(name) != getattr(inner, name):
            told, held = str(texts.get(name)), str(getattr(inner, name))
            message = f"the headers say `{name}` {told[:64]!r}, the value is a CloudEvent with {held[:64]!r}"
            raise BadEventError("invalid_cloudevent", f"{message}; send either binary or structured mode")


def _read(headers: Headers) -> tuple[str, dict[str, str]]:
    """The `content-type`, and the attributes that headers tell, by their names."""
    content_type, texts, given = "", dict[str, str](), dict[str, str]()
    for name, content in headers:
        lowered = name.lower()
        if lowered == "content-type":
            content_type = _text(name, content)
        elif found := _HEADER.fullmatch(lowered):
            attribute, text = found[3], _text(name, content)
            if found[1] + found[2] not in _PREFIXES:
                rule = f"CloudEvents' headers are called `ce_{attribute}`"
                raise BadEventError("invalid_cloudevent", f"header {name[:64]!r} is not understood; {rule}")
            if given.setdefault(attribute, lowered) != lowered and texts[attribute] != text:
                message = f"headers {given[attribute]!r} and {name!r} differ; send one of them"
                raise BadEventError("invalid_cloudevent", message)
            texts[attribute] = text
    return content_type, texts


def _check_format(content_type: str) -> None:
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {"application/cloudevents", "application/cloudevents+json"}:
        rule = "only application/cloudevents+json, one event per record, is understood"
        raise BadEventError("invalid_cloudevent", f"content-type {kind[:64]!r}: {rule}")


def is_structured(content_type: str) -> bool:
    """Whether the value of a record of this `content-type` is a whole CloudEvent."""
    return content_type.strip().lower().startswith("application/cloudevents")


def _text(name: str, content: bytes | None) -> str:
    try:
        return (content or b"").decode()
    except UnicodeDecodeError as error:
        raise BadEventError("invalid_cloudevent", f"header {name!r} is not UTF-8: {error}") from error


def _open_structured(value: bytes) -> Envelope:
    try:
        event = msgspec.json.decode(value, type=_Structured)
    except msgspec.ValidationError as error:
        raise BadEventError("invalid_cloudevent", f"not a CloudEvent in structured mode: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEventError("invalid_json", f"the value is not JSON: {error}") from error
    return _envelope(
        data=_structured_data(event),
        specversion=event.specversion,
        event_id=event.id,
        source=event.source,
        event_type=event.type,
        time=event.time,
        subject=event.subject,
    )


def _structured_data(event: _Structured) -> bytes:
    plain = bytes(event.data)
    if event.data_base64 is None:
        if not plain:
            raise BadEventError("invalid_cloudevent", "neither `data` nor `data_base64` is there; give one")
        return plain
    if plain not in (b"", b"null"):
        raise BadEventError("invalid_cloudevent", "both `data` and `data_base64` are there; give one")
    try:
        return base64.b64decode(event.data_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadEventError("invalid_cloudevent", f"`data_base64` is not base64: {error}") from error


def _open_binary(value: bytes, texts: Mapping[str, str]) -> Envelope:
    for name in _REQUIRED:
        if not 1 <= len(texts.get(name, "")) <= MAX_ATTRIBUTE:
            message = f"header 'ce_{name}' must hold 1 to {MAX_ATTRIBUTE} characters"
            raise BadEventError("invalid_cloudevent", message)
    return _envelope(
        data=value,
        specversion=texts.get("specversion", ""),
        event_id=texts["id"],
        source=texts["source"],
        event_type=texts["type"],
        time=texts.get("time"),
        subject=texts.get("subject"),
    )


def _envelope(
    *,
    data: bytes,
    specversion: str,
    event_id: str,
    source: str,
    event_type: str,
    time: str | None,
    subject: str | None,
) -> Envelope:
    if specversion != "1.0":
        message = f"specversion {specversion[:64]!r}: only '1.0' is understood"
        raise BadEventError("invalid_cloudevent", message)
    check_visible("invalid_cloudevent", "attribute `id`", event_id)
    check_visible("invalid_cloudevent", "attribute `source`", source)
    return Envelope(
        data=data, id=event_id, source=source, type=event_type, time=time or None, subject=subject or None
    )


def event_headers(**attributes: str) -> list[tuple[str, bytes]]:
    """The Kafka headers of an event of ours in binary mode."""
    named = {"specversion": "1.0", **attributes}
    return [
        ("content-type", b"application/json"),
        *((f"ce_{name}", value.encode()) for name, value in named.items()),
    ]
