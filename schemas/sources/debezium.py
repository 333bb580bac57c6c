"""Debezium's change events: rows of a table, and events of an outbox table.

Sources: Debezium's pages on change events, "New Record State Extraction" and "Outbox Event Router".
"""

import hashlib
from typing import Any

import msgspec

from schemas.errors import BadEventError
from schemas.sources.changes import Change, Message, Options, Outcomes, Skipped
from schemas.sources.kinds import kind_of
from schemas.sources.values import (
    as_object,
    at,
    bad,
    decoded,
    identity,
    merged,
    optional_text,
    shown,
    time_of_ms,
    unwrapped,
)
from schemas.uploads import UploadType

_WRITES = ("c", "r", "u")  # no set: what is looked for may be a list
_OPERATIONS = "c, r, u, d, t and m"


def read_rows(message: Message, options: Options) -> Outcomes:
    """Read the change of a row of a table whose rows are images."""
    if message.value is None:
        return tombstone(message, options)
    found = as_object(unwrapped(message.value), "the message")
    if "op" not in found and ("__op" in found or "__deleted" in found):
        return [_flattened(found, message)]
    name = at(found, "op")
    if name == "m":
        return [Skipped("a message of the log, no row")]
    if name == "t":
        raise bad("`op` is 't', a truncated table: its images are not named; delete them by events")
    if name not in (*_WRITES, "d"):
        raise bad(f"`op` is {shown(name)}; known are {_OPERATIONS}")
    before, after = at(found, "before"), at(found, "after")
    about = {"source": at(found, "source"), "op": name, "before": before, "after": after}
    if name == "d":
        gone = {} if before is None else as_object(_row(before), "`before`")
        values = merged(about, _key_of(message), gone)
        return [_change(UploadType.DELETED, values, found, message)]
    row = as_object(_row(after), "`after`")
    if name == "u" and isinstance(before, dict) and before == after:
        return [Skipped("nothing of the row has changed")]
    change = _change(UploadType.UPLOADED, merged(about, row), found, message)
    known = isinstance(before, dict) and before.keys() == row.keys()
    return [msgspec.structs.replace(change, before=merged(about, before)) if known else change]


def _flattened(found: dict[str, Any], message: Message) -> Change:
    """A row as New Record State Extraction leaves it, with what it adds."""
    gone = str(at(found, "__deleted")).lower() == "true" or at(found, "__op") == "d"
    kind = UploadType.DELETED if gone else UploadType.UPLOADED
    moment = at(found, "__source_ts_ms") or at(found, "__ts_ms")
    return Change(
        kind=kind,
        source="debezium",
        id=None if moment is None else _digest([_key_text(message), found]),
        values=merged(_key_of(message), found),
        time=time_of_ms(moment),
    )


def _change(kind: UploadType, values: dict[str, Any], found: dict[str, Any], message: Message) -> Change:
    origin = at(found, "source") or {}
    names = [str(at(origin, name) or "") for name in ("name", "db", "schema", "table", "collection")]
    return Change(
        kind=kind,
        source=identity("debezium", *filter(None, names)),
        id=_digest([_key_text(message), origin, at(found, "op"), values.get("after")]),
        values=values,
        time=time_of_ms(at(origin, "ts_ms")) or time_of_ms(at(found, "ts_ms")),
    )


def _digest(parts: Any) -> str:  # noqa: ANN401 - JSON
    return hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _key_text(message: Message) -> str:
    return (message.key or b"").decode(errors="replace")


def _key_of(message: Message) -> dict[str, Any]:
    """The columns of the row's key; of a message without a key that is an object: none."""
    if not message.key:
        return {}
    try:
        found = unwrapped(message.key)
    except BadEventError:
        return {}
    return found if isinstance(found, dict) else {}


def tombstone(message: Message, options: Options) -> Outcomes:
    """What a key without a value means: by default nothing, as the removal was told before."""
    if not options.tombstones:
        return [Skipped("a tombstone")]
    key = _key_text(message)
    values = merged(_key_of(message), {"key": key})
    return [Change(kind=UploadType.DELETED, source="tombstone", id=None, values=values)]


def read_outbox(message: Message, options: Options) -> Outcomes:
    """Read an event of an outbox: as its router leaves it, or the row itself."""
    if message.value is None:
        return [Skipped("a tombstone")]
    headers = {name: (content or b"").decode(errors="replace") for name, content in message.headers}
    found = unwrapped(message.value)
    if isinstance(found, dict) and "op" in found and "after" in found:
        if found["op"] not in ("c", "r"):
            return [Skipped("a row of the outbox was cleared away")]
        row = as_object(_row(found["after"]), "`after`")
        payload, about = as_object(_row(at(row, "payload")), "`payload`"), row
        time = time_of_ms(at(found, "source.ts_ms"))
    else:
        payload, about, time = as_object(found, "the message"), headers, None
    name = _type_of(payload, about, options)
    kind = kind_of(name, options)
    if isinstance(kind, Skipped):
        return [kind]
    aggregate = optional_text(about, "aggregateid") or optional_text(about, "aggregate_id")
    row_values = {"row": about, "key": _key_text(message), "aggregate_id": aggregate or _key_text(message)}
    return [
        Change(
            kind=kind,
            source=identity("outbox", optional_text(about, "aggregatetype") or ""),
            id=identity(event_id) if (event_id := optional_text(about, "id")) else None,
            values=merged(row_values, payload),
            time=time,
            event=payload if options.wants_event else None,
        )
    ]


def _type_of(payload: dict[str, Any], about: dict[str, Any], options: Options) -> str:
    """An event's type: of its row or header, else its own."""
    names = ("type", "eventType", "event_type")
    told = next(filter(None, (optional_text(about, name) for name in names)), None)
    if told is None or (told not in options.types and options.wants_event and "type" in payload):
        told = optional_text(payload, "type") or told
    return told or UploadType.UPLOADED


def _row(found: Any) -> Any:  # noqa: ANN401 - JSON
    """A row; MongoDB's come as strings that hold JSON."""
    return decoded(found.encode(errors="replace")) if isinstance(found, str) else found
