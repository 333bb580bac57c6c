"""JSON that holds an upload event, or anything that a mapping makes one of: plain, or in an envelope."""

from typing import Any

from schemas.sources.changes import Change, Message, Options, Outcomes, Skipped
from schemas.sources.debezium import tombstone
from schemas.sources.kinds import kind_of
from schemas.sources.templates import Template
from schemas.sources.values import (
    as_object,
    bad,
    decoded,
    is_connect_envelope,
    merged,
    optional_text,
    unframed,
    unwrapped,
)
from schemas.uploads import UploadType


def read_json(message: Message, options: Options) -> Outcomes:
    """Read JSON, whatever envelope it lies in."""
    if message.value is None:
        return tombstone(message, options)
    return _read(unwrapped(message.value), message, options)


def read_connect(message: Message, options: Options) -> Outcomes:
    """Read what Connect's JsonConverter writes with `schemas.enable`."""
    if message.value is None:
        return tombstone(message, options)
    found = decoded(message.value)
    if not is_connect_envelope(found):
        raise bad('the message is no Connect envelope of `schema` and `payload`; say source = "json"')
    if found["payload"] is None:
        return tombstone(message, options)
    return _read(found["payload"], message, options)


def read_confluent(message: Message, options: Options) -> Outcomes:
    """Read what a schema registry's serializer for JSON Schema writes."""
    if message.value is None:
        return tombstone(message, options)
    value, number = unframed(message.value)
    in_headers = any(name == "__value_schema_id" for name, _ in message.headers)
    if number is None and not in_headers:
        rule = "0 and a schema's id of four bytes, or the header __value_schema_id"
        raise bad(f'the message has no schema registry\'s prefix ({rule}); say source = "json"')
    return _read(decoded(value), message, options)


def _read(found: Any, message: Message, options: Options) -> Outcomes:  # noqa: ANN401 - JSON
    payload = as_object(found, "the message")
    headers = {name: (content or b"").decode(errors="replace") for name, content in message.headers}
    about = {"key": (message.key or b"").decode(errors="replace"), "headers": headers}
    values = merged(about, payload)
    name = Template(options.type).expanded(values) if options.type else None
    if options.type and name is None:
        raise bad(f"the type {options.type!r} is not in the message: a change whose kind nobody knows")
    if name is None and options.wants_event:
        name = optional_text(payload, "type")
    kind = kind_of(name or UploadType.UPLOADED, options)
    if isinstance(kind, Skipped):
        return [kind]
    event = payload if options.wants_event else None
    event_id = optional_text(payload, "event_id") if options.wants_event else None
    return [Change(kind=kind, source="", id=event_id, values=values, event=event)]
