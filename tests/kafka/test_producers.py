"""Transactions and how producers end, where Kafka answers and where it does not."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.producers import CommitTimeoutError, close_producer, transaction

pytestmark = pytest.mark.kafka


@pytest.fixture
async def producer(broker: EmbeddedBroker, unique: str) -> AsyncIterator[AIOKafkaProducer]:
    """A transactional one, on a topic of its name."""
    connection = KafkaConnection(broker.bootstrap_servers)
    async with open_admin(connection) as admin:
        await admin.create_topics([NewTopic(unique, 1, 1)])
    producer = AIOKafkaProducer(**connection.aiokafka_options(), transactional_id=unique)
    await producer.start()
    yield producer
    await close_producer(producer)


async def test_a_commit_without_an_answer_is_not_waited_for_without_end(
    broker: EmbeddedBroker, producer: AIOKafkaProducer, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Past the deadline nobody knows whether it was committed: that is said, and the process ends by it."""
    monkeypatch.setattr("streams.kafka.producers.COMMIT_DEADLINE", 2.0)

    async def commit() -> None:
        async with transaction(producer):
            await producer.send_and_wait(unique, b"koala")
            await asyncio.to_thread(broker.kill)

    async with asyncio.timeout(30):
        with pytest.raises(CommitTimeoutError, match="no answer to a commit within 2 s"):
            await commit()


async def test_what_fails_is_aborted(broker: EmbeddedBroker, producer: AIOKafkaProducer, unique: str) -> None:
    """The failure comes out, and nothing hangs: readers of committed records get past it at once."""

    async def fail() -> None:
        async with transaction(producer):
            await producer.send_and_wait(unique, b"koala")
            raise TimeoutError("somebody else's")

    with pytest.raises(TimeoutError, match="somebody else's"):
        await fail()
    async with transaction(producer):
        await producer.send_and_wait(unique, b"wombat")
    place = TopicPartition(unique, 0)
    async with consuming(KafkaConnection(broker.bootstrap_servers)) as consumer, asyncio.timeout(30):
        consumer.assign([place])
        consumer.seek(place, 0)
        assert (await consumer.getone()).value == b"wombat"


async def test_who_is_cancelled_waits_for_no_abort(
    broker: EmbeddedBroker, producer: AIOKafkaProducer, unique: str
) -> None:
    """Where Kafka is away a cancelled transaction, and its producer, end all the same; no task goes on."""
    away = asyncio.Event()

    async def work() -> None:
        async with transaction(producer):
            await producer.send_and_wait(unique, b"koala")
            await asyncio.to_thread(broker.kill)
            away.set()
            await producer.send_and_wait(unique, b"wombat")

    working = asyncio.create_task(work())
    async with asyncio.timeout(30):
        await away.wait()
        working.cancel()
        await asyncio.wait({working})
        await close_producer(producer)
        while left := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(left, timeout=0.1)
    assert working.cancelled()
