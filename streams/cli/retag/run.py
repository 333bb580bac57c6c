"""Publishing re-tags, not faster than they are worked off, and following what comes of them."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer

from schemas.origins import TopicPartitionOffset
from schemas.topics import Progress, TopicNames
from streams.cli.retag.differences import TagDifferences
from streams.cli.retag.plan import SOURCE, Selection
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import CommittedOffsets, LogPlaces, OutputFollower, OutputRecord
from streams.kafka.producers import open_producer
from streams.units.faults import innermost

WINDOWS = {
    "rules": 500,
    "model": 64,
    "image": 64,
}  # events in work per partition
_LOOK_INTERVAL = 0.1  # seconds


class Pace:
    """Lets so many through per second."""

    def __init__(self, rate: float | None) -> None:
        self._interval = 1 / rate if rate else 0.0
        self._next = time.monotonic()

    async def wait(self) -> None:
        """Wait for one's turn."""
        if self._interval:
            turn = max(self._next, time.monotonic())
            self._next = turn + self._interval
            await asyncio.sleep(turn - time.monotonic())


class RetagRun:
    """One run of re-tags.

    Attributes:
        done: Events that workers have folded in.
        differences: What they changed.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        selection: Selection,
        *,
        pace: Pace,
        patience: float,
        on_done: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Prepare.

        Args:
            connection: How to reach Kafka.
            names: The deployment's topics.
            selection: Whose events are published.
            pace: How fast, at most.
            patience: Seconds without progress after which it is given up.
            on_done: Called with the number of events that were worked off.
        """
        self.done = 0
        self.differences = TagDifferences()
        self._connection = connection
        self._names = names
        self._selection = selection
        self._pace = pace
        self._patience = patience
        self._on_done = on_done
        self._waiting: dict[int, deque[asyncio.Task[int]]] = {}
        self._moved = asyncio.Condition()

    async def run(self, keys: Mapping[int, Sequence[str]]) -> None:
        """Publish an event for each image, by partition and key of its row, and wait until all are done.

        Raises:
            TimeoutError: Nothing moved for as long as patience lasts.
            KafkaError: The broker refuses or does not answer.
        """
        async with (
            OutputFollower(self._connection, self._names, ("tag-update", "dead-letter")) as follower,
            LogPlaces(self._connection, self._names) as places,
            CommittedOffsets(self._connection, self._names) as committed,
            open_producer(self._connection, linger_ms=5) as producer,
        ):
            try:
                async with asyncio.TaskGroup() as background:
                    tasks = [background.create_task(self._follow(follower))]
                    tasks += [background.create_task(self._watch(committed))]
                    async with asyncio.TaskGroup() as publishing:
                        for partition, chosen in keys.items():
                            publishing.create_task(self._publish(producer, places, partition, chosen))
                    for task in tasks:
                        task.cancel()
            except BaseExceptionGroup as errors:
                raise innermost(errors) from None
            async for answer in follower.rest():
                self._note(answer)

    async def _publish(
        self, producer: AIOKafkaProducer, places: LogPlaces, partition: int, keys: Sequence[str]
    ) -> None:
        window = WINDOWS[self._selection.mode]
        waiting = self._waiting.setdefault(partition, deque())
        for key in keys:
            await self._pace.wait()
            async with self._moved:
                await self._moved.wait_for(lambda: len(waiting) < window)
            event = self._selection.event(self._names, partition, key)
            sending = producer.send(
                event.topic,
                event.value,
                event.key,
                partition=None if self._names.inputs else partition,  # a topic that is copied has its own
                headers=list(event.headers),
            )
            waiting.append(asyncio.create_task(_offset_in_log(await sending, places)))
        async with self._moved:
            await self._moved.wait_for(lambda: not waiting)

    async def _watch(self, committed: CommittedOffsets) -> None:
        """Follow how far the workers are.

        Raises:
            TimeoutError: They do not move.
        """
        moved_at = time.monotonic()
        while True:
            count = self._take_committed(await committed.now())
            now = time.monotonic()
            if count or not any(self._waiting.values()):
                moved_at = now
            elif now - moved_at > self._patience:
                raise TimeoutError(f"nothing was worked off for {self._patience:g} s: is a worker up?")
            if count:
                self.done += count
                self._on_done(count)
                async with self._moved:
                    self._moved.notify_all()
            await asyncio.sleep(_LOOK_INTERVAL)

    def _take_committed(self, committed: Mapping[int, Progress]) -> int:
        count = 0
        for partition, waiting in self._waiting.items():
            progress = committed.get(partition, Progress())
            while waiting and waiting[0].done() and progress.holds(waiting[0].result()):
                waiting.popleft()
                count += 1
        return count

    async def _follow(self, follower: OutputFollower) -> None:
        async for answer in follower.records():
            self._note(answer)

    def _note(self, answer: OutputRecord) -> None:
        if answer.kind == "tag-update":
            source, event_id = answer.value["cause"]["source"], answer.value["cause"]["id"]
        else:
            headers = dict(answer.headers)
            source = (headers.get("ce_source") or b"").decode(errors="replace")
            event_id = (headers.get("ce_id") or b"").decode(errors="replace")
        if source != SOURCE or not event_id.startswith(f"{self._selection.run}/"):
            return
        if answer.fault is not None:
            self.differences.failed[answer.fault.reason] += 1
        else:
            self.differences.note_update(answer.value)


async def _offset_in_log(delivery: "asyncio.Future[Any]", places: LogPlaces) -> int:
    """Where an event that is being published will be, in the partition of its image."""
    sent = await delivery
    _, offset = await places.of(TopicPartitionOffset(sent.topic, sent.partition, sent.offset))
    return offset
