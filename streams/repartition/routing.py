"""Where a record of an upload topic belongs in the log of the state, and as what it goes there. Pure."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from schemas.cloudevents import Headers
from schemas.errors import BadEventError
from schemas.origins import (
    TRANSLATED_HEADER,
    Origin,
    TopicPartitionOffset,
    routed_headers,
    untranslated_header,
)
from schemas.sources.changes import Skipped
from schemas.sources.translate import Made, Translated, Translator
from schemas.topics import MAX_FORWARDED_BYTES
from schemas.uploads import Record, parse_upload
from streams.kafka.partitioning import partition_for

log = logging.getLogger(__name__)

MAX_UNTRANSLATED_BYTES = MAX_FORWARDED_BYTES - 65_536  # of a message; what is said of it comes on top


@dataclass(frozen=True)
class RoutedRecord:
    """A record on its way.

    Attributes:
        partition: Of the log.
    """

    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp: int


@dataclass(frozen=True)
class Routed:
    """The copies of some records.

    Attributes:
        made: Of messages of sources: how many became an `event`, were `skipped` or `refused`.
    """

    records: list[RoutedRecord]
    made: Counter[str] = field(default_factory=Counter)


def owner_of(record: Record, partitions: int) -> int:
    """The partition of a record's image among so many; what is no event goes by the partition it lies in."""
    try:
        return partition_for(parse_upload(record).public_id, partitions)
    except BadEventError:
        return record.partition % partitions


def route(records: Sequence[Record], partitions: int, now: int) -> Routed:
    """The copies of some records, in their order.

    Args:
        records: Those of one partition of an upload topic.
        partitions: How many the log has.
        now: Milliseconds since the epoch. No broker takes what is far ahead of that, and a copy must be
            taken; what time a record bears, its headers tell.
    """
    events = (record for record in records if not record.is_tombstone)
    return Routed([_routed(record, owner_of(record, partitions), now) for record in events])


def route_translated(records: Sequence[Record], translator: Translator, partitions: int, now: int) -> Routed:
    """The upload events that some messages of a source make, in their order; what makes none is left out.

    What cannot be translated goes as it is, and says why: it becomes a dead letter.
    """
    found = list[RoutedRecord]()
    outcomes = Counter[str]()
    for record in records:
        for made in translator.translate(record):
            outcomes[_outcome(made)] += 1
            if isinstance(made, Skipped):
                log.debug("%s passed over: %s", _place_of(record), made.reason)
            elif isinstance(made, Translated):
                event = msgspec.structs.replace(
                    record,
                    key=made.public_id.encode(),
                    value=made.value,
                    headers=[*_traced(record.headers), *made.headers, TRANSLATED_HEADER],
                )
                found.append(_routed(event, partition_for(made.public_id, partitions), now))
            else:
                found.append(_routed(_untranslated(record, made), record.partition % partitions, now))
    return Routed(found, outcomes)


def _outcome(made: Made) -> str:
    if isinstance(made, Skipped):
        return "skipped"
    return "event" if isinstance(made, Translated) else "refused"


def _untranslated(record: Record, error: BadEventError) -> Record:
    """A message that could not be read, and why; one that the log has no room for is left out."""
    size = record.bytes_besides + len(record.value or b"")
    if size <= MAX_UNTRANSLATED_BYTES:
        headers = [*record.headers, untranslated_header(error.code, str(error))]
        return msgspec.structs.replace(record, headers=headers)
    message = f"{size} bytes, of which none are kept; {error}"
    headers = [untranslated_header("event_too_large", message)]
    return msgspec.structs.replace(record, key=None, value=b"", headers=headers)


def _routed(record: Record, partition: int, now: int) -> RoutedRecord:
    return RoutedRecord(
        partition=partition,
        key=record.key,
        value=record.value,
        headers=routed_headers(record.headers, Origin(_place_of(record), record.timestamp)),
        timestamp=min(record.timestamp, now) if record.timestamp >= 0 else now,
    )


def _traced(headers: Headers) -> Headers:
    """The headers of a trace, which an event that is made of a message belongs to as well."""
    return [header for header in headers if header[0].lower() in {"traceparent", "tracestate", "baggage"}]


def _place_of(record: Record) -> TopicPartitionOffset:
    """Where it lies, whatever its headers say: this is where it was published."""
    return TopicPartitionOffset(record.topic, record.partition, record.offset)
