"""CloudEvents 1.0 over Kafka: the three ways in which an upload event may arrive.

Source: CloudEvents specification 1.0.2 and its Kafka protocol binding.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec

from schemas.errors import BadEventError
from schemas.names import check_visible

Headers = Sequence[tuple[str, bytes | None]]
MAX_ATTRIBUTE = 1024
_Attribute = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ATTRIBUTE)]
_REQUIRED = ("ce_id", "ce_source", "ce_type")
_READ = frozenset({"content-type", "ce_specversion", "ce_time", *_REQUIRED})


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds the data of an event.

    Attributes:
        id: The event's id, unique within its source; None for plain JSON.
        source: Who published it; None for plain JSON.
        type: What happened; None where the publisher did not say.
        time: RFC 3339 event time, unparsed; None where absent.
        data: The event's JSON, still encoded.
    """

    data: bytes
    id: str | None = None
    source: str | None = None
    type: str | None = None
    time: str | None = None


class _Structured(msgspec.Struct, frozen=True):
    specversion: str
    id: _Attribute
    source: _Attribute
    type: _Attribute
    time: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"")
    data_base64: str | None = None


def open_envelope(value: bytes, headers: Headers) -> Envelope:
    """Take the data and the CloudEvents attributes out of a Kafka record.

    Args:
        value: The record's value.
        headers: The record's headers, as Kafka delivers them.

    Raises:
        BadEventError: The record claims to be a CloudEvent and is none.
    """
    texts = {name.lower(): _text(name, content) for name, content in headers if name.lower() in _READ}
    if is_structured(texts.get("content-type", "")):
        return _open_structured(value)
    if "ce_specversion" in texts or "ce_id" in texts:
        return _open_binary(value, texts)
    return Envelope(data=value)


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
            message = f"header {name!r} must hold 1 to {MAX_ATTRIBUTE} characters"
            raise BadEventError("invalid_cloudevent", message)
    return _envelope(
        data=value,
        specversion=texts.get("ce_specversion", ""),
        event_id=texts["ce_id"],
        source=texts["ce_source"],
        event_type=texts["ce_type"],
        time=texts.get("ce_time"),
    )


def _envelope(
    *, data: bytes, specversion: str, event_id: str, source: str, event_type: str, time: str | None
) -> Envelope:
    if specversion != "1.0":
        message = f"specversion {specversion[:64]!r}: only '1.0' is understood"
        raise BadEventError("invalid_cloudevent", message)
    check_visible("invalid_cloudevent", "attribute `id`", event_id)
    check_visible("invalid_cloudevent", "attribute `source`", source)
    return Envelope(data=data, id=event_id, source=source, type=event_type, time=time or None)


def event_headers(**attributes: str) -> list[tuple[str, bytes]]:
    """The Kafka headers of an event of ours in binary mode."""
    named = {"specversion": "1.0", **attributes}
    return [
        ("content-type", b"application/json"),
        *((f"ce_{name}", value.encode()) for name, value in named.items()),
    ]
