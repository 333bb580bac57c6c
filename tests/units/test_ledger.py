"""A unit's transactions, on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, ProducerFenced
from support.cluster import Cluster

from schemas.dead_letters import LEFT_OUT, MAX_WHOLE_BYTES, Fault
from schemas.errors import InvariantError, TopicsError
from schemas.topics import MAX_RECORD_BYTES, TABLES, Progress, TopicNames
from schemas.uploads import MAX_EVENT_BYTES, Record
from streams.app.settings import Settings
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.fold.changes import Changes
from streams.fold.outcomes import Output
from streams.fold.outputs import dead_letter_output
from streams.kafka.admin import create_topics, ensure_topics, open_admin, partition_counts
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.partition_log import PartitionLog
from streams.kafka.topic_ids import topic_id
from streams.state.changelogs import catch_up, changelog_partitions
from streams.state.loading import Loading
from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.units.ledger import Ledger

pytestmark = pytest.mark.kafka


@pytest.fixture
async def names(kafka: str, unique: str) -> TopicNames:
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=2)
    await ensure_topics(KafkaConnection(kafka), settings)
    return TopicNames.of(settings)


def ledger(kafka: str, names: TopicNames, partition: int = 0) -> Ledger:
    return Ledger(KafkaConnection(kafka), names, PartitionState(partition))


async def opened(kafka: str, names: TopicNames, partition: int = 0) -> Ledger:
    owner = ledger(kafka, names, partition)
    await owner.open()
    return owner


async def write(owner: Ledger, key: str, offset: int, *, outputs: int = 0) -> None:
    changes = Changes(owner.state.rows)
    changes.put("images", key, {"o": offset})
    for number in range(outputs):
        changes.emit(Output(owner._names.categorizations, b"k", b"%d" % number))
    await owner.commit(changes, offset + 1)


async def test_what_was_committed_is_loaded(kafka: str, names: TopicNames) -> None:
    """Rows, removals and the resume point survive the owner."""
    first = await opened(kafka, names)
    await write(first, "a", 0)
    await write(first, "b", 1)
    changes = Changes(first.state.rows)
    changes.put("images", "a", None)
    await first.commit(changes, 3)
    await first.close()
    second = await opened(kafka, names)
    assert second.state.rows["images"] == {"b": b'{"o":1}'}
    assert second.state.next_offset == 3
    assert second.state.identity == first.state.identity is not None
    await second.close()


async def test_a_new_owner_fences_the_old_one(kafka: str, names: TopicNames) -> None:
    """A zombie's commit fails, and nothing of it is ever seen."""
    zombie = await opened(kafka, names)
    await write(zombie, "a", 0)
    owner = await opened(kafka, names)
    with pytest.raises(ProducerFenced):
        await write(zombie, "zombie", 1, outputs=3)
    await write(owner, "b", 1)
    fresh = await opened(kafka, names)
    assert set(fresh.state.rows["images"]) == {"a", "b"}
    results = await Cluster(kafka, names.app_id, None, 2).read(names.categorizations)  # type: ignore[arg-type]
    assert results == []
    for each in (zombie, owner, fresh):
        await each.close()


async def test_a_transaction_that_was_left_open_is_undone(kafka: str, names: TopicNames) -> None:
    """An owner that dies between send and commit leaves no trace."""
    dying = await opened(kafka, names)
    await write(dying, "a", 0)
    producer = dying._producer
    assert producer is not None
    await producer.begin_transaction()
    await producer.send_and_wait(names.changelog("images"), b'{"o":1}', b"half", partition=0)
    owner = await opened(kafka, names)
    assert set(owner.state.rows["images"]) == {"a"}
    await owner.close()
    with pytest.raises((KafkaError, ProducerFenced)):
        await producer.commit_transaction()
    await producer.stop()


async def until_ended(kafka: str, names: TopicNames) -> None:
    """Wait until no transaction is open."""
    places = [TopicPartition(names.changelog(table), 0) for table in TABLES]
    connection = KafkaConnection(kafka)
    async with consuming(connection) as committed, consuming(connection, "read_uncommitted") as sent:
        while await committed.end_offsets(places) != await sent.end_offsets(places):
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("forgotten", [{"meta"}, {"images"}, {"meta", "images"}])
@pytest.mark.parametrize("end", ["commit", "abort"])
async def test_what_a_broker_forgot_to_end_is_ended_as_it_had_decided(
    new_broker: Callable[[], EmbeddedBroker], unique: str, forgotten: set[str], end: str
) -> None:
    """As after a restart that took partitions for deleted ones: their records stay open for ever."""
    broker = new_broker()
    broker._properties = {"transaction.partition.verification.enable": "false"}
    await asyncio.to_thread(broker.start)
    kafka, settings = broker.bootstrap_servers, Settings(topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(KafkaConnection(kafka), settings)
    names = TopicNames.of(settings)
    dying = await opened(kafka, names)
    await write(dying, "a", 0)
    producer = dying._producer
    assert producer is not None
    await until_ended(kafka, names)  # or its markers would end what comes next as well
    untold = {TopicPartition(names.changelog(table), 0) for table in forgotten}
    producer._txn_manager._txn_partitions.update(untold)  # it believes that the broker knows of them
    if end == "abort":
        producer.commit_transaction = producer.abort_transaction
    await write(dying, "b", 1, outputs=2)
    await dying.close()
    owner = await opened(kafka, names)
    seen = ["a", "b"] if end == "commit" else ["a"]
    assert (list(owner.state.rows["images"]), owner.state.next_offset) == (seen, len(seen))
    await write(owner, "c", len(seen), outputs=1)
    await owner.close()
    fresh = await opened(kafka, names)
    assert list(fresh.state.rows["images"]) == [*seen, "c"]
    await fresh.close()
    results = await Cluster(kafka, names.app_id, None, 1).read(names.categorizations)  # type: ignore[arg-type]
    assert len(results) == (3 if end == "commit" else 1)


async def test_what_is_folded_in_above_the_watermark_is_loaded(kafka: str, names: TopicNames) -> None:
    """Runs survive the owner, and transactions that leave the watermark alone; their rows are believed."""
    owner = await opened(kafka, names)
    changes = Changes(owner.state.rows)
    changes.put("images", "a", {"o": 6})
    await owner.commit(changes, 5, (1, 3))
    await owner.commit(Changes(owner.state.rows), 5)
    await owner.close()
    successor = await opened(kafka, names)
    assert successor.state.progress == Progress(5, (1, 3))
    await successor.commit(Changes(successor.state.rows), 9)
    assert successor.state.progress == Progress(9)
    await successor.close()


async def test_a_row_beyond_the_resume_point_is_not_believed(kafka: str, names: TopicNames) -> None:
    """A state that contradicts itself ends the process instead of counting on."""
    owner = await opened(kafka, names)
    changes = Changes(owner.state.rows)
    changes.put("images", "a", {"o": 5})
    await owner.commit(changes, 5)
    await owner.close()
    broken = ledger(kafka, names)
    with pytest.raises(InvariantError, match="row 'a' of images holds an event at or beyond"):
        await broken.open()
    await broken.close()


async def group_offset(kafka: str, names: TopicNames) -> int | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(names.app_id)
        return next((found.offset for place, found in offsets.items() if place.partition == 0), None)
    finally:
        await admin.close()


async def test_the_groups_offset_is_told_now_and_then(
    kafka: str, names: TopicNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lag monitors see it follow the log; a transaction without changes tells what is left to tell."""
    owner = await opened(kafka, names)
    assert not owner.is_group_offset_due
    await write(owner, "a", 0)
    assert await group_offset(kafka, names) == 1
    monkeypatch.setattr("streams.units.ledger.TELL_EVERY", 1e9)
    await write(owner, "b", 1)
    assert await group_offset(kafka, names) == 1
    assert not owner.is_group_offset_due, "the last time is not long past"
    monkeypatch.setattr("streams.units.ledger.TELL_EVERY", 0.0)
    assert owner.is_group_offset_due
    await owner.commit(Changes(owner.state.rows), owner.state.next_offset)
    assert await group_offset(kafka, names) == 2
    assert not owner.is_group_offset_due
    await owner.close()


async def test_the_largest_event_fits_as_a_dead_letter(kafka: str, names: TopicNames) -> None:
    """An event of the largest size comes out whole, with its explanation, beside thousands of rows."""
    owner = await opened(kafka, names)
    value = b"x" * MAX_EVENT_BYTES
    record = Record(topic=names.uploads, partition=0, offset=0, timestamp=1, key=b"k", value=value)
    fault = Fault("invalid_json", "parse", False, "E", "m" * 5000)
    changes = Changes(owner.state.rows)
    for _ in range(3):
        changes.emit(dead_letter_output(record, fault, names))
    for number in range(20_000):
        changes.put("images", f"img{number}", {"o": 0, "filler": "y" * 100})
    await owner.commit(changes, 1)
    await owner.close()
    letters = await Cluster(kafka, names.app_id, None, 2).read(names.dead_letters)  # type: ignore[arg-type]
    assert [letter.value for letter in letters] == [value] * 3
    reloaded = await opened(kafka, names)
    assert len(reloaded.state.rows["images"]) == 20_000
    await reloaded.close()


@pytest.mark.parametrize(
    ("value", "headers", "whole"),
    [
        (MAX_WHOLE_BYTES - 200, [("h", b"x" * 100)], True),
        (MAX_RECORD_BYTES, [], False),
        (6_000_000, [], False),
        (1, [("h", b"x" * MAX_RECORD_BYTES)], False),
        (1, [("h", None)] * 360_000, True),
        (1, [("h", None)] * 400_000, False),
    ],
    ids=["largest", "a record's limit", "unpacked", "a large header", "many headers", "more of them"],
)
async def test_every_record_fits_as_a_dead_letter(
    kafka: str, names: TopicNames, value: int, headers: list[tuple[str, bytes | None]], *, whole: bool
) -> None:
    """Whatever somebody got into the topic, no worker fails to say what is wrong with it."""
    owner = await opened(kafka, names)
    original = Record(
        topic=names.uploads, partition=0, offset=0, timestamp=1, key=b"k", value=b"x" * value, headers=headers
    )
    fault = Fault("event_too_large", "parse", False, "E", "m" * 5000)
    changes = Changes(owner.state.rows)
    changes.emit(dead_letter_output(original, fault, names))
    await owner.commit(changes, 1)
    await owner.close()
    (letter,) = await Cluster(kafka, names.app_id, None, 2).read(names.dead_letters)  # type: ignore[arg-type]
    assert letter.value == (original.value if whole else None)
    assert (LEFT_OUT in dict(letter.headers)) != whole


class Notes:
    """An index that notes which images change."""

    table = "images"

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def changed(self, _partition: int, table: str, key: str, _old: bytes | None, _new: bytes | None) -> None:
        self.seen.append(f"{table}/{key}")

    def loading(self, partition: int) -> Loading:
        raise AssertionError(f"all rows of partition {partition} are known")


async def read_on(
    kafka: str, names: TopicNames, state: PartitionState, ends: dict[TopicPartition, int]
) -> None:
    async with consuming(KafkaConnection(kafka)) as consumer:
        await catch_up(consumer, names, state, ends)


async def ends_of(kafka: str, names: TopicNames) -> dict[TopicPartition, int]:
    """The true ends of partition 0's changelogs, open transactions included."""
    async with consuming(KafkaConnection(kafka), "read_uncommitted") as consumer:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(
            list(changelog_partitions(names, [PartitionState(0)]))
        )
        return ends


async def test_a_warm_state_reads_only_what_is_new(kafka: str, names: TopicNames) -> None:
    """A state that was followed is completed from its positions; nothing is applied twice."""
    owner = await opened(kafka, names)
    await write(owner, "a", 0)
    warm = PartitionState(0)
    await read_on(kafka, names, warm, await ends_of(kafka, names))
    seen: list[str] = []
    await warm.build_indexes()
    warm.indexes.append(Notes(seen))
    await write(owner, "b", 1)
    await read_on(kafka, names, warm, await ends_of(kafka, names))
    assert "images/b" in seen
    assert "images/a" not in seen
    assert warm.rows == owner.state.rows
    await owner.close()


async def test_what_is_committed_but_not_stable_yet_is_waited_for(kafka: str, names: TopicNames) -> None:
    """A broker says that a transaction has ended before its markers are written: its rows are not missed."""
    state = PartitionState(0)
    options = KafkaConnection(kafka).aiokafka_options()
    async with AIOKafkaProducer(**options, transactional_id=f"{names.app_id}-0") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(names.changelog("images"), b'{"o":0}', b"late", partition=0)
        ends = await ends_of(kafka, names)
        loading = asyncio.create_task(read_on(kafka, names, state, ends))
        async with consuming(KafkaConnection(kafka)) as consumer:
            place = TopicPartition(names.changelog("images"), 0)
            assert (await consumer.end_offsets([place]))[place] < ends[place]
        assert not loading.done()
        await producer.commit_transaction()
    await loading
    assert state.rows["images"] == {"late": b'{"o":0}'}


async def test_a_state_of_other_topics_is_read_anew(kafka: str, names: TopicNames) -> None:
    """Topics that were recreated have another identity: what a snapshot brought is dropped."""
    owner = await opened(kafka, names)
    for number in range(5):
        await write(owner, f"new{number}", number)
    stale = PartitionState(0)
    stale.apply("images", "old", b'{"o":1}')
    stale.apply("meta", "@id", b'{"id":"another"}')
    stale.apply("meta", "@offset", b'{"next":2}')
    stale.positions["images"] = 2
    await read_on(kafka, names, stale, await ends_of(kafka, names))
    assert stale.rows == owner.state.rows
    await owner.close()


async def test_a_log_that_is_shorter_than_the_state_is_refused(kafka: str, names: TopicNames) -> None:
    """The upload topic was recreated below a state that has more of it: say so, do not guess."""
    async with PartitionLog(KafkaConnection(kafka), names.uploads, 0) as log:
        with pytest.raises(TopicsError, match="choose a new app_id"):
            await anext(log.records(7))


async def test_followers_see_commits_and_hand_over(kafka: str, names: TopicNames) -> None:
    """A replica follows what others own, stops while a partition is taken, and goes on after."""
    owner = await opened(kafka, names)
    await write(owner, "a", 0)
    replica = Replica(KafkaConnection(kafka), names, 2, follows=True)
    following = asyncio.create_task(replica.run())
    rows = replica.states[0].rows["images"]
    async with asyncio.timeout(10):
        while not replica.complete or "a" not in rows:
            await asyncio.sleep(0.02)
        replica.take(0)
        await write(owner, "b", 1)
        await asyncio.sleep(0.5)
        assert "b" not in rows
        replica.give_back(0)
        while "b" not in rows:
            await asyncio.sleep(0.02)
    assert replica.states[0].rows == owner.state.rows
    assert [fresh.partition for fresh in replica.as_of()] == [0, 1]
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    await owner.close()


async def test_topics_with_unequal_partitions_are_refused(kafka: str, unique: str) -> None:
    """The error lists the topics and says what to do."""
    from aiokafka.admin import NewTopic  # noqa: PLC0415 - this test alone makes a wrong topic

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics(
        [NewTopic(f"{unique}.image.uploads", 3, 1), NewTopic(f"{unique}.image.tag-updates", 2, 1)]
    )
    await admin.close()
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.")
    with pytest.raises(TopicsError, match=r"image.uploads=3.*choose another app_id"):
        await ensure_topics(KafkaConnection(kafka), settings)


async def test_whoever_catches_up_has_what_was_committed_before(kafka: str, names: TopicNames) -> None:
    """A follower that is asked to catch up returns with every row that any owner had committed by then."""
    owner = await opened(kafka, names)
    replica = Replica(KafkaConnection(kafka), names, 2, follows=True)
    following = asyncio.create_task(replica.run())
    try:
        for number in range(5):
            await write(owner, f"image-{number}", number)
            async with asyncio.timeout(20):
                await replica.catch_up("images")
            assert f"image-{number}" in replica.states[0].rows["images"]
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await owner.close()


async def test_an_upload_topic_that_was_recreated_is_refused(kafka: str, names: TopicNames) -> None:
    """However long it has become: its first records would be taken for those that were folded in."""
    owner = await opened(kafka, names)
    await write(owner, "a", 0)
    await owner.close()
    connection = KafkaConnection(kafka)
    settings = Settings(app_id=names.app_id, topic_prefix=names.prefix, partitions=2)
    async with open_admin(connection) as admin:
        await admin.delete_topics([names.uploads])
        while names.uploads in await partition_counts(admin):
            await asyncio.sleep(0.05)
        await create_topics(admin, settings, [names.uploads])
    again = ledger(kafka, names)
    with pytest.raises(
        TopicsError, match=r"was recreated: .* 1 records of partition 0 .* choose a new app_id"
    ):
        await again.open()
    await again.close()
    async with consuming(connection) as consumer:
        copy = await topic_id(consumer._client, names.uploads)
    accepting = Ledger(connection, names, PartitionState(0), accepted=str(copy))
    await accepting.open()
    await write(accepting, "b", 1)
    await accepting.close()
    reopened = await opened(kafka, names)
    assert reopened.state.uploads_id == str(copy)
    await reopened.close()
    other = await opened(kafka, names, partition=1)  # nothing was folded in there
    await other.close()


async def test_two_applications_on_the_same_uploads_keep_retries_apart(kafka: str, unique: str) -> None:
    """Blue and green share the event topics; what one has done with an upload is not done for the other."""
    connection = KafkaConnection(kafka)
    blue, green = (TopicNames(f"{unique}-{colour}", f"{unique}.") for colour in ("blue", "green"))
    row = {"o": 0, "due": 0, "reason": "http_503"}
    for names in (blue, green):
        await ensure_topics(
            connection, Settings(app_id=names.app_id, topic_prefix=names.prefix, partitions=1)
        )
        owner = await opened(kafka, names)
        assert owner.state.rows["retries"] == {}
        changes = Changes(owner.state.rows)
        changes.put("retries", "0", row)
        await owner.commit(changes, 1)
        if names is green:
            changes = Changes(owner.state.rows)
            changes.put("retries", "0", None)
            await owner.commit(changes, 2)
        await owner.close()
    again = await opened(kafka, blue)
    assert list(again.state.rows["retries"]) == ["0"]
    await again.close()


async def test_a_record_that_is_sent_on_is_in_the_transaction(kafka: str, names: TopicNames) -> None:
    """It lies where its image is once its transaction is committed, and never if that is refused."""
    zombie = await opened(kafka, names)
    changes = Changes(zombie.state.rows)
    changes.emit(Output(names.uploads, b"img", b"first", (), 1))
    await zombie.commit(changes, 1)
    owner = await opened(kafka, names)
    changes = Changes(zombie.state.rows)
    changes.emit(Output(names.uploads, b"img", b"second", (), 1))
    with pytest.raises(KafkaError):
        await zombie.commit(changes, 2)
    await write(owner, "img", 1)
    changes = Changes(owner.state.rows)
    changes.emit(Output(names.uploads, b"img", b"third", (), 1))
    await owner.commit(changes, 3)
    async with PartitionLog(KafkaConnection(kafka), names.uploads, 1) as log:
        found = [record.value async for record in _first_two(log)]
    assert found == [b"first", b"third"]
    await zombie.close()
    await owner.close()


async def _first_two(log: PartitionLog) -> AsyncIterator[Record]:
    async with asyncio.timeout(20):
        seen = 0
        async for record in log.records(0):
            yield record
            seen += 1
            if seen == 2:
                return


async def test_the_ends_of_a_catch_up_are_those_of_the_logs(
    kafka: str, names: TopicNames, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the last stable offsets: what is decided may not be stable yet."""
    asked: dict[TopicPartition, int] = {}

    async def note(
        _consumer: object, _names: object, _state: object, ends: dict[TopicPartition, int]
    ) -> None:
        asked.update(ends)

    monkeypatch.setattr("streams.units.ledger.catch_up", note)
    images = TopicPartition(names.changelog("images"), 0)
    options = KafkaConnection(kafka).aiokafka_options()
    async with AIOKafkaProducer(**options, transactional_id=f"{names.app_id}-stranger") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(images.topic, b'{"o":0}', b"late", partition=0)
        owner = await opened(kafka, names)
        await producer.abort_transaction()
    await owner.close()
    assert asked[images] >= 1
