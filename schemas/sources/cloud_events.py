"""CloudEvents 1.0 as SDKs send them, whose data is an upload event, or what a mapping makes one of."""

from collections.abc import Mapping
from typing import Any

import msgspec

from schemas.cloudevents import Envelope, open_envelope
from schemas.errors import BadEventError
from schemas.sources.changes import Change, Message, Options, Outcomes, Skipped
from schemas.sources.kinds import kind_of
from schemas.sources.values import bad, decoded, unframed

_STRUCTURED = (("content-type", b"application/cloudevents+json"),)


def attributes_of(message: Message) -> Envelope:
    """The attributes and data of a record that must be a CloudEvent.

    Raises:
        BadEventError: It is none.
    """
    value, _ = unframed(message.value)
    if not value and not any(name.lower().startswith("ce") for name, _ in message.headers):
        raise BadEventError("empty_value", "the record's value is empty; publish a CloudEvent")
    envelope = open_envelope(value or b"", message.headers)
    if envelope.type is None:
        rule = "a CloudEvent has `specversion` in its value, or `ce_specversion` in its headers"
        raise BadEventError("invalid_cloudevent", f"the record is no CloudEvent: {rule}")
    return envelope


def opened(event: Mapping[str, Any]) -> Envelope:
    """The same of an event in structured mode that was one of several."""
    return open_envelope(msgspec.json.encode(event), _STRUCTURED)


def read(message: Message, options: Options) -> Outcomes:
    """Read one event."""
    envelope = attributes_of(message)
    data = decoded(envelope.data)
    if isinstance(data, str):
        data = decoded(data.encode(errors="replace"))
    if not isinstance(data, dict):
        raise bad("the CloudEvent's data is no object; give it as JSON")
    kind = kind_of(envelope.type or "", options)
    if isinstance(kind, Skipped):
        return [kind]
    about = {"type": envelope.type, "source": envelope.source, "id": envelope.id, "subject": envelope.subject}
    return [
        Change(
            kind=kind,
            source=envelope.source or "",
            id=envelope.id or "",
            time=envelope.time,
            values={**data, "data": data, "ce": about},
            event=data if options.wants_event else None,
        )
    ]
