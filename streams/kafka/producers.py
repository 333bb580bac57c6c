"""Producers: how one begins, its transactions, and how it is let go of."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaConnectionError

from schemas.topics import MAX_RECORD_BYTES
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming, partitions_of
from streams.kafka.last_transaction import was_committed

COMMIT_DEADLINE = 60.0  # seconds; past it the outcome is unknown
_GOODBYE = 5.0  # seconds that what was sent last may take
_AGAIN = 0.1  # seconds


class CommitTimeoutError(RuntimeError):
    """Whether the transaction was committed is not known."""


@contextlib.asynccontextmanager
async def open_producer(connection: KafkaConnection, **options: object) -> AsyncIterator[AIOKafkaProducer]:
    """Start an idempotent producer, and end it.

    Raises:
        KafkaError: The broker cannot be reached.
    """
    producer = AIOKafkaProducer(**connection.aiokafka_options(), enable_idempotence=True, **options)
    await producer.start()
    try:
        yield producer
    finally:
        await close_producer(producer)


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Let what was sent last reach Kafka, for a while, and stop.

    Where the broker is gone aiokafka's `stop` would wait for ever, and send when nobody expects it.
    """
    try:
        async with asyncio.timeout(_GOODBYE):
            await producer.stop()
    except TimeoutError:
        sending = producer._sender.sender_task  # noqa: SLF001 - `stop` would wait for what it has under way
        while not sending.done():
            sending.cancel()
            await asyncio.wait({sending}, timeout=_AGAIN)
        producer._message_accumulator.fail_all(KafkaConnectionError("Kafka was away"))  # noqa: SLF001
        await producer.client.close()


@contextlib.asynccontextmanager
async def transaction(producer: AIOKafkaProducer) -> AsyncIterator[None]:
    """Run a transaction: committed at the end, aborted where something fails, and not waited for without end.

    Whoever is cancelled within leaves it to the next owner's fence. aiokafka's own context manager would wait
    for the answer to an abort, and where Kafka is away it never comes.

    Raises:
        CommitTimeoutError: There is no answer in time.
    """
    try:
        async with asyncio.timeout(COMMIT_DEADLINE) as deadline:
            await producer.begin_transaction()
            try:
                yield
            except Exception:
                if not producer._txn_manager.is_fatal_error():  # noqa: SLF001 - as aiokafka's own does
                    await producer.abort_transaction()
                raise
            await producer.commit_transaction()
    except TimeoutError as error:
        if not deadline.expired():
            raise
        raise CommitTimeoutError(f"no answer to a commit within {COMMIT_DEADLINE:g} s") from error


async def end_transaction_of(
    producer: AIOKafkaProducer, places: Iterable[TopicPartition], *, committed: bool
) -> None:
    """End what a broker has left open of an earlier owner's transaction, as it had decided.

    One that restarts while it ends a transaction may take partitions without a leader for deleted ones and
    leave out their markers (seen with Kafka 4.3.1: "likely deleted already ... can be skipped"). Others may
    have theirs. An empty transaction of all these partitions, committed or aborted as that one was, ends it
    everywhere. aiokafka itself adds a partition with a record only.
    """
    await producer.begin_transaction()
    for place in places:
        producer._txn_manager.maybe_add_partition_to_txn(place)  # noqa: SLF001
    await (producer.commit_transaction() if committed else producer.abort_transaction())


async def take_over(
    connection: KafkaConnection, transactional_id: str, topics: Iterable[str]
) -> AIOKafkaProducer:
    """Start a producer, so that no earlier owner of its id writes any more, and end what they left open.

    Args:
        connection: How to reach Kafka.
        transactional_id: Whose.
        topics: What is written to under it.

    Raises:
        KafkaError: The broker refuses or does not answer.
    """
    producer = AIOKafkaProducer(
        **connection.aiokafka_options(),
        transactional_id=transactional_id,
        max_request_size=MAX_RECORD_BYTES,
    )
    try:
        await _fence(connection, producer, transactional_id, topics)
    except BaseException:
        await close_producer(producer)
        raise
    return producer


async def _fence(
    connection: KafkaConnection, producer: AIOKafkaProducer, transactional_id: str, topics: Iterable[str]
) -> None:
    async with consuming(connection, "read_uncommitted") as consumer, consuming(connection) as committed_only:
        committed = await was_committed(consumer._client, transactional_id)  # noqa: SLF001 - as the ledger does
        await producer.start()
        places = await partitions_of(consumer, topics)
        stable, ends = await asyncio.gather(committed_only.end_offsets(places), consumer.end_offsets(places))
    held_up = [place for place in places if stable[place] < ends[place]]
    if held_up:
        await end_transaction_of(producer, held_up, committed=committed)
