"""Where a record of an upload topic belongs in the log of the state, and as what it goes there. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from schemas.cloudevents import Headers
from schemas.errors import BadEventError
from schemas.origins import Origin, TopicPartitionOffset, routed_headers
from schemas.uploads import Record, parse_upload
from streams.kafka.partitioning import partition_for


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


def owner_of(record: Record, partitions: int) -> int:
    """The partition of a record's image among so many; what is no event goes by the partition it lies in."""
    try:
        return partition_for(parse_upload(record).public_id, partitions)
    except BadEventError:
        return record.partition % partitions


def route(records: Sequence[Record], partitions: int, now: int) -> list[RoutedRecord]:
    """The copies of some records, in their order.

    Args:
        records: Those of one partition of an upload topic.
        partitions: How many the log has.
        now: Milliseconds since the epoch. No broker takes what is far ahead of that, and a copy must be
            taken; what time a record bears, its headers tell.
    """
    return [
        RoutedRecord(
            partition=owner_of(record, partitions),
            key=record.key,
            value=record.value,
            headers=routed_headers(record.headers, Origin(_place_of(record), record.timestamp)),
            timestamp=min(record.timestamp, now) if record.timestamp >= 0 else now,
        )
        for record in records
    ]


def _place_of(record: Record) -> TopicPartitionOffset:
    """Where it lies, whatever its headers say: this is where it was published."""
    return TopicPartitionOffset(record.topic, record.partition, record.offset)
