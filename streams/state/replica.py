"""The whole state in one worker: partitions that others own are followed by their changelogs.

So any worker answers any question from memory, and a partition that moves here is already warm. What is
read is committed; how far behind it is, `as_of` says.
"""

import asyncio
import contextlib
import functools
import gc
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError

from schemas.answers.trends import PartitionState as PartitionAnswer
from schemas.times import utc_datetime
from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.state.changelogs import CHUNK, absorb, changelog_partitions, forget_if_old
from streams.state.freshness import Freshness
from streams.state.loading import Index
from streams.state.partition import PartitionState

log = logging.getLogger(__name__)

_FRESHNESS_INTERVAL = 1.0  # seconds between two looks at the ends of the logs
_TELL_INTERVAL = 0.1  # seconds between two looks for states that were loaded
_FOREIGN = "partition %d: its snapshot is of other topics, reading the changelogs instead"
_STALLED_AFTER = 5.0  # seconds without progress, while uploads wait
_ASKED_WITHIN = 8  # so often is it asked how long the logs are, within the time that a state is trusted
_POSITION_INTERVAL = 0.005  # seconds between two looks at how far following is


class Replica:
    """The states of all partitions. Those that were not taken by `take` are followed.

    Attributes:
        states: By partition.
    """

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        partitions: int,
        *,
        follows: bool,
        indexes: Sequence[Index] = (),
        prepare: Callable[[], Awaitable[None]] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make the states, empty.

        Args:
            connection: Where the changelogs are.
            names: What they are called.
            partitions: How many partitions there are.
            follows: Whether partitions that were not taken are followed.
            indexes: What is made of the rows.
            prepare: Called once the indexes know every row, before that is called complete.
            clock: Seconds since the epoch.
        """
        self.states = {partition: PartitionState(partition) for partition in range(partitions)}
        self.follows = follows
        for state in self.states.values():
            state.indexes += indexes
        self._prepare = prepare
        self._clock = clock
        self._prepared = prepare is None
        self._connection = connection
        self._names = names
        self._taken: set[int] = set()
        self._changed = asyncio.Event()
        self._ends: dict[int, int] = {}
        self._progress: dict[int, tuple[int, float]] = {}
        self._following: AIOKafkaConsumer | None = None
        self._absorbing = False  # what the consumer has given is not all in the states yet

    def take(self, partition: int) -> PartitionState:
        """Stop following a partition and return its state: from now on the caller feeds it."""
        self._taken.add(partition)
        self._changed.set()
        return self.states[partition]

    def give_back(self, partition: int) -> None:
        """Follow a partition again, from where its state is."""
        self._taken.discard(partition)
        if not self.follows:
            self.states[partition].clear()
        self._changed.set()

    async def run(self) -> None:
        """Follow, for ever, and build the indexes."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._build_indexes())
            tasks.create_task(self._keep_following())

    async def _keep_following(self) -> None:
        """Follow; a broker that is away is waited for."""
        while True:
            try:
                async with (
                    consuming(self._connection) as consumer,
                    consuming(self._connection, "read_uncommitted") as watcher,
                    asyncio.TaskGroup() as tasks,
                ):
                    self._following = consumer
                    tasks.create_task(self._follow(consumer))
                    tasks.create_task(self._watch(watcher))
            except* KafkaError as errors:
                self._ends = {}
                log.warning("following is interrupted: %s", errors.exceptions[0])
            await asyncio.sleep(_FRESHNESS_INTERVAL)

    def as_of(self) -> list[PartitionAnswer]:
        """For each partition how far its state is."""
        return [self._freshness(state) for state in self.states.values() if self._has(state.partition)]

    @property
    def complete(self) -> bool:
        """Whether every partition's state is here, and answers are made of it; not while Kafka is away."""
        return self.loaded and bool(self._ends)

    @property
    def loaded(self) -> bool:
        """Whether every partition's state has been here once, and answers are made of it."""
        return self._prepared and self._all_indexed

    @property
    def behind(self) -> list[int]:
        """The partitions whose uploads wait and make no progress, and those that are not loaded."""
        now = time.monotonic()
        return [
            fresh.partition
            for fresh in self.as_of()
            if not fresh.ready or (fresh.lag and now - self._progress[fresh.partition][1] > _STALLED_AFTER)
        ]

    async def catch_up(self, table: str) -> None:
        """Return once all rows of a table that were committed before the call are here, and the indexes told.

        Whoever calls bounds the time: without Kafka it does not return.
        """
        while True:
            with contextlib.suppress(KafkaError):
                if self._following is not None and self._all_indexed:
                    await self._reach(self._following, await self._ends_of(self._following, table))
                    return
            await asyncio.sleep(_POSITION_INTERVAL)

    async def _ends_of(self, consumer: AIOKafkaConsumer, table: str) -> Mapping[TopicPartition, int]:
        topic = self._names.changelog(table)
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(
            [TopicPartition(topic, partition) for partition in self.states if partition not in self._taken]
        )
        return ends

    async def _reach(self, consumer: AIOKafkaConsumer, ends: Mapping[TopicPartition, int]) -> None:
        """Wait until following is past some offsets; not where somebody else feeds the state meanwhile."""
        for place, end in ends.items():
            while place.partition not in self._taken and (
                self._absorbing or await consumer.position(place) < end
            ):
                if consumer is not self._following:
                    raise IllegalStateError("following has begun anew")
                await asyncio.sleep(_POSITION_INTERVAL)

    @property
    def _all_indexed(self) -> bool:
        return all(state.indexed for state in self.states.values())

    def _has(self, partition: int) -> bool:
        return self.follows or partition in self._taken

    def _freshness(self, state: PartitionState) -> PartitionAnswer:
        end = self._ends.get(state.partition)
        lag = None if end is None else max(end - state.next_offset, 0)
        at = None if state.event_time is None else utc_datetime(state.event_time)
        return PartitionAnswer(state.partition, state.indexed, state.next_offset, lag, at)

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            self._changed.clear()
            followed = [state for number, state in self.states.items() if number not in self._taken]
            if self.follows and followed:
                await self._follow_these(consumer, followed)
            else:
                await self._changed.wait()

    async def _follow_these(self, consumer: AIOKafkaConsumer, followed: list[PartitionState]) -> None:
        began = self._clock()
        for state in followed:
            forget_if_old(state, self._names, began)
            if state.fresh_at is None:
                state.fresh_at = began  # of what is read from its beginning nothing is missed
        places = changelog_partitions(self._names, followed)
        self._absorbing = False
        starts = await consumer.beginning_offsets(list(places))
        ends = await consumer.end_offsets(list(places))
        if self._changed.is_set():
            return
        restored = _mistrust([state for state in followed if not state.loaded], places, ends)
        consumer.assign(list(places))
        for place, (state, table) in places.items():
            consumer.seek(place, max(state.positions[table], starts[place]))
        freshness = Freshness(places, began, ends, self._names.trusted_seconds / _ASKED_WITHIN)
        while not self._changed.is_set():
            batches = await consumer.getmany(timeout_ms=200, max_records=CHUNK)
            if self._forget_old(followed):
                return
            self._absorbing = True
            for place, messages in batches.items():
                state, table = places[place]
                await absorb(state, table, messages, functools.partial(self._follows_still, state.partition))
            self._absorbing = False
            self._forget_foreign(restored)
            if not self._changed.is_set():  # else not all that the consumer has given was absorbed
                await self._note_loaded(consumer, places, ends)
                await freshness.note(consumer, self._clock())

    def _follows_still(self, partition: int) -> bool:
        """Whether it is followed as it was when its changelogs were asked for."""
        return partition not in self._taken and not self._changed.is_set()

    def _forget_old(self, followed: Iterable[PartitionState]) -> bool:
        """Forget states that have not been known to be complete for too long, as after a suspension."""
        ours, now = [state for state in followed if state.partition not in self._taken], self._clock()
        return sum(forget_if_old(state, self._names, now) for state in ours) > 0

    def _forget_foreign(self, restored: dict[int, bytes]) -> None:
        """Begin anew with states whose snapshot turns out to be of another incarnation of the topics."""
        for partition in restored.keys() - self._taken:
            state = self.states[partition]
            if state.identity != restored[partition]:
                log.warning(
                    "partition %d: its snapshot is of other topics, reading the changelogs", partition
                )
                state.clear()
                del restored[partition]
                self._changed.set()

    async def _note_loaded(
        self,
        consumer: AIOKafkaConsumer,
        places: dict[TopicPartition, tuple[PartitionState, str]],
        ends: dict[TopicPartition, int],
    ) -> None:
        waiting = {state.partition for state, _ in places.values() if not state.loaded}
        if not waiting:
            return
        for place, (state, _) in places.items():
            if state.partition in waiting and await consumer.position(place) < ends[place]:
                waiting.discard(state.partition)
        for partition in waiting - self._taken:
            self.states[partition].loaded = True

    async def _build_indexes(self) -> None:
        """Build the indexes of what has been loaded."""
        try:
            while True:
                await self._index_loaded()
                await asyncio.sleep(_TELL_INTERVAL)
        finally:
            gc.unfreeze()

    async def _index_loaded(self) -> None:
        for state in self.states.values():
            await state.forget_cleared()
            if state.loaded and not state.indexed:
                await state.build_indexes()
                gc.freeze()  # rows and indexes stay: a full collection need not visit them each time
        if self._prepare is not None and not self._prepared and self._all_indexed:
            await self._prepare()
            self._prepared = True

    async def _watch(self, consumer: AIOKafkaConsumer) -> None:
        """See how far the logs reach: with what no one may read yet, as a publisher's transaction is open."""
        places = [TopicPartition(self._names.upload_log, partition) for partition in self.states]
        while True:
            try:
                async with asyncio.timeout(_STALLED_AFTER):
                    ends = await consumer.end_offsets(places)
                self._ends = {place.partition: end for place, end in ends.items()}
            except (KafkaError, TimeoutError):
                self._ends = {}  # nobody knows
            for partition, state in self.states.items():
                if self._progress.get(partition, (-1, 0.0))[0] != state.next_offset:
                    self._progress[partition] = (state.next_offset, time.monotonic())
            await asyncio.sleep(_FRESHNESS_INTERVAL)


def _mistrust(
    unloaded: Sequence[PartitionState],
    places: Mapping[TopicPartition, tuple[PartitionState, str]],
    ends: Mapping[TopicPartition, int],
) -> dict[int, bytes]:
    """Have states that snapshots gave prove whose they are; return the identity that each must have.

    It is in `meta`, which is short and so is read from its beginning. What reaches beyond a changelog's end
    is of another incarnation for certain, and is cleared.
    """
    for place, (state, table) in places.items():
        if state in unloaded and state.positions[table] > ends[place]:
            log.warning(
                "partition %d: its snapshot is of other topics, reading the changelogs", state.partition
            )
            state.clear()
    for state in unloaded:
        state.positions["meta"] = 0
    return {state.partition: state.identity for state in unloaded if state.identity is not None}
