"""What the broker decided about a transaction, asked of a real one."""

from collections.abc import Awaitable, Callable

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.last_transaction import was_committed

END: dict[str, Callable[[AIOKafkaProducer], Awaitable[object]]] = {
    "committed": AIOKafkaProducer.commit_transaction,
    "aborted": AIOKafkaProducer.abort_transaction,
}


@pytest.mark.kafka
@pytest.mark.parametrize("end", ["committed", "aborted", "left open", "never begun"])
async def test_it_is_committed_or_not(kafka: str, unique: str, end: str) -> None:
    """Also of a transaction that is left open: it will be aborted."""
    connection, settings = KafkaConnection(kafka), Settings(topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(connection, settings)
    producer = AIOKafkaProducer(**connection.aiokafka_options(), transactional_id=unique)
    if end != "never begun":
        await producer.start()
        await producer.begin_transaction()
        await producer.send_and_wait(TopicNames.of(settings).categorizations, b"result", partition=0)
        if end in END:
            await END[end](producer)
    try:
        async with consuming(connection) as consumer:
            assert await was_committed(consumer._client, unique) == (end == "committed")
    finally:
        await producer.stop()


@pytest.mark.kafka
async def test_what_is_open_cannot_be_committed_after_the_answer(kafka: str, unique: str) -> None:
    """A zombie that is about to commit when a new owner asks is refused: the answer stays true."""
    connection, settings = KafkaConnection(kafka), Settings(topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(connection, settings)
    zombie = AIOKafkaProducer(**connection.aiokafka_options(), transactional_id=unique)
    await zombie.start()
    topic = TopicNames.of(settings).categorizations
    try:
        async with consuming(connection) as consumer:
            await zombie.begin_transaction()
            await zombie.send_and_wait(topic, b"result", partition=0)
            assert not await was_committed(consumer._client, unique)
            with pytest.raises(KafkaError):
                await zombie.commit_transaction()
            assert not await was_committed(consumer._client, unique)
    finally:
        await zombie.stop()
