"""Upload events: what an application tells about an image.

`UploadData` is the event's JSON as published, `Upload` the same with every question answered:
who, which image, when, and what is asked for.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from schemas.cloudevents import Envelope, Headers, open_envelope
from schemas.errors import BadEventError

MAX_TAGS = 1000  # Cloudinary's limit per image
MAX_EVENT_BYTES = 1_048_576  # Kafka's own default limit of a record

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_Names = Annotated[list[_Name], msgspec.Meta(max_length=MAX_TAGS)]


class UploadType(StrEnum):
    """What happened to the image."""

    UPLOADED = "image.uploaded"
    UPDATED = "image.update"
    DELETED = "image.deleted"


class UploadData(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The JSON of an upload event. Unknown fields are ignored: a compatible change adds one."""

    public_id: Annotated[
        _Name | None, msgspec.Meta(description="Identity of the image; absent: the record's key.")
    ] = None
    url: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_EVENT_BYTES)] | None,
        msgspec.Meta(description="http, https or data URL of the image; image.update may leave it out."),
    ] = None
    event_id: Annotated[_Name | None, msgspec.Meta(description="Idempotency key of a plain JSON event.")] = (
        None
    )
    type: Annotated[
        UploadType | None, msgspec.Meta(description="Of a plain JSON event; absent: image.uploaded.")
    ] = None
    user_id: Annotated[_Name | None, msgspec.Meta(description="Whose upload it is.")] = None
    tenant: Annotated[_Name | None, msgspec.Meta(description="Whose user that is.")] = None
    uploaded_at: Annotated[
        str | None, msgspec.Meta(description="RFC 3339 event time; absent: CloudEvents time, Kafka time.")
    ] = None
    version: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None,
        msgspec.Meta(description="A higher version wins over a late lower one."),
    ] = None
    etag: Annotated[_Name | None, msgspec.Meta(description="Entity tag of the image's bytes.")] = None
    tags: Annotated[_Names | None, msgspec.Meta(description="Tags that the image already has.")] = None
    categorization: Annotated[
        str | _Names | None, msgspec.Meta(description="Add-ons to run, as a list or separated by commas.")
    ] = None
    auto_tagging: Annotated[
        float | str | None,
        msgspec.Meta(description="0..1: tags with a strictly higher confidence are assigned."),
    ] = None
    language: Annotated[str | _Names | None, msgspec.Meta(description="Passed on.")] = None
    notification_url: Annotated[str | None, msgspec.Meta(description="Passed on.")] = None
    context: Annotated[dict[str, Any] | None, msgspec.Meta(description="Passed on.")] = None


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload event with its envelope opened and its defaults filled in.

    Attributes:
        source: Who published it.
        id: With `source` the idempotency key.
        at: Event time, milliseconds since the epoch, UTC.
        add_ons: The add-ons asked for; empty: the configured default.
        auto_tagging: The threshold; None: assign nothing.
    """

    source: str
    id: str
    type: UploadType
    public_id: str
    at: int
    data: UploadData
    add_ons: tuple[str, ...]
    auto_tagging: float | None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A Kafka record, whoever delivered it. `timestamp` is in milliseconds."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def parse_upload(record: Record) -> Upload:
    """Read an upload event in any of its three encodings.

    Raises:
        BadEventError: The record is no upload event; the message names the value and the rule.
    """
    if not record.value:
        raise BadEventError("empty_value", "the record has no value; publish the upload event as JSON")
    if len(record.value) > MAX_EVENT_BYTES:
        raise BadEventError("event_too_large", f"{len(record.value)} bytes; at most {MAX_EVENT_BYTES}")
    envelope = open_envelope(record.value, record.headers)
    data = _decode(envelope.data)
    upload_type = _type_of(envelope, data)
    _check_url(upload_type, data)
    source, event_id = _identity(envelope, data, record)
    return Upload(
        source=source,
        id=event_id,
        type=upload_type,
        public_id=_public_id(data, record.key),
        at=_event_time(data.uploaded_at or envelope.time, record.timestamp),
        data=data,
        add_ons=_add_ons(data.categorization),
        auto_tagging=_threshold(data.auto_tagging),
    )


def _decode(data: bytes) -> UploadData:
    try:
        return msgspec.json.decode(data, type=UploadData)
    except msgspec.ValidationError as error:
        raise BadEventError("invalid_event", f"not an upload event: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadEventError("invalid_json", f"the event is not JSON: {error}") from error


def _type_of(envelope: Envelope, data: UploadData) -> UploadType:
    if envelope.type is None:
        return data.type or UploadType.UPLOADED
    try:
        return UploadType(envelope.type)
    except ValueError:
        known = ", ".join(UploadType)
        raise BadEventError("unknown_type", f"event type {envelope.type!r}; known are {known}") from None


def _check_url(upload_type: UploadType, data: UploadData) -> None:
    if upload_type is UploadType.UPLOADED and data.url is None:
        raise BadEventError("invalid_event", "field `url` is missing: an image.uploaded event needs it")


def _identity(envelope: Envelope, data: UploadData, record: Record) -> tuple[str, str]:
    if envelope.source is not None and envelope.id is not None:
        return envelope.source, envelope.id
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return f"kafka:{record.topic}", data.event_id or place


def _public_id(data: UploadData, key: bytes | None) -> str:
    if data.public_id is not None:
        return data.public_id
    try:
        name = (key or b"").decode()
    except UnicodeDecodeError:
        name = ""
    if not 1 <= len(name) <= 255:  # noqa: PLR2004 - the limit of _Name
        rule = "give 1 to 255 characters in `public_id` or in the record's key"
        raise BadEventError("invalid_event", f"field `public_id` is missing; {rule}")
    return name


def _event_time(text: str | None, kafka_timestamp: int) -> int:
    if text is None:
        return kafka_timestamp
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return int(moment.timestamp() * 1000)
    except (ValueError, OverflowError):
        message = f"event time {text[:64]!r} is not RFC 3339, such as 2026-01-31T12:00:00Z"
        raise BadEventError("invalid_event", message) from None


def _add_ons(value: str | list[str] | None) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value or []
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _threshold(value: float | str | None) -> float | None:
    if value is None or value == "":
        return None
    try:
        threshold = float(value)
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        message = f"auto_tagging {str(value)[:64]!r} must be a number from 0 to 1"
        raise BadEventError("invalid_auto_tagging", message)
    return threshold
