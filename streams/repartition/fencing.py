"""Taking a transactional id over: no earlier owner writes under it any more, and nothing of theirs hangs."""

import asyncio
from collections.abc import Iterable

from aiokafka import AIOKafkaProducer

from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming, partitions_of
from streams.kafka.last_transaction import was_committed
from streams.kafka.producers import end_transaction_of


async def fence(
    connection: KafkaConnection, producer: AIOKafkaProducer, transactional_id: str, topics: Iterable[str]
) -> None:
    """Start a producer, and end what a broker has left open of an earlier owner's transaction.

    Args:
        connection: How to reach Kafka.
        producer: Of this id, not started.
        transactional_id: Whose.
        topics: What is written to under it.

    Raises:
        KafkaError: The broker refuses or does not answer.
    """
    async with consuming(connection, "read_uncommitted") as consumer, consuming(connection) as committed_only:
        committed = await was_committed(consumer._client, transactional_id)  # noqa: SLF001 - as the ledger does
        await producer.start()
        places = await partitions_of(consumer, topics)
        stable, ends = await asyncio.gather(committed_only.end_offsets(places), consumer.end_offsets(places))
    held_up = [place for place in places if stable[place] < ends[place]]
    if held_up:
        await end_transaction_of(producer, held_up, committed=committed)
