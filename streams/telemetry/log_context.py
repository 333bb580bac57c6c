"""The record that is in work, for log lines that are written meanwhile."""

from collections.abc import Mapping
from contextvars import ContextVar

from schemas.uploads import Record

Place = Mapping[str, str | int]

IN_WORK: ContextVar[Place | None] = ContextVar("place_of_record_in_work", default=None)
"""Whose work a task is. Not the record itself: what outlives the task, such as a connection, keeps this."""


def place_of(record: Record) -> Place:
    """What a log line says of a record: where in Kafka it was published, and its trace if it has one."""
    published = record.place
    place: dict[str, str | int] = {
        "topic": published.topic,
        "partition": published.partition,
        "offset": published.offset,
    }
    trace_id = record.trace_context.trace_id
    return place if trace_id is None else {"trace_id": trace_id, **place}
