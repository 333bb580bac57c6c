"""What a value is that is no upload event though somebody meant it as one: a name, and the cure."""

import re
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime
from typing import Any

import msgspec

_UTF8_BOM = b"\xef\xbb\xbf"
_PREFIX = 5  # bytes of a schema registry's: 0, and the schema's id
_PACKED = (b"obj\x01", b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_HIGH, _LOW = rb"\\u[dD][89abAB][0-9a-fA-F]{2}", rb"\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_LONE_SURROGATE = re.compile(_HIGH + rb"(?!" + _LOW + rb")|(?<!" + _HIGH + rb")" + _LOW)
_LOOKED_AT = 512
_MOST = 65_536
_JSON_STARTS = frozenset(b'{["')
_OBJECTS_OF_OURS = frozenset({"context", "asset"})
_CONNECT = frozenset({"schema", "payload"})
_SOURCES = "publish upload events, or have the topic read by TAGSTREAM_SOURCES with source = {source!r}"
_UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_LEAST_SECONDS, _MOST_SECONDS = 946_684_800, 4_102_444_800  # the years 2000 to 2100


_KNOWN: tuple[tuple[str, str, Callable[[AbstractSet[str]], bool]], ...] = (
    (
        "a Connect envelope (value.converter.schemas.enable=false ends it)",
        "connect",
        lambda names: names == _CONNECT,
    ),
    (
        "a Debezium change event",
        "debezium",
        lambda names: "op" in names and bool({"before", "after"} & names),
    ),
    ("a bucket's notification", "s3", lambda names: "Records" in names or {"EventName", "Key"} <= names),
    ("an EventBridge event", "eventbridge", lambda names: {"detail-type", "detail"} <= names),
    ("an Event Grid event", "azure", lambda names: {"eventType", "data", "subject"} <= names),
    ("a Cloudinary notification", "cloudinary", lambda names: "notification_type" in names),
)


def of_bytes(value: bytes) -> str | None:
    """What bytes that are no JSON are, and the cure; None: nothing that is known."""
    start = value[:_LOOKED_AT].lstrip().lower()
    if value.startswith(_UTF8_BOM):
        return "it begins with a byte order mark; publish UTF-8 without one"
    if _is_utf16(value):
        return "it is UTF-16; publish UTF-8"
    if value[:1] == b"\0" and len(value) > _PREFIX:
        return _framed(value)
    if start.startswith((b"<", *_PACKED)):
        what = "packed" if start[:1] != b"<" else "an HTML page" if b"html" in start else "XML"
        return f"it is {what}; publish JSON as it is"
    if _LONE_SURROGATE.search(value[:_MOST]):
        return "it holds half of a surrogate pair, which is no text; escape characters whole, or send UTF-8"
    return None


def _is_utf16(value: bytes) -> bool:
    if value[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    big, little = value[:4:2], value[1:4:2]
    return (big == b"\0\0" and value[1] in _JSON_STARTS) or (little == b"\0\0" and value[0] in _JSON_STARTS)


def _framed(value: bytes) -> str:
    what = f"it has a schema registry's prefix (schema {int.from_bytes(value[1:_PREFIX])})"
    if value[_PREFIX] in _JSON_STARTS:
        return f"{what}; {_of('confluent')}"
    return f"{what} and then Avro or Protobuf; publish JSON"


def of_text(text: str) -> str:
    """What a JSON text is that stands where an object is meant, and the cure."""
    if text.lstrip()[:1] in ("{", "["):
        return (
            "it is a string that holds JSON; publish the object itself (Debezium's outbox router: "
            f"table.expand.json.payload=true), or {_SOURCES.format(source='json').removeprefix('publish ')}"
        )
    return f"it is the text {text[:64]!r}; publish an object"


def of_object(fields: Mapping[str, Any]) -> str | None:
    """Whose message an object is that is no upload event, and the cure; None: nobody's that is known."""
    for what, source, is_one in _KNOWN:
        if is_one(fields.keys()):
            return f"it is {what}; {_of(source)}"
    return None


def wraps(fields: Mapping[str, Any]) -> str | None:
    """The field of an object that seems to hold the event; None: none does."""
    held = (
        name for name, value in fields.items() if isinstance(value, dict) and name not in _OBJECTS_OF_OURS
    )
    return next(held, None)


def _of(source: str) -> str:
    return _SOURCES.format(source=source)


def of_json(data: bytes) -> str | None:
    """The same of any JSON."""
    if len(data) > _MOST:
        return None
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if isinstance(value, str):
        return of_text(value)
    if isinstance(value, list):
        first = value[0] if value and isinstance(value[0], dict) else {}
        known = of_object(first)
        return f"it is a list; {known}" if known else "it is a list; publish one event per record"
    return of_object(value) if isinstance(value, dict) else None


def of_time(value: object) -> str | None:
    """A number that counts from 1970, in which unit, and what that is in RFC 3339; None: it is none."""
    try:
        number = float(value) if isinstance(value, str | int | float) else 0.0
    except (ValueError, OverflowError):
        return None
    for unit, each in _UNITS.items():
        if _LEAST_SECONDS <= number / each < _MOST_SECONDS:
            meant = rfc3339(number / each)
            return f"RFC 3339 is wanted; {value} looks like {unit} since 1970, which is {meant}"
    return None


def of_time_in(data: bytes, field: str) -> str | None:
    """The same of a field of JSON."""
    try:
        return of_time(msgspec.json.decode(data)[field])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError):
        return None


def rfc3339(seconds: float) -> str:
    """Seconds since 1970 as RFC 3339; what is beyond the calendar as they are."""
    try:
        moment = datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} s since 1970"
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
