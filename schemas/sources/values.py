"""JSON of strangers: read with bounds, taken out of its envelopes, asked by path."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.cloudevents import MAX_ATTRIBUTE
from schemas.errors import BadEventError
from schemas.names import is_visible
from schemas.plain import lookalikes

MAX_MESSAGE_BYTES = 4_194_304
MAX_PARTS = 1000  # of one message
_PREFIX = 5  # bytes of a schema registry's
_YEARS_MS = range(253_402_300_800_000)  # 1970 to 9999


def bad(message: str) -> BadEventError:
    """What a message breaks, with the value, the rule and the cure."""
    return BadEventError("invalid_event", message)


def decoded(value: bytes | None) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a message.

    Raises:
        BadEventError: It is none, or too large.
    """
    if not value:
        raise BadEventError("empty_value", "the record's value is empty; publish the source's JSON")
    if len(value) > MAX_MESSAGE_BYTES:
        raise BadEventError("event_too_large", f"{len(value)} bytes; at most {MAX_MESSAGE_BYTES}")
    try:
        return msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        known = lookalikes.of_bytes(value)
        raise BadEventError("invalid_json", f"the message is not JSON: {known or error}") from error


def object_of(value: bytes | None) -> dict[str, Any]:
    """The same, where it must be an object."""
    return as_object(decoded(value), "the message")


def as_object(found: Any, what: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """What must be an object."""
    if not isinstance(found, dict):
        raise bad(f"{what} is {shown(found)}; an object is wanted")
    return found


def parts_of(found: Any, what: str) -> list[Any]:  # noqa: ANN401 - JSON
    """What must be a list of so many that a transaction bears them."""
    if not isinstance(found, list):
        raise bad(f"{what} is {shown(found)}; a list is wanted")
    if len(found) > MAX_PARTS:
        raise BadEventError("event_too_large", f"{what} holds {len(found)} parts; at most {MAX_PARTS}")
    return found


def shown(value: object) -> str:
    """A value as messages tell it."""
    return "missing" if value is None else repr(value)[:64]


def at(value: Any, path: str) -> Any:  # noqa: ANN401 - JSON
    """What lies at a dotted path; None: nothing. A name with dots in it is found as well."""
    if not isinstance(value, Mapping):
        return None
    if path in value:
        return value[path]
    name, dot, rest = path.partition(".")
    return at(value.get(name), rest) if dot else None


def text_at(value: Any, path: str) -> str:  # noqa: ANN401 - JSON
    """The text at a path.

    Raises:
        BadEventError: There is none.
    """
    found = at(value, path)
    if not isinstance(found, str) or not found:
        raise bad(f"`{path}` is {shown(found)}; a text is wanted there")
    return found


def optional_text(value: Any, path: str) -> str | None:  # noqa: ANN401 - JSON
    """The text at a path, if there is one; numbers stand for their digits."""
    found = at(value, path)
    if type(found) is int:
        return str(found)
    return found if isinstance(found, str) and found else None


def number_at(value: Any, path: str) -> int | None:  # noqa: ANN401 - JSON
    """The whole number at a path, also where it is a text.

    Raises:
        BadEventError: What is there is no such number.
    """
    found = at(value, path)
    if found is None or found == "":
        return None
    if type(found) is int and 0 <= found <= 2**53:
        return found
    if isinstance(found, str) and found.isascii() and found.isdigit() and len(found) <= 16:  # noqa: PLR2004
        return int(found)
    raise bad(f"`{path}` is {shown(found)}; a whole number up to 2^53 is wanted there")


def time_of_ms(moment: Any) -> str | None:  # noqa: ANN401 - JSON
    """Milliseconds since the epoch as RFC 3339; None: that is no such number."""
    if type(moment) is not int or moment not in _YEARS_MS:
        return None
    text = datetime.fromtimestamp(moment // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text.rjust(19, '0')}.{moment % 1000:03}Z"


def identity(*parts: object) -> str:
    """An id of parts that identify a change; a long one, or one that cannot be shown, as its hash."""
    text = "/".join(str(part) for part in parts)
    if len(text) <= MAX_ATTRIBUTE and is_visible(text):
        return text
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def unframed(value: bytes | None) -> tuple[bytes | None, int | None]:
    """A value without a schema registry's prefix, and the schema's id; None: it has none.

    Raises:
        BadEventError: Behind the prefix comes Avro or Protobuf.
    """
    if not value or value[0] != 0 or len(value) <= _PREFIX:
        return value, None
    number, rest = int.from_bytes(value[1:_PREFIX]), value[_PREFIX:]
    if rest.lstrip()[:1] not in (b"{", b"[", b'"'):
        rule = "Avro or Protobuf; only JSON Schema is read, publish by its serializer"
        raise BadEventError("invalid_json", f"behind the registry's prefix (schema {number}) comes {rule}")
    return rest, number


def is_connect_envelope(found: Any) -> bool:  # noqa: ANN401 - JSON
    """Whether this is what Connect's JsonConverter writes with `schemas.enable`."""
    return isinstance(found, dict) and found.keys() == {"schema", "payload"}


def unwrapped(value: bytes | None) -> Any:  # noqa: ANN401 - JSON
    """The JSON of a message, out of a registry's prefix, Connect's envelope, and a string that holds JSON."""
    found = decoded(unframed(value)[0])
    if is_connect_envelope(found):
        found = found["payload"]
    if isinstance(found, str):
        found = decoded(found.encode(errors="replace"))
        if isinstance(found, str):
            raise bad("the message is a string that holds a string; publish JSON once")
    return found


def merged(*objects: Mapping[str, Any] | None) -> dict[str, Any]:
    """Objects as one; later ones win."""
    return {name: value for each in objects if each for name, value in each.items()}


def metadata(found: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    """User metadata by lower-case name, without the prefix that S3 gives it."""
    pairs: Sequence[tuple[Any, Any]] = ()
    if isinstance(found, dict):
        pairs = list(found.items())
    elif isinstance(found, list):  # Ceph's
        pairs = [(at(item, "key"), at(item, "val")) for item in found]
    return {
        name.lower().removeprefix("x-amz-meta-"): value
        for name, value in pairs
        if isinstance(name, str) and isinstance(value, str)
    }
