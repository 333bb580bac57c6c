"""Marks of users who are forgotten: rows of `meta` that name nobody, and the steps of forgetting. Pure."""

import hashlib
from enum import StrEnum
from typing import Any

from schemas.cloudevents import Headers
from schemas.origins import Origin, read_origin, routed_headers
from schemas.topics import TopicNames
from schemas.uploads import Record, Upload
from streams.fold.changes import Changes
from streams.fold.outcomes import Output
from streams.fold.precedence.repeats import event_key

MARK = "@forgotten:"  # and a hash of tenant and user
HEADER = "tagstream.forgetting"
_EVENTS = 100  # that a mark remembers: a repeat must not forget what came since


class Step(StrEnum):
    """What a record of the event asks of the partition that it lies in."""

    ASKED = "asked"
    SPREAD = "spread"
    SWEEP = "sweep"


def step_of(headers: Headers) -> Step:
    """The step that a record is; as it is published it has no header."""
    told = {content for name, content in headers if name == HEADER}
    return next((step for step in (Step.SPREAD, Step.SWEEP) if step.value.encode() in told), Step.ASKED)


def marked(headers: Headers, step: Step) -> list[tuple[str, bytes | None]]:
    """The headers of a record of another step."""
    return [*(header for header in headers if header[0] != HEADER), (HEADER, step.value.encode())]


def key_of(tenant: str | None, user: str) -> str:
    """The key of a user's mark."""
    return MARK + hashlib.sha256(f"{tenant or ''}\x1f{user}".encode()).hexdigest()[:32]


def mark(changes: Changes, upload: Upload, record: Record) -> bool:
    """Mark the user of an event; whether this is its first delivery."""
    key = key_of(upload.data.tenant, upload.data.user_id or "")
    row: dict[str, Any] = changes.get("meta", key) or {"o": -1, "events": []}
    event = event_key(upload)
    if event in row["events"]:
        return False
    events = [*row["events"], event][-_EVENTS:]
    place = {"o": record.offset, "published": _published(record)}
    changes.put("meta", key, place | {"at": upload.at, "by": upload.data.by, "events": events})
    return True


def is_forgotten(changes: Changes, upload: Upload, record: Record) -> bool:
    """Whether an event is of a user who asked, behind it, to be forgotten.

    What was published to this partition is told by its place. What was sent on from elsewhere, or is
    published again, comes in later than it was published: that is told by when it first was.
    """
    user = upload.data.user_id
    row = None if user is None else changes.get("meta", key_of(upload.data.tenant, user))
    if row is None:
        return False
    sent_on = read_origin(record.headers) is not None
    return record.offset < row["o"] or (sent_on and _published(record) <= row["published"])


def _published(record: Record) -> int:
    origin = read_origin(record.headers)
    return record.timestamp if origin is None else origin.at


def marked_at(changes: Changes, tenant: str | None, user: str | None) -> int:
    """The offset before which all of a user is forgotten; -1: nothing is."""
    row = None if user is None else changes.get("meta", key_of(tenant, user))
    return -1 if row is None else int(row["o"])


def forgetting_output(record: Record, step: Step, names: TopicNames, partition: int | None = None) -> Output:
    """The next step of forgetting a user, in this partition or another."""
    headers = routed_headers(marked(record.headers, step), Origin(record.place, record.timestamp))
    return Output(names.upload_log, record.key, record.value, headers, partition)
