"""What the page is told of a committed output: little of it, as it may be one of hundreds in a second."""

from typing import Any

import msgspec

from schemas.cloudevents import open_envelope
from schemas.errors import BadEventError
from schemas.uploads import UploadData
from streams.kafka.output_follower import OutputRecord

_SHOWN = 8  # tags of an image
_LONGEST = 300  # characters of a message
_LARGE = 262_144  # bytes of an event that nobody waits for to be read: it is told of as one that cannot be


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One output, for people who watch.

    Attributes:
        kind: categorization, tag-update or dead-letter.
        tenant: Whose it is; None: it cannot be read from a dead letter.
        scores: The best tags with their confidences, of any add-on.
        ms: From reading the event to its tags.
    """

    kind: str
    public_id: str
    event_id: str
    tenant: str | None
    user_id: str = ""
    tags: list[str] = []
    scores: list[tuple[str, float]] = []
    ms: float | None = None
    added: list[str] = []
    removed: list[str] = []
    reason: str = ""
    message: str = ""


def told_of(record: OutputRecord) -> Told:
    """Tell of an output."""
    if record.fault is not None:
        event = _event_of(record)
        return Told(
            kind=record.kind,
            public_id=(event.public_id if event else None) or record.key,
            event_id=(event.event_id if event else None) or "",
            tenant=None if event is None else event.tenant or "",
            reason=record.fault.reason,
            message=record.fault.message[:_LONGEST],
        )
    told = _changed(record.value) if record.kind == "tag-update" else _categorized(record.value)
    told["event_id"], told["tenant"] = str(record.value["cause"]["id"]), record.value.get("tenant") or ""
    return Told(kind=record.kind, **told)


def _changed(value: dict[str, Any]) -> dict[str, Any]:
    changed = value["resources"][0]
    added, removed = changed["added"][:_SHOWN], changed["removed"][:_SHOWN]
    return {"public_id": changed["public_id"], "added": added, "removed": removed}


def _categorized(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "public_id": value["public_id"],
        "user_id": value.get("user_id") or "",
        "tags": value["tags"][:_SHOWN],
        "scores": _best(value["info"]["categorization"]),
        "ms": value["timings_ms"]["total"],
    }


def _event_of(record: OutputRecord) -> UploadData | None:
    if len(record.value or b"") > _LARGE:
        return None
    try:
        return msgspec.json.decode(open_envelope(record.value or b"", record.headers).data, type=UploadData)
    except (BadEventError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # that may be why it is a dead letter


def _best(add_ons: dict[str, Any]) -> list[tuple[str, float]]:
    said: dict[str, float] = {}
    for found in add_ons.values():
        for each in found["data"][:_SHOWN]:
            said[each["tag"]] = max(each["confidence"], said.get(each["tag"], 0.0))
    return sorted(said.items(), key=lambda score: (-score[1], score[0]))[:_SHOWN]
