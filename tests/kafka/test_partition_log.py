"""Records whose header names are not UTF-8, made as other clients make them."""

import asyncio
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing

import pytest
from aiokafka import AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.codec import has_lz4, has_snappy, has_zstd
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordBatchBuilderPy
from aiokafka.record.util import calc_crc32c

from schemas.topics import TABLES, TopicNames
from schemas.uploads import Record
from streams.app.settings import Settings
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.kafka import lenient_headers, partition_log
from streams.kafka.admin import ensure_topics, open_admin
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming, open_consumer
from streams.kafka.partition_log import PartitionLog

PLACE = TopicPartition("uploads", 0)
TIME = 1_700_000_000_000
CODECS = {"none": 0, "gzip": 1}
CODECS |= {"snappy": 2} if has_snappy() else {}
CODECS |= {"lz4": 3} if has_lz4() else {}
CODECS |= {"zstd": 4} if has_zstd() else {}
CONTROL = 0x20
ABORT = struct.pack(">hh", 0, 0)

Header = tuple[str, bytes | None]
Given = tuple[int, bytes | None, bytes | None, list[Header]]  # offset, key, value, headers


class RawName(str):
    """A header name that aiokafka's builder in Python writes as other bytes than its own."""

    __slots__ = ("raw",)
    raw: bytes

    def encode(self, _encoding: str = "utf-8", _errors: str = "strict") -> bytes:
        return self.raw


def raw(name: bytes) -> RawName:
    made = RawName("name")
    made.raw = name
    return made


def builder(codec: int = 0, producer_id: int = -1) -> _DefaultRecordBatchBuilderPy:
    return _DefaultRecordBatchBuilderPy(2, codec, producer_id >= 0, producer_id, 0, 0, 1 << 20)


def batch(records: Sequence[Given], *, codec: int = 0, producer_id: int = -1, control: bool = False) -> bytes:
    """Make a batch as the broker gives it: with the offset of its first record."""
    first = records[0][0]
    made = builder(codec, producer_id)
    for offset, key, value, headers in records:
        made.append(offset - first, TIME + offset, key, value, headers)
    data = made.build()
    struct.pack_into(">q", data, 0, first)
    data[22] |= CONTROL if control else 0
    return signed(data)


def signed(data: bytearray) -> bytes:
    struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    return bytes(data)


def plain(offset: int) -> Given:
    return offset, b"k%d" % offset, b"value " * 50, [("größe", b"1"), ("empty", None)]


def poison(offset: int) -> Given:
    names = [raw(b"\xff"), "fine", raw(b"caf\xe9 \xc3\xa9"), raw("größe".encode())]
    return offset, None, None, [(names[0], b"\xff1"), (names[1], b"2"), (names[2], None), (names[3], b"4")]


def as_read(record: Given) -> Given:
    offset, key, value, headers = record
    return offset, key, value, [(name.encode().decode(errors="replace"), text) for name, text in headers]


def reader(data: bytes, offset: int = 0, aborted: Iterable[tuple[int, int]] = ()) -> fetcher.PartitionRecords:
    """Read fetched bytes with what aiokafka's fetcher would take for it."""
    batches = fetcher.MemoryRecords(data)
    return fetcher.PartitionRecords(PLACE, batches, list(aborted), offset, None, None, True, 1)


def given(records: Iterable[ConsumerRecord]) -> Iterator[Given]:
    for record in records:
        assert record.timestamp == TIME + record.offset
        yield record.offset, record.key, record.value, list(record.headers)


@pytest.fixture(autouse=True)
def _aiokafka_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with aiokafka's own classes, and let `open_consumer` put ours there."""
    monkeypatch.setattr(fetcher, "MemoryRecords", lenient_headers.MemoryRecords)
    monkeypatch.setattr(fetcher, "PartitionRecords", lenient_headers.PartitionRecords)


@pytest.fixture
async def opened() -> None:
    """Stand for a process that has opened a consumer."""
    await open_consumer(KafkaConnection()).stop()


def test_aiokafka_needs_help() -> None:
    """The day this fails, `kafka/lenient_headers.py` may go, or aiokafka's fetcher has become another."""
    with pytest.raises(UnicodeDecodeError):
        list(reader(batch([plain(0), poison(1)])))
    with pytest.raises(UnicodeDecodeError):
        list(DefaultRecordBatch(batch([poison(0)])))
    used = fetcher.Fetcher._proc_fetch_request.__code__.co_names
    assert {"MemoryRecords", "PartitionRecords"} <= set(used)


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS)
def test_every_record_is_given_once_in_order(codec: int) -> None:
    """Those before, between, and after; in the same batch and in others; each with its own bytes."""
    batches = [
        [plain(0), plain(1)],
        [plain(2), poison(3), plain(4), poison(5), plain(6)],
        [plain(10)],
        [poison(11)],
        [plain(12), plain(14)],
    ]
    data = b"".join(batch(records, codec=codec) for records in batches)
    read = list(given(reader(data)))
    assert read == [as_read(record) for records in batches for record in records]
    assert [name for name, _ in read[3][3]] == ["\ufffd", "fine", "caf\ufffd é", "größe"]
    for _, key, value, headers in read:
        parts = [key, value, *(text for _, text in headers)]
        assert {type(part) for part in parts} <= {bytes, type(None)}
        assert {type(name) for name, _ in headers} == {str}


@pytest.mark.usefixtures("opened")
@pytest.mark.parametrize("offset", range(2, 6))
def test_reading_begins_anywhere_in_the_batch(offset: int) -> None:
    """A worker resumes at any record of a batch, while the broker gives whole batches."""
    records = [plain(2), poison(3), plain(4), poison(5), plain(6), plain(7)]
    data = batch(records[:4]) + batch(records[4:])
    assert list(given(reader(data, offset))) == [as_read(record) for record in records if record[0] >= offset]


@pytest.mark.usefixtures("opened")
def test_the_position_follows_the_records() -> None:
    """After each record the next fetch would begin behind it, and at the end behind the last batch."""
    records = reader(batch([plain(0), poison(1), plain(2)]) + batch([plain(3)]))
    assert [(record.offset, records.next_fetch_offset) for record in records] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
    ]


@pytest.mark.usefixtures("opened")
def test_what_was_aborted_stays_out() -> None:
    """Records of aborted transactions are not given, be they before or after the name that is not UTF-8."""
    data = b"".join(
        [
            batch([plain(0), poison(1)], producer_id=7),
            batch([plain(2), poison(3)], producer_id=8),
            batch([poison(4)], producer_id=7),
            batch([(5, ABORT, b"", [])], producer_id=7, control=True),
            batch([poison(6)], producer_id=7),
        ]
    )
    read = given(reader(data, aborted=[(7, 0)]))
    assert list(read) == [as_read(record) for record in (plain(2), poison(3), poison(6))]


@pytest.mark.usefixtures("opened")
def test_what_is_corrupt_is_not_skipped() -> None:
    """Records up to there are given; then the reading ends, also behind a name that is not UTF-8."""
    damaged = bytearray(batch([plain(2)]))
    damaged[-1] ^= 1
    shortened = bytearray(batch([plain(2), poison(3)])[:-1])
    struct.pack_into(">i", shortened, 8, len(shortened) - 12)
    for last, records in ((bytes(damaged), 2), (signed(shortened), 3)):
        read = given(reader(batch([plain(0), poison(1)]) + last))
        assert [next(read)[0] for _ in range(records)] == list(range(records))
        with pytest.raises(CorruptRecordException):
            next(read)


@pytest.mark.usefixtures("opened")
def test_other_batches_are_read_by_the_compiled_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The slow decoder is for the rare bad name alone."""
    monkeypatch.delattr(lenient_headers, "_LenientBatches")
    data = batch([plain(0)], codec=1) + batch([plain(1), plain(2)])
    assert list(given(reader(data))) == [plain(0), plain(1), plain(2)]


@pytest.mark.kafka
async def test_the_broker_takes_them_and_the_log_gives_them(
    kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every record comes in order, whatever its header names, in polls that end within batches."""
    monkeypatch.setattr(partition_log, "_MAX_RECORDS", 2)
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(KafkaConnection(kafka), settings)
    topic = TopicNames.of(settings).uploads
    batches = [
        (0, [plain(0)]),
        (0, [plain(1), poison(2), plain(3), poison(4), plain(5)]),
        (1, [plain(6), plain(7), plain(8), poison(9), plain(10)]),
        (0, [plain(11)]),
    ]
    await produce(kafka, topic, batches)
    records = [as_read(record) for _, batch in batches for record in batch]
    for offset in (0, 4, 5, 8, 10):
        async with PartitionLog(KafkaConnection(kafka), topic, 0) as log:
            read = [record async for record in first(log, offset, len(records) - offset)]
        assert [(each.offset, each.key, each.value, list(each.headers)) for each in read] == records[offset:]


async def produce(kafka: str, topic: str, batches: Iterable[tuple[int, Sequence[Given]]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        for codec, records in batches:
            made = producer.create_batch()
            made._builder = builder(codec)
            for offset, key, value, headers in records:
                made.append(timestamp=TIME + offset, key=key, value=value, headers=headers)
            await (await producer.send_batch(made, topic, partition=0))
    finally:
        await producer.stop()


async def first(log: PartitionLog, offset: int, count: int) -> AsyncIterator[Record]:
    async with aclosing(log.records(offset)) as records:
        for _ in range(count):
            yield await anext(records)


@pytest.mark.kafka
async def test_the_log_goes_on_over_what_is_no_record(kafka: str, unique: str) -> None:
    """Markers of a publisher's transactions, and what it aborted: nobody waits for them."""
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(KafkaConnection(kafka), settings)
    topic = TopicNames.of(settings).uploads
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=unique)
    await producer.start()
    try:
        await transact(producer, topic, 1, commit=True)
        await transact(producer, topic, 3, commit=False)
    finally:
        await producer.stop()
    async with PartitionLog(KafkaConnection(kafka), topic, 0) as log, aclosing(log.records(0)) as records:
        assert (await anext(records)).offset == 0
        assert log.reached == 0
        following = asyncio.ensure_future(anext(records))
        async with asyncio.timeout(20):
            while log.reached < 6:
                await asyncio.sleep(0.01)
        assert log.reached == log.end_offset == 6
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


@pytest.mark.kafka
async def test_what_an_open_transaction_holds_back_is_known(kafka: str, unique: str) -> None:
    """Records of it and those behind it are counted until it ends."""
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(KafkaConnection(kafka), settings)
    topic = TopicNames.of(settings).uploads
    async with (
        PartitionLog(KafkaConnection(kafka), topic, 0) as log,
        aclosing(log.records(0)) as records,
        AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=unique) as producer,
    ):
        assert log.behind_open_transaction is None
        reading = asyncio.ensure_future(anext(records))
        await producer.begin_transaction()
        for number in range(3):
            await producer.send_and_wait(topic, b"%d" % number, partition=0)
        async with asyncio.timeout(20):
            while log.behind_open_transaction != 3:
                await asyncio.sleep(0.01)
        assert log.end_offset == 0
        await producer.commit_transaction()
        await reading
        async with asyncio.timeout(20):
            while log.behind_open_transaction:
                await anext(records) if log.reached < 2 else await asyncio.sleep(0.01)
        assert log.end_offset == 4


@pytest.mark.kafka
async def test_a_gap_that_retention_made_is_told_with_the_next_record(kafka: str, unique: str) -> None:
    """Three records were deleted before they were read: the next one says so, those behind it do not."""
    connection, settings = KafkaConnection(kafka), Settings(topic_prefix=f"{unique}.", partitions=1)
    await ensure_topics(connection, settings)
    topic = TopicNames.of(settings).uploads
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for number in range(6):
            await producer.send_and_wait(topic, b"%d" % number, partition=0)
    async with open_admin(connection) as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=4)})
    async with PartitionLog(connection, topic, 0) as log:
        records = [record async for record in first(log, 1, 2)]
    assert [(record.offset, record.skipped) for record in records] == [(4, 3), (5, 0)]


async def transact(producer: AIOKafkaProducer, topic: str, count: int, *, commit: bool) -> None:
    await producer.begin_transaction()
    for number in range(count):
        await producer.send_and_wait(topic, b"%d" % number, partition=0)
    await (producer.commit_transaction() if commit else producer.abort_transaction())


@pytest.mark.kafka
async def test_the_ends_of_many_topics_are_had_at_once(
    kafka: str, unique: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start asks for those of eight: aiokafka alone would sleep before each of them."""
    settings = Settings(app_id=unique, topic_prefix=f"{unique}.", partitions=1)
    connection, names = KafkaConnection(kafka), TopicNames.of(settings)
    await ensure_topics(connection, settings)
    topics = (names.uploads, names.categorizations, names.tag_updates, *map(names.changelog, TABLES))
    places = [TopicPartition(topic, 0) for topic in topics]
    async with consuming(connection) as consumer:
        await consumer.end_offsets(places)  # all of them have leaders now
    async with consuming(connection) as consumer, asyncio.timeout(20):
        monkeypatch.setattr(consumer._fetcher, "_retry_backoff", 3600)
        ends = await consumer.end_offsets(places)
    assert ends == dict.fromkeys(places, 0)


@pytest.mark.kafka
async def test_a_consumer_stops_while_its_broker_is_gone(new_broker: Callable[[], EmbeddedBroker]) -> None:
    """Whoever stops it goes on: to be cancelled for no reason would end a unit without a word."""
    broker = new_broker()
    await asyncio.to_thread(broker.start)
    connection = KafkaConnection(broker.bootstrap_servers)
    settings = Settings(partitions=1)
    await ensure_topics(connection, settings)
    topic = TopicNames.of(settings).uploads
    async with PartitionLog(connection, topic, 0) as log:
        reading = asyncio.create_task(anext(log.records(0)))
        await asyncio.sleep(0.5)
        await asyncio.to_thread(broker.kill)
        await asyncio.sleep(1)  # it tries to connect again and again
        reading.cancel()
    assert log._consumer._client._conns == {}
