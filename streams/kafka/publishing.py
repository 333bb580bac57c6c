"""Publishing upload events and waiting for what becomes of them."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from aiokafka import AIOKafkaProducer

from schemas.origins import TopicPartitionOffset
from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import CommittedOffsets, LogPlaces, OutputFollower, OutputRecord
from streams.kafka.producers import open_producer


async def send_event(
    producer: AIOKafkaProducer, names: TopicNames, event: UploadData
) -> "asyncio.Future[Any]":
    """Hand an event to a producer, keyed by public id; the future is done when Kafka has it."""
    key = (event.public_id or "").encode()
    sent: asyncio.Future[Any] = await producer.send(names.uploads, msgspec.json.encode(event), key)
    return sent


class UploadLog:
    """Publishes upload events, each once whatever happens to connections. Use as an async context manager."""

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self._connection = connection
        self._names = names
        self._places = LogPlaces(connection, names)
        self._stack = contextlib.AsyncExitStack()
        self._producer: Any = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._places)
        self._producer = await self._stack.enter_async_context(open_producer(self._connection))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def publish(self, events: Sequence[UploadData]) -> list[TopicPartitionOffset]:
        """Publish events; return their places once all replicas that are in sync have them.

        Raises:
            OSError: Kafka refuses one, or nobody knows: it may be there or not.
            RuntimeError: Likewise; aiokafka's errors are of this kind.
        """
        sends = [await send_event(self._producer, self._names, event) for event in events]
        sent = await asyncio.gather(*sends)
        return [TopicPartitionOffset(each.topic, each.partition, each.offset) for each in sent]

    async def in_log(self, published: TopicPartitionOffset) -> tuple[int, int]:
        """Wait until a published event is in the log that workers read; partition and offset there."""
        return await self._places.of(published)


@dataclass
class Publication:
    """Events that were published, and what came back so far.

    Attributes:
        waiting: Public id by event id of the events without an answer.
        categorizations: Results by public id.
        dead_letters: Dead letters by public id.
        tag_updates: Tag-updates, in the order in which they came.
    """

    waiting: dict[str, str]
    categorizations: dict[str, OutputRecord] = field(default_factory=dict)
    dead_letters: dict[str, OutputRecord] = field(default_factory=dict)
    tag_updates: list[OutputRecord] = field(default_factory=list)

    def take(self, answer: OutputRecord) -> bool:
        """Take an answer; tell whether it settles one of the events."""
        if answer.kind == "tag-update":
            self.tag_updates.append(answer)
            return False
        public_id = self.waiting.pop(event_id_of(answer), None)
        if public_id is None:
            return False
        kept = self.categorizations if answer.kind == "categorization" else self.dead_letters
        kept[public_id] = answer
        return True


def event_id_of(answer: OutputRecord) -> str:
    """The `event_id` of the plain JSON event that led to an answer."""
    if answer.kind != "dead-letter":
        return str(answer.value["cause"]["id"])
    try:
        return msgspec.json.decode(answer.value or b"", type=UploadData).event_id or ""
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""  # somebody else's


async def publish(
    connection: KafkaConnection, names: TopicNames, events: Sequence[UploadData]
) -> dict[str, str]:
    """Publish events; return each one's public id by its event id. Events without an `event_id` get one."""
    async with open_producer(connection, linger_ms=5) as producer:
        published = {}
        sends = []
        for event in events:
            event.event_id = event.event_id or uuid.uuid4().hex
            sends.append(await send_event(producer, names, event))
            published[event.event_id] = event.public_id or ""
        await asyncio.gather(*sends)
        return published


async def publish_one(
    connection: KafkaConnection,
    names: TopicNames,
    event: UploadData,
    *,
    timeout: float,  # noqa: ASYNC109 - there is no answer without one
) -> list[OutputRecord]:
    """Publish an event; return all that came out of any event until it was folded in.

    Raises:
        TimeoutError: It was published perhaps, and not folded in within `timeout` seconds.
    """
    async with (
        asyncio.timeout(timeout),
        OutputFollower(connection, names) as follower,
        CommittedOffsets(connection, names) as committed,
        UploadLog(connection, names) as uploads,
    ):
        (published,) = await uploads.publish([event])
        await committed.until(*await uploads.in_log(published))
        return [answer async for answer in follower.rest()]


async def publish_and_wait(
    connection: KafkaConnection,
    names: TopicNames,
    events: Sequence[UploadData],
    *,
    timeout: float,  # noqa: ASYNC109 - what is there when it runs out is the answer
    on_answer: Callable[[OutputRecord], None] = lambda _: None,
) -> Publication:
    """Publish events and wait until each has a categorization or a dead letter, or until none comes any more.

    Args:
        connection: How to reach Kafka.
        names: The deployment's topics.
        events: What to publish.
        timeout: Seconds without an answer after which the rest is given up.
        on_answer: Called with each answer as it comes.
    """
    async with OutputFollower(connection, names) as follower:
        publication = Publication(await publish(connection, names, events))
        try:
            async with asyncio.timeout(timeout) as deadline:
                async for answer in _answers(follower, publication):
                    deadline.reschedule(asyncio.get_running_loop().time() + timeout)
                    on_answer(answer)
        except TimeoutError:
            pass  # `publication.waiting` says what is missing
        return publication


async def _answers(follower: OutputFollower, publication: Publication) -> AsyncIterator[OutputRecord]:
    async for answer in follower.records():
        if publication.take(answer):
            yield answer
        if not publication.waiting:
            break
    async for answer in follower.rest():  # the tag-updates of the last answers, in the same transactions
        publication.take(answer)
