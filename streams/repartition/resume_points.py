"""How far each partition of the upload topics is copied: rows of a compacted topic, all in its partition 0.

They are not the group's offsets: those are forgotten where a group has no members for a week.
"""

import contextlib
from collections.abc import Mapping

import msgspec
from aiokafka import TopicPartition

from schemas.errors import TopicsError
from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import read_partition

PARTITION = 0  # of the changelog


class ResumePoint(msgspec.Struct, frozen=True):
    """Where to go on.

    Attributes:
        next: The first offset that is not copied.
        id: Kafka's of the topic; None: it has none.
    """

    next: int = 0
    id: str | None = None

    def encode(self) -> bytes:
        """The row."""
        return msgspec.json.encode(self)


def key_of(place: TopicPartition) -> str:
    """The key of a partition's row."""
    return f"{place.topic}/{place.partition}"


async def read_resume_points(connection: KafkaConnection, names: TopicNames) -> dict[str, ResumePoint]:
    """Read all rows, by key, to the true end of what is written.

    Raises:
        KafkaError: Kafka does not answer.
    """
    rows: dict[str, ResumePoint] = {}
    reading = read_partition(connection, names.inputs_changelog, PARTITION)
    async with contextlib.aclosing(reading) as records:
        async for record in records:
            rows[(record.key or b"").decode()] = msgspec.json.decode(record.value or b"{}", type=ResumePoint)
    return rows


def checked(place: TopicPartition, rows: Mapping[str, ResumePoint], topic_id: str | None) -> ResumePoint:
    """Where a partition is to go on, by the rows and the id that its topic has now.

    Raises:
        TopicsError: The topic is another one: as many records as were copied would be passed over.
    """
    known = rows.get(key_of(place))
    if known is None:
        return ResumePoint(0, topic_id)
    if None not in {known.id, topic_id} and known.id != topic_id:
        found = f"topic {place.topic} was recreated: its id is {topic_id}"
        copied = f"{known.next} records of partition {place.partition} were read under id {known.id}"
        cure = "publish to a topic of another name and name that in TAGSTREAM_UPLOADS_TOPICS"
        anew = "or choose a new app_id, so that the state begins anew"
        raise TopicsError(f"{found}, and {copied}; {cure}, {anew}")
    return ResumePoint(known.next, topic_id or known.id)
