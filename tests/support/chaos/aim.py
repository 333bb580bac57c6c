"""Aiming: a worker is hit while it is inside a transaction of the partition that it owns."""

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Collection
from typing import NamedTuple

import httpx
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from support.cluster import Cluster

_OWNED = re.compile(r'tagstream_partition_ready\{[^}]*partition="(\d+)"[^}]*\} 1')
_OWNERS_INTERVAL = 0.5  # seconds between two looks at who owns what
_SURE_AFTER = 0.4  # seconds in which an open transaction of a living owner would have ended, or moved on
_PATIENCE = 5.0  # seconds that a broker is waited for


class Target(NamedTuple):
    """A worker that is inside a transaction, as far as can be seen from outside.

    Attributes:
        place: The changelog partition whose last stable offset is behind its end.
        stable: That offset.
        end: That end.
    """

    worker: int
    place: TopicPartition
    stable: int
    end: int


class Aim:
    """Watches the changelogs of the table `meta`, which every transaction writes to, as any client may.

    Who owns a partition is told by the workers' metrics. Whether a hit was inside is looked at afterwards:
    the transaction of one who is dead or frozen stays open until somebody else fences it.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._owners: dict[int, int] = {}
        self._consumers: list[AIOKafkaConsumer] = []
        self._ready = asyncio.Event()

    async def run(self) -> None:
        """Keep watching, for ever; a broker that is away is waited for."""
        while True:
            with contextlib.suppress(KafkaError):
                await self._watch()
            self._ready.clear()
            await asyncio.sleep(_OWNERS_INTERVAL)

    async def _watch(self) -> None:
        isolations = ("read_committed", "read_uncommitted")
        self._consumers = [
            AIOKafkaConsumer(bootstrap_servers=self._cluster.bootstrap, isolation_level=isolation)
            for isolation in isolations
        ]
        try:
            for consumer in self._consumers:
                await consumer.start()
            self._ready.set()
            while True:
                self._owners = await self._who_owns()
                await asyncio.sleep(_OWNERS_INTERVAL)
        finally:
            self._ready.clear()
            for consumer in self._consumers:
                await consumer.stop()

    async def _who_owns(self) -> dict[int, int]:
        owners: dict[int, int] = {}
        for worker, process in self._cluster.processes.items():
            if process.returncode is None:
                with contextlib.suppress(httpx.HTTPError, TimeoutError):
                    async with asyncio.timeout(_OWNERS_INTERVAL):
                        told = await self._cluster.metrics(worker)
                    owners |= {int(partition): worker for partition in _OWNED.findall(told)}
        return owners

    def owned_by(self, worker: int) -> list[int]:
        """The partitions that a worker works on, as far as is known."""
        return [partition for partition, owner in self._owners.items() if owner == worker]

    async def hit(
        self, workers: Callable[[], Collection[int]], strike: Callable[[int], object], patience: float
    ) -> Target | None:
        """Strike the first worker that is seen inside a transaction; None: nobody was for so many seconds."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self._ready.wait()
                    target = self._inside(await self._open(), workers())
                if target is not None:
                    strike(target.worker)
                    return target
            await asyncio.sleep(0)
        return None

    async def was_inside(self, target: Target) -> bool:
        """Whether a hit left its transaction open."""
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                first = (await self._open()).get(target.place)
                await asyncio.sleep(_SURE_AFTER)
                return first is not None and (await self._open()).get(target.place) == first
        return False

    async def _open(self) -> dict[TopicPartition, tuple[int, int]]:
        """Where a transaction is open: the last stable offset, and the end."""
        topic = self._cluster.names.changelog("meta")
        places = [TopicPartition(topic, number) for number in range(self._cluster.partitions)]
        stable, ends = await asyncio.gather(*(each.end_offsets(places) for each in self._consumers))
        return {place: (stable[place], ends[place]) for place in places if stable[place] < ends[place]}

    def _inside(
        self, found: dict[TopicPartition, tuple[int, int]], workers: Collection[int]
    ) -> Target | None:
        for place, (stable, end) in found.items():
            worker = self._owners.get(place.partition)
            if worker in workers and worker is not None:
                return Target(worker, place, stable, end)
        return None
