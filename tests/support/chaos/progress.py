"""How far a run of chaos is: what is folded in, what waits, and whether a partition stands still."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from support.cluster import Cluster

STUCK_AFTER = 60.0  # seconds; a dead worker's partitions move after 6, and a fetch may take 30


class Progress:
    """Follows each partition by its committed rows, as any client may.

    A partition is stuck where uploads wait and nothing moves for `STUCK_AFTER` seconds while the broker runs.
    Killed and frozen workers are no excuse: others take over.

    Attributes:
        stuck: How often a partition was.
        longest: The longest time in seconds that one stood still although it had no excuse.
    """

    def __init__(self, cluster: Cluster, clock: Callable[[], float] = time.monotonic) -> None:
        self.stuck = 0
        self.longest = 0.0
        self._cluster = cluster
        self._clock = clock
        self._next: dict[int, int] = {}
        self._ends: dict[int, int] = {}
        self._moved: dict[int, float] = {}
        self._named: set[int] = set()
        self._hits: dict[int, int] = {}
        self._retries: set[tuple[int, bytes]] = set()

    @property
    def folded(self) -> int:
        """The uploads that are folded in."""
        return sum(self._next.values())

    @property
    def retries(self) -> int:
        """The uploads that wait for busy sources."""
        return len(self._retries)

    @property
    def lags(self) -> list[int]:
        """The uploads that wait in each partition."""
        return [self._lag(number) for number in range(self._cluster.partitions)]

    def note_hit(self, partitions: Iterable[int]) -> None:
        """Take note that whoever worked on some partitions was killed or frozen."""
        self._hits |= {partition: self._next.get(partition, 0) for partition in partitions}

    def has_moved(self, partition: int) -> bool:
        """Whether a partition has moved since it was hit: one that is hit again and again never would."""
        return not self._lag(partition) or self._next.get(partition, 0) > self._hits.get(partition, -1)

    async def is_done(self) -> bool:
        """Whether all that the logs hold is folded in: uploads, those sent on, markers of transactions."""
        topic, partitions = self._cluster.names.uploads, range(self._cluster.partitions)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._cluster.bootstrap)
        try:
            await consumer.start()
            ends = await consumer.end_offsets([TopicPartition(topic, number) for number in partitions])
        except KafkaError:
            return False
        finally:
            await consumer.stop()
        for place, end in ends.items():
            self._ends[place.partition] = max(self._ends.get(place.partition, 0), end)
        return not any(self.lags)

    def note_published(self, partition: int, offset: int) -> None:
        """Take note of an upload that the broker has."""
        if self._lag(partition) == 0:
            self._moved[partition] = self._clock()
        self._ends[partition] = max(self._ends.get(partition, 0), offset + 1)

    def look(self, *, broker_up: bool) -> list[str]:
        """What is to be said of partitions that have come to a standstill, or move again."""
        said = []
        for partition in range(self._cluster.partitions):
            if not broker_up or self._lag(partition) == 0:
                self._moved[partition] = self._clock()
            still = self._clock() - self._moved.setdefault(partition, self._clock())
            self.longest = max(self.longest, still)
            if still > STUCK_AFTER and partition not in self._named:
                self.stuck += 1
                self._named.add(partition)
                said.append(f"STUCK: partition {partition}, {self._lag(partition)} uploads wait")
        return said

    def _lag(self, partition: int) -> int:
        return max(self._ends.get(partition, 0) - self._next.get(partition, 0), 0)

    async def run(self) -> None:
        """Follow, for ever; a broker that is away is waited for."""
        while True:
            with contextlib.suppress(KafkaError):
                await self._follow()
            await asyncio.sleep(0.5)

    async def _follow(self) -> None:
        topics = {self._cluster.names.changelog(table): table for table in ("meta", "retries")}
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            partitions = range(self._cluster.partitions)
            consumer.assign([TopicPartition(topic, number) for topic in topics for number in partitions])
            while True:
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        self._note(topics[place.topic], place.partition, record.key, record.value)
        finally:
            await consumer.stop()

    def _note(self, table: str, partition: int, key: bytes, value: bytes | None) -> None:
        if table == "retries":
            act = self._retries.discard if value is None else self._retries.add
            act((partition, key))
        elif key == b"@offset" and value is not None:
            offset = orjson.loads(value)["next"]
            if offset > self._next.get(partition, 0):
                self._next[partition] = offset
                self._moved[partition] = self._clock()
                self._named.discard(partition)
