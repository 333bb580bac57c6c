"""Upload events: what an application tells about an image.

`UploadData` is the event's JSON as published, `Upload` the same with every question answered:
who, which image, when, and what is asked for.
"""

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec

from schemas.assets import MAX_ASSET_BYTES, Asset
from schemas.cloudevents import Envelope, Headers, open_envelope
from schemas.errors import BadEventError
from schemas.names import MAX_NAME, Name, check_visible
from schemas.origins import Origin, TopicPartitionOffset, read_origin, routed_from, untranslated
from schemas.plain import lookalikes
from schemas.plain.leniency import as_meant
from schemas.tracing import TraceContext, read_context

MAX_TAGS = 1000  # Cloudinary's limit per image
MAX_EVENT_BYTES = 1_048_576  # Kafka's own default limit of a record
MAX_PASSED_ON_BYTES = 262_144  # all but the URL: results repeat tags up to three times in one record
MAX_BESIDES_BYTES = 262_144  # key and headers of a record
MAX_LANGUAGES = 50
MAX_LANGUAGE = 35  # characters of a language's code, as RFC 5646 advises
MAX_CONTEXT_DEPTH = 32  # encoders give up somewhere past 200
MAX_CONTEXT_VALUES = 20_000
MAX_NUMBER = 32  # characters of a number given as a string

MAX_AHEAD_MS = 3_600_000  # of an event time; whatever came in that time would be older, and change nothing
MAX_AHEAD_OF_US_MS = 86_400_000  # of a Kafka timestamp: it may be our clock that is behind, by hours

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_YEAR_10000_MS = 253_402_300_800_000
_INT64 = range(-(2**63), 2**64)  # what JSON encoders can write
_AROUND_URLS = "".join(map(chr, range(33)))  # as the URL standard has it
_WITHIN_URLS = dict.fromkeys(map(ord, "\t\n\r"))
_CONTAINERS = {dict, list}
_PERCENT = 100
_SMALL = 65_536  # bytes of an event whose context, whatever it is, is decoded in no time
_Texts = Annotated[list[Annotated[str, msgspec.Meta(max_length=MAX_NAME)]], msgspec.Meta(max_length=MAX_TAGS)]


class UploadType(StrEnum):
    """What happened to the image."""

    UPLOADED = "image.uploaded"
    UPDATED = "image.update"
    DELETED = "image.deleted"
    EDITED = "image.tags-edited"
    RETAGGED = "image.retag"
    FORGOTTEN = "user.forgotten"


class UploadData(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What an application tells about an image: a plain JSON event, or the data of a CloudEvent.

    Unknown fields are ignored: a compatible change adds one.
    """

    public_id: Annotated[
        Name | None, msgspec.Meta(description="Identity of the image; absent: the record's key.")
    ] = None
    url: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_EVENT_BYTES)] | None,
        msgspec.Meta(
            description="http, https or data URL of the image, or one in a folder or bucket that the "
            "operator named. An image.uploaded event needs it; "
            "an image.update without it uses the last known one."
        ),
    ] = None
    event_id: Annotated[
        Name | None,
        msgspec.Meta(
            description="Idempotency key of a plain JSON event; absent: its place in the topic. "
            "A CloudEvent has its `source` and `id` instead."
        ),
    ] = None
    type: Annotated[
        Annotated[str, msgspec.Meta(extra_json_schema={"enum": [str(kind) for kind in UploadType]})] | None,
        msgspec.Meta(
            description="What happened, for a plain JSON event; absent: image.uploaded. "
            "A CloudEvent says it in its own `type`."
        ),
    ] = None
    user_id: Annotated[Name | None, msgspec.Meta(description="Whose upload it is.")] = None
    tenant: Annotated[Name | None, msgspec.Meta(description="Whose user that is.")] = None
    uploaded_at: Annotated[
        Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})] | None,
        msgspec.Meta(
            description="Event time, RFC 3339, 1970 to 9999; without an offset: UTC. "
            "Absent: the CloudEvent's `time`, else Kafka's timestamp. "
            "At most an hour ahead of Kafka's timestamp, and a day of the worker's clock."
        ),
    ] = None
    version: Annotated[
        Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None,
        msgspec.Meta(description="A higher version wins over a late lower one."),
    ] = None
    sequencer: Annotated[
        Annotated[str, msgspec.Meta(pattern="^[0-9A-Fa-f]{1,64}$")] | None,
        msgspec.Meta(
            description="What an object store counts an object's changes by, hexadecimal: in the place of a "
            "`version`, and above any."
        ),
    ] = None
    etag: Annotated[Name | None, msgspec.Meta(description="Entity tag of the image's bytes.")] = None
    tags: Annotated[
        _Texts | None,
        msgspec.Meta(description="Tags that the image already has; blank ones and repeats are dropped."),
    ] = None
    categorization: Annotated[
        str | _Texts | None,
        msgspec.Meta(
            description="Add-ons to run, as a list or separated by commas; absent: the worker's default. "
            "An empty list: none, the image is not even fetched, and what an update finds said stays."
        ),
    ] = None
    auto_tagging: Annotated[
        Annotated[float, msgspec.Meta(extra_json_schema={"minimum": 0, "maximum": 1})]
        | Annotated[str, msgspec.Meta(max_length=MAX_NUMBER)]
        | None,
        msgspec.Meta(
            description="A number from 0 to 1, or that as a string: tags with a strictly higher confidence "
            "are assigned. Absent or empty: the worker's default."
        ),
    ] = None
    added: Annotated[
        _Texts | None,
        msgspec.Meta(description="image.tags-edited: tags that a person gave the image."),
    ] = None
    removed: Annotated[
        _Texts | None,
        msgspec.Meta(description="image.tags-edited: tags that a person took away, or does not want on it."),
    ] = None
    by: Annotated[
        Name | None,
        msgspec.Meta(description="image.tags-edited and user.forgotten: who says so; absent: `user_id`."),
    ] = None
    keep_edits: Annotated[
        bool | None,
        msgspec.Meta(
            description="false: what people edited before this upload is forgotten, such as where another "
            "photo takes the image's place. Absent or true: people's edits outlast uploads."
        ),
    ] = None
    retag: Annotated[
        Literal["rules", "model", "image"] | None,
        msgspec.Meta(
            description="image.retag: `rules` (or absent) applies the present rules to what taggers said "
            "before; `model` looks at the image anew, unless the present models have; `image` in any case."
        ),
    ] = None
    language: Annotated[
        str | _Texts | None,
        msgspec.Meta(
            description="Languages, as a list or separated by commas, such as `de,pt-BR`: the result names "
            f"tags in them as well. At most {MAX_LANGUAGES}, each of at most {MAX_LANGUAGE} characters. "
            "Counted and assigned are the English tags. Passed on."
        ),
    ] = None
    notification_url: Annotated[str | None, msgspec.Meta(description="Passed on.")] = None
    context: Annotated[
        dict[str, Any] | None,
        msgspec.Meta(
            description=f"Passed on. At most {MAX_CONTEXT_VALUES} values, {MAX_CONTEXT_DEPTH} levels deep, "
            "integers of 64 bits."
        ),
    ] = None
    asset: Annotated[
        Asset | None,
        msgspec.Meta(
            description="What is known of the bytes behind `url`, kept with the image and passed on: at most "
            f"{MAX_ASSET_BYTES} bytes of JSON. An image.update without it, and of the same bytes, "
            "leaves the last one."
        ),
    ] = None


Version = int | str
"""A version, or a sequencer without the zeros that it begins with."""


def rank_of(version: Version) -> tuple[bool, int, str]:
    """What versions are compared by: a sequencer is above any version, and a longer one above a shorter."""
    is_sequencer = isinstance(version, str)
    return is_sequencer, len(version) if isinstance(version, str) else version, str(version) * is_sequencer


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload event with its envelope opened and its defaults filled in.

    Attributes:
        source: Who published it.
        id: With `source` the idempotency key.
        at: Event time, milliseconds since the epoch, UTC.
        add_ons: The add-ons asked for; empty: the configured default, unless none is asked for.
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

    @property
    def version(self) -> Version | None:
        """What late events of its image are told by; None: its event has neither version nor sequencer."""
        if self.data.sequencer is not None:
            return self.data.sequencer.lower().lstrip("0") or "0"
        return self.data.version

    @property
    def asks_for_no_add_on(self) -> bool:
        """Whether it says that nothing is to look at the image; saying nothing asks for the default."""
        return self.data.categorization == []


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A Kafka record, whoever delivered it. `timestamp` is in milliseconds.

    Attributes:
        trace: What comes of it belongs to, where its headers do not say that: a span of ours.
        skipped: How many records right before it were deleted before we had read them.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    trace: TraceContext | None = None
    skipped: int = 0

    @property
    def is_tombstone(self) -> bool:
        """Whether it has a key and no value, as other programs mark in compacted topics what is gone."""
        return self.value is None

    @property
    def place(self) -> TopicPartitionOffset:
        """Where it was published: here, unless it was routed to the partition of its image."""
        return routed_from(self.headers) or TopicPartitionOffset(self.topic, self.partition, self.offset)

    @property
    def trace_context(self) -> TraceContext:
        """The trace and the baggage that all that comes of it carries."""
        if self.trace is not None:
            return self.trace
        small = self.value if len(self.value or b"") <= MAX_EVENT_BYTES else None
        return read_context(self.headers, small)

    @property
    def bytes_besides(self) -> int:
        """The most bytes that key and headers take in a batch; a header's two lengths take up to ten."""
        names = sum(10 + len(name.encode(errors="replace")) for name, _ in self.headers)
        return len(self.key or b"") + names + sum(len(text or b"") for _, text in self.headers)


def parse_upload(record: Record, now: int | None = None) -> Upload:
    """Read an upload event in any of its three encodings.

    Args:
        record: What was published.
        now: Our clock, milliseconds; None: event times are held against Kafka's timestamp alone.

    Raises:
        BadEventError: The record is no upload event; the message names the value and the rule.
    """
    if fault := untranslated(record.headers):
        raise BadEventError(*fault)
    if not record.value:
        raise BadEventError("empty_value", "the record has no value; publish the upload event as JSON")
    if len(record.value) > MAX_EVENT_BYTES:
        raise BadEventError("event_too_large", f"{len(record.value)} bytes; at most {MAX_EVENT_BYTES}")
    if (besides := record.bytes_besides) > MAX_BESIDES_BYTES:
        message = f"{besides} bytes of key and headers; at most {MAX_BESIDES_BYTES}"
        raise BadEventError("event_too_large", message)
    envelope = open_envelope(record.value, record.headers)
    _check_context_as_written(envelope.data)
    data = _decode(envelope.data)
    _check_no_envelope(envelope, data)
    data.tags, data.added, data.removed = (_tags(tags) for tags in (data.tags, data.added, data.removed))
    _check_passed_on(data)
    data.url = None if data.url is None else trimmed_url(data.url)
    upload_type = _type_of(envelope, data)
    _check_url(upload_type, data)
    _check_edit(upload_type, data)
    if upload_type is UploadType.FORGOTTEN and data.user_id is None:
        raise BadEventError("invalid_event", "field `user_id` is missing: a user.forgotten event needs it")
    origin = _origin(record)
    source, event_id = _identity(envelope, data, origin.place)
    return Upload(
        source=source,
        id=event_id,
        type=upload_type,
        public_id="" if upload_type is UploadType.FORGOTTEN else _public_id(data, record.key),
        at=_event_time(data.uploaded_at or envelope.time, origin.at, record.timestamp, now),
        data=data,
        add_ons=_add_ons(data.categorization),
        auto_tagging=_threshold(data.auto_tagging),
    )


class _AsWritten(msgspec.Struct):
    context: msgspec.Raw = msgspec.Raw(b"")


def _check_context_as_written(data: bytes) -> None:
    """Refuse a context that is too large before an object is made of each of its values."""
    if len(data) <= _SMALL:
        return
    try:
        context = bytes(msgspec.json.decode(data, type=_AsWritten).context)
    except msgspec.ValidationError:
        return  # told once all of it is decoded
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error, data) from error
    if len(context) > MAX_PASSED_ON_BYTES:
        message = f"{len(context)} bytes in `context`; at most {MAX_PASSED_ON_BYTES}"
        raise BadEventError("event_too_large", message)
    if context.count(b"[") + context.count(b"{") > MAX_CONTEXT_VALUES:
        raise _too_many_values()


def _too_many_values() -> BadEventError:
    message = f"field `context` holds more than {MAX_CONTEXT_VALUES} values; pass on less"
    return BadEventError("event_too_large", message)


def _decode(data: bytes) -> UploadData:
    try:
        return msgspec.json.decode(data, type=UploadData)
    except msgspec.ValidationError as error:
        fault = error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _no_json(error, data) from error
    try:
        return msgspec.convert(as_meant(data, UploadData), UploadData)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_event(fault, data) from fault


def _no_event(error: msgspec.ValidationError, data: bytes) -> BadEventError:
    about = str(error).rpartition("`$.")[2].rstrip("`")
    code = "invalid_auto_tagging" if about == "auto_tagging" else "invalid_event"
    known = lookalikes.of_json(data)
    if known is None and about == "uploaded_at":
        known = lookalikes.of_time_in(data, about)
    return BadEventError(code, f"not an upload event: {error}" + (f": {known}" if known else ""))


def _no_json(error: Exception, data: bytes) -> BadEventError:
    known = lookalikes.of_bytes(data)
    return BadEventError("invalid_json", f"the event is not JSON: {known or error}")


def _check_no_envelope(envelope: Envelope, data: UploadData) -> None:
    """Refuse what names no image itself, and holds something that may: nothing is guessed by the key."""
    if data.public_id is not None or data.url is not None:
        return
    fields = msgspec.json.decode(envelope.data)
    if known := lookalikes.of_object(fields):
        raise BadEventError("invalid_event", f"not an upload event: {known}")
    if (name := lookalikes.wraps(fields)) is not None:
        rule = "the event's fields are at the top of its JSON"
        cure = "publish what is inside, or say in TAGSTREAM_SOURCES how the topic is read"
        raise BadEventError("invalid_event", f"field `{name[:64]}` holds an object: {rule}; {cure}")


def _tags(tags: list[str] | None) -> list[str] | None:
    if tags is None:
        return None
    names = _distinct(tags)
    for name in names:
        check_visible("invalid_event", "tag", name)
    return list(names)


def _distinct(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _check_passed_on(data: UploadData) -> None:
    """Refuse what could be read, but not written into a result."""
    for field in ("public_id", "event_id", "user_id", "tenant", "etag", "by"):
        name = getattr(data, field)
        if name is not None:
            check_visible("invalid_event", f"field `{field}`", name)
    if data.context is not None:
        _check_context(data.context)
    if data.asset is not None:
        _check_asset(data.asset)
    _check_languages(data.language)
    size = len(msgspec.json.encode(data)) - len((data.url or "").encode())
    if size > MAX_PASSED_ON_BYTES:
        message = f"{size} bytes besides the url; at most {MAX_PASSED_ON_BYTES}"
        raise BadEventError("event_too_large", message)


def _check_asset(asset: Asset) -> None:
    for field in ("public_id", "type", "format", "etag", "api_key", "renamed_from", "renamed_to"):
        name = getattr(asset, field)
        if name is not None:
            check_visible("invalid_event", f"field `asset.{field}`", name)
    size = len(msgspec.json.encode(asset))
    if size > MAX_ASSET_BYTES:
        raise BadEventError("event_too_large", f"{size} bytes in `asset`; at most {MAX_ASSET_BYTES}")


def _check_languages(language: str | list[str] | None) -> None:
    number = language.count(",") + 1 if isinstance(language, str) else len(language or [])
    if number > MAX_LANGUAGES:
        raise BadEventError("invalid_event", f"{number} languages in `language`; at most {MAX_LANGUAGES}")
    codes = language.split(",") if isinstance(language, str) else language or []
    for code in codes:
        if len(code.strip()) > MAX_LANGUAGE:
            rule = f"has more than {MAX_LANGUAGE} characters"
            raise BadEventError("invalid_event", f"language {code.strip()[:64]!r} in `language` {rule}")


def _check_context(context: dict[str, Any]) -> None:
    level: list[Any] = [context]
    number = 0
    for _ in range(MAX_CONTEXT_DEPTH):
        values = list(itertools.chain.from_iterable(map(_children, level)))
        number += len(values)
        if number > MAX_CONTEXT_VALUES:
            raise _too_many_values()
        if any(value not in _INT64 for value in values if type(value) is int):
            raise BadEventError("invalid_event", "field `context` holds an integer of more than 64 bits")
        level = [value for value in values if type(value) in _CONTAINERS]
    if level:
        message = f"field `context` is nested more than {MAX_CONTEXT_DEPTH} levels deep"
        raise BadEventError("invalid_event", message)


def _children(node: Any) -> Iterable[Any]:  # noqa: ANN401 - an object or a list of JSON
    return node.values() if type(node) is dict else node


def _type_of(envelope: Envelope, data: UploadData) -> UploadType:
    name = data.type if envelope.type is None else envelope.type
    if name is None:
        return UploadType.UPLOADED
    try:
        return UploadType(name)
    except ValueError:
        known = ", ".join(UploadType)
        raise BadEventError("unknown_type", f"event type {name[:64]!r}; known are {known}") from None


def trimmed_url(url: str) -> str:
    """A URL without what browsers take off: white space around it, and line breaks and tabs within.

    Those within a data URL are left to who decodes it.
    """
    bare = url.strip(_AROUND_URLS)
    return bare if bare[:5].lower() == "data:" else bare.translate(_WITHIN_URLS)


def _check_url(upload_type: UploadType, data: UploadData) -> None:
    if data.url == "":
        raise BadEventError("invalid_event", "field `url` is blank; give the image's URL")
    if upload_type is UploadType.UPLOADED and data.url is None:
        raise BadEventError("invalid_event", "field `url` is missing: an image.uploaded event needs it")


def _check_edit(upload_type: UploadType, data: UploadData) -> None:
    if upload_type is not UploadType.EDITED:
        return
    added, removed = data.added or [], data.removed or []
    if not added and not removed:
        rule = "an image.tags-edited event names tags in `added`, in `removed`, or in both"
        raise BadEventError("invalid_event", f"fields `added` and `removed` name no tag: {rule}")
    gone = set(removed)
    both = [tag for tag in added if tag in gone]
    if both:
        message = f"tag {both[0][:64]!r} is in `added` and in `removed`: leave it out of one of them"
        raise BadEventError("invalid_event", message)


def _origin(record: Record) -> Origin:
    """Where and when the event was published first: a replay is the event that it replays."""
    return read_origin(record.headers) or Origin(record.place, record.timestamp)


def _identity(envelope: Envelope, data: UploadData, place: TopicPartitionOffset) -> tuple[str, str]:
    if envelope.source is not None and envelope.id is not None:
        return envelope.source, envelope.id
    return f"kafka:{place.topic}", data.event_id or str(place)


def _public_id(data: UploadData, key: bytes | None) -> str:
    if data.public_id is not None:
        return data.public_id
    rule = f"give 1 to {MAX_NAME} characters in `public_id` or in the record's key"
    try:
        name = (key or b"").decode()
    except UnicodeDecodeError:
        message = f"field `public_id` is missing and the record's key is not UTF-8; {rule}"
        raise BadEventError("invalid_event", message) from None
    if not 1 <= len(name) <= MAX_NAME:
        raise BadEventError("invalid_event", f"field `public_id` is missing; {rule}")
    check_visible("invalid_event", "the record's key, in place of `public_id`,", name)
    return name


def _event_time(text: str | None, published_at: int, kafka_timestamp: int, now: int | None) -> int:
    """Event time in milliseconds.

    One that lies in the future is refused: whatever came until then would be older, and change nothing.
    """
    moment = published_at if text is None else _milliseconds(text)
    given = f"event time {text[:64]!r}" if text is not None else f"Kafka timestamp {published_at}"
    if not 0 <= moment < _YEAR_10000_MS:
        unit = lookalikes.of_time(published_at) if text is None else None
        cure = f"; milliseconds are wanted: {unit.partition('; ')[2]}" if unit else ""
        raise BadEventError("invalid_event", f"{given} is outside the years 1970 to 9999{cure}")
    rule = None
    if moment - kafka_timestamp > MAX_AHEAD_MS:
        rule = f"is more than an hour ahead of the record's Kafka timestamp, {kafka_timestamp}"
    elif now is not None and moment - now > MAX_AHEAD_OF_US_MS:
        rule = f"is more than a day ahead of this worker's clock, {now}"
    if rule is not None:
        cure = "check the publisher's clock and time zone, and publish it again"
        raise BadEventError("invalid_event", f"{given} {rule}; {cure}")
    return moment


def _milliseconds(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        known = lookalikes.of_time(text)
        message = f"event time {text[:64]!r} is not RFC 3339, such as 2026-01-31T12:00:00Z"
        raise BadEventError("invalid_event", message + (f"; {known}" if known else "")) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _add_ons(value: str | list[str] | None) -> tuple[str, ...]:
    text = value if isinstance(value, str) else ",".join(value or ())
    return _distinct(text.split(","))


def _threshold(value: float | str | None) -> float | None:
    if value is None or value == "":
        return None
    try:
        threshold = float(value) if str(value).isascii() and "_" not in str(value) else -1.0
    except ValueError:
        threshold = -1.0
    if not 0 <= threshold <= 1:
        percent = f"; did you mean {threshold / 100:g}?" if 1 < threshold <= _PERCENT else ""
        message = f"auto_tagging {str(value)[:64]!r} must be a number from 0 to 1{percent}"
        raise BadEventError("invalid_auto_tagging", message)
    return threshold
