"""When the state of all partitions counts as complete, and when as behind."""

import asyncio

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import KafkaConnection
from streams.state import replica as replica_module
from streams.state.replica import Replica


async def test_what_is_made_of_the_state_is_part_of_being_complete() -> None:
    """Answers are complete once every partition is told and what is made of them is made, and not before."""
    making, may_end = asyncio.Event(), asyncio.Event()
    ends = {0: 0, 1: 0}

    async def prepare() -> None:
        making.set()
        await may_end.wait()

    replica = Replica(KafkaConnection(), TopicNames("app"), 2, follows=True, prepare=prepare)
    telling = asyncio.create_task(replica._build_indexes())
    replica.states[0].loaded = True
    await asyncio.sleep(0.3)
    assert not making.is_set()
    replica.states[1].loaded = True
    await making.wait()
    replica._ends = ends  # Kafka answers
    assert all(fresh.ready for fresh in replica.as_of())
    assert not replica.complete
    may_end.set()
    while not replica.complete:
        await asyncio.sleep(0.01)
    replica._ends = {}
    assert not replica.complete, "nobody knows what has come while Kafka is away"
    telling.cancel()


@pytest.mark.kafka
async def test_records_behind_an_open_transaction_are_lag(
    kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A publisher that hangs in its transaction holds up its partition: that shows."""
    monkeypatch.setattr(replica_module, "_STALLED_AFTER", 0.5)
    monkeypatch.setattr(replica_module, "_FRESHNESS_INTERVAL", 0.1)
    connection, settings = (
        KafkaConnection(kafka),
        Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=2),
    )
    await ensure_topics(connection, settings)
    replica = Replica(connection, TopicNames.of(settings), 2, follows=True)
    following = asyncio.create_task(replica.run())
    try:
        async with (
            asyncio.timeout(30),
            AIOKafkaProducer(
                **connection.aiokafka_options(), transactional_id=f"{unique}-upstream"
            ) as upstream,
        ):
            while not replica.complete:
                await asyncio.sleep(0.01)
            await upstream.begin_transaction()
            await upstream.send_and_wait(f"{unique}.image.uploads", b"{}", partition=1)
            while replica.behind != [1]:
                await asyncio.sleep(0.01)
            assert [fresh.lag for fresh in replica.as_of()] == [0, 1]
            await upstream.abort_transaction()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
