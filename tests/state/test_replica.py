"""When the state of all partitions counts as complete, and when as behind."""

import asyncio
import time
from collections.abc import Callable

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import TABLES, TopicNames
from streams.app.settings import Settings
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.state import replica as replica_module
from streams.state.changelogs import catch_up, changelog_partitions
from streams.state.partition import PartitionState
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


@pytest.mark.kafka
async def test_followed_state_that_is_too_old_is_read_anew(
    kafka: str, unique: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Suspended for longer than removals are told, a process forgets what it knew: a ghost is gone."""
    connection, settings, now = KafkaConnection(kafka), Settings(app_id=unique, partitions=1), [1e9]
    await ensure_topics(connection, settings)
    names = TopicNames.of(settings)
    await publish_row(kafka, names, b"img")
    replica = Replica(connection, names, 1, follows=True, clock=lambda: now[0])
    state = replica.states[0]
    following = asyncio.create_task(replica.run())
    try:
        async with asyncio.timeout(30):
            await until(lambda: state.indexed and "img" in state.rows["images"])
            state.apply("images", "ghost", b'{"o":0}')  # its removal was compacted away meanwhile
            now[0] += names.trusted_seconds - 100
            await publish_row(kafka, names, b"other")
            await until(lambda: "other" in state.rows["images"] and state.fresh_at == now[0])
            assert "ghost" in state.rows["images"]
            now[0] += names.trusted_seconds + 1
            await until(lambda: "ghost" not in state.rows["images"] and state.indexed)
            assert state.rows["images"].keys() == {"img", "other"}
    finally:
        following.cancel()
    assert "reading the changelogs from their beginning" in caplog.text


@pytest.mark.kafka
@pytest.mark.parametrize("suspended", [False, True], ids=["in time", "too late"])
async def test_whoever_takes_a_partition_over_believes_no_old_state(
    kafka: str,
    unique: str,
    *,
    suspended: bool,
) -> None:
    """Nor one that grew too old while it was loaded."""
    connection, settings = KafkaConnection(kafka), Settings(app_id=unique, partitions=1)
    await ensure_topics(connection, settings)
    names, state = TopicNames.of(settings), PartitionState(0)
    await publish_row(kafka, names, b"img")
    now = 1e9
    async with consuming(connection) as consumer:
        ends = await consumer.end_offsets(list(changelog_partitions(names, [state])))
        await catch_up(consumer, names, state, ends, lambda: now)
        state.apply("images", "ghost", b'{"o":0}')
        now += names.trusted_seconds + (1 if suspended else -1)
        await catch_up(consumer, names, state, ends, lambda: now)
        assert ("ghost" in state.rows["images"]) is not suspended
        assert state.fresh_at == now
        times = iter([now, now + names.trusted_seconds + 1])
        state.apply("images", "ghost", b'{"o":0}')
        await catch_up(consumer, names, state, ends, lambda: next(times, now + names.trusted_seconds + 1))
    assert state.rows["images"].keys() == {"img"}


async def publish_row(
    kafka: str, names: TopicNames, key: bytes, row: bytes = b'{"o":0}', table: str = "images"
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        await producer.send_and_wait(names.changelog(table), row, key, partition=0)


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.05)


@pytest.mark.kafka
async def test_a_warm_state_of_other_topics_is_told_by_their_identity(kafka: str, unique: str) -> None:
    """However far its snapshot was: the row that names the topics is read again, from their beginning."""
    connection, settings = KafkaConnection(kafka), Settings(app_id=unique, partitions=1)
    await ensure_topics(connection, settings)
    names, state = TopicNames.of(settings), PartitionState(0)
    await publish_row(kafka, names, b"@id", b'{"id":"new"}', table="meta")
    await publish_row(kafka, names, b"@offset", b'{"next":1}', table="meta")
    await publish_row(kafka, names, b"img")
    old = {"meta": {"@id": b'{"id":"old"}'}, "images": {"old": b'{"o":0}'}}
    state.restore({**{table: {} for table in TABLES}, **old}, {"meta": 2, "images": 1}, time.time())
    async with consuming(connection) as consumer:
        ends = await consumer.end_offsets(list(changelog_partitions(names, [state])))
        await catch_up(consumer, names, state, ends)
    assert state.rows["images"].keys() == {"img"}
    assert state.identity == b'{"id":"new"}'


@pytest.mark.kafka
async def test_what_is_aborted_is_never_followed(kafka: str, unique: str) -> None:
    """A row of a transaction that was aborted is not there when the next committed row of its table is."""
    connection, settings = KafkaConnection(kafka), Settings(app_id=unique, partitions=1)
    await ensure_topics(connection, settings)
    names = TopicNames.of(settings)
    replica = Replica(connection, names, 1, follows=True)
    following = asyncio.create_task(replica.run())
    try:
        async with (
            asyncio.timeout(30),
            AIOKafkaProducer(**connection.aiokafka_options(), transactional_id=unique) as producer,
        ):
            await producer.begin_transaction()
            await producer.send_and_wait(names.changelog("images"), b'{"o":0}', b"ghost", partition=0)
            await producer.abort_transaction()
            await publish_row(kafka, names, b"img")
            await until(lambda: "img" in replica.states[0].rows["images"])
    finally:
        following.cancel()
    assert replica.states[0].rows["images"].keys() == {"img"}
