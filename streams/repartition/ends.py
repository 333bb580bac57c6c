"""How far the state must be for all that is published by now to be folded in."""

import asyncio

from aiokafka import TopicPartition

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import log_ends
from streams.repartition.resume_points import ResumePoint, key_of, read_resume_points

_PAUSE = 1.0  # seconds between two looks


async def folded_ends(connection: KafkaConnection, names: TopicNames) -> dict[int, int]:
    """For each partition of the state the offset before which all lies that is published by now.

    Where upload topics are copied, it waits until that is done.

    Raises:
        KafkaError: Kafka does not answer.
    """
    if names.inputs:
        ends = {topic: await log_ends(connection, topic) for topic in names.inputs}
        wanted = {
            key_of(TopicPartition(topic, partition)): end
            for topic, found in ends.items()
            for partition, end in found.items()
        }
        while await _is_behind(connection, names, wanted):  # noqa: ASYNC110 - others' commits wake nobody
            await asyncio.sleep(_PAUSE)
    return await log_ends(connection, names.upload_log)


async def _is_behind(connection: KafkaConnection, names: TopicNames, wanted: dict[str, int]) -> bool:
    rows = await read_resume_points(connection, names)
    return any(rows.get(key, ResumePoint()).next < end for key, end in wanted.items())
