"""What is counted, on fixed input and without Kafka: `python -m benchmarks.instructions.work`.

Everything is made ready once. Then each run is a process of its own, forked from this one, which does as much
as the one before and one thing more: what they have in common drops out of the difference. The last line says
by name which process did which run, and how many images were counted.
"""

import asyncio
import dataclasses
import functools
import itertools
import json
import os
import random
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import msgspec
import uvloop
from aiokafka.producer.message_accumulator import BatchBuilder

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from support.fakes import NAMES, RULES, ListLog, MemoryStore

from schemas.results import ModelInfo
from schemas.uploads import Record, UploadData
from streams.fetch.addresses import AddressPolicy
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done
from streams.fold.trend_rows.count_rows import CountRowCache
from streams.kafka.connection import KafkaConnection
from streams.state.images.hashes import HashIndex
from streams.state.images.index import ImageIndex
from streams.state.partition import PartitionState
from streams.state.trends.index import TrendIndex
from streams.state.users.index import UserIndex
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.stub import StubTagger
from streams.units.ledger import Ledger
from streams.units.micro_batch import MicroBatch
from streams.units.order import Turn
from streams.units.unit import Unit
from streams.units.work import Pace, Work

GATHERING = dataclasses.replace(RULES, gather=True)  # as workers fold
AT = 1_795_521_600_000  # 2026-11-24T12:00:00Z
ASSIGNED_ABOVE = 0.5  # else no tag is assigned, and none counted
TAGS, PER_IMAGE, USERS = 10_000, 8, 5000
BEFORE = 1000  # images that are known when counting begins
COUNTED = 100  # images of a transaction, and of a unit's log
LIMITS = FetchLimits(1_000_000, 100_000_000, 60.0, 60.0, 64, 64)
Run = Callable[[], Coroutine[None, None, None]]
T = TypeVar("T")


def records(images: int) -> list[Record]:
    """Uploads of different images, a second apart, with eight tags each by Zipf's law."""
    dice = random.Random(1)
    weights = list(itertools.accumulate(1 / (rank + 1) for rank in range(TAGS)))
    found = []
    for number in range(images):
        names: dict[str, float] = {}
        while len(names) < PER_IMAGE:
            names[f"tag{dice.choices(range(TAGS), cum_weights=weights)[0]}"] = 0.9
        url = "data:application/json," + quote(json.dumps(names, separators=(",", ":")))
        user = f"user{dice.randrange(USERS)}"
        event = UploadData(
            public_id=f"image-{number}",
            url=url,
            user_id=user,
            event_id=f"event-{number}",
            auto_tagging=ASSIGNED_ABOVE,
        )
        found.append(
            Record(
                topic=NAMES.uploads,
                partition=0,
                offset=number,
                timestamp=AT + number * 1000,
                key=f"image-{number}".encode(),
                value=msgspec.json.encode(event),
            )
        )
    return found


class Discarding:
    """A producer whose batches are made as ever, and go nowhere."""

    def __init__(self) -> None:
        self._offsets = itertools.count(0, 1_000_000)

    def create_batch(self) -> BatchBuilder:
        """An empty one."""
        return BatchBuilder(1_000_000, 0, is_transactional=1)

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> "asyncio.Future[Sent]":
        """Say that it is there."""
        del topic, partition
        batch.close()
        sent: asyncio.Future[Sent] = asyncio.get_running_loop().create_future()
        sent.set_result(Sent(next(self._offsets)))
        return sent

    async def begin_transaction(self) -> None:
        """Nothing to ask of anybody."""

    async def commit_transaction(self) -> None:
        """Likewise."""

    async def send_offsets_to_transaction(self, offsets: object, group: str) -> None:
        """Likewise."""


class Sent(msgspec.Struct):
    """What Kafka says of a batch that it has."""

    offset: int


class Partition:
    """A partition's state from its beginning, with all indexes or without, and what commits to it."""

    def __init__(self, *, indexed: bool = False) -> None:
        self.state = PartitionState(0)
        self.cache = CountRowCache()
        self.ledger = Ledger(KafkaConnection("nowhere:9092"), NAMES, self.state)
        self.ledger._producer = Discarding()  # type: ignore[assignment]  # noqa: SLF001 - Kafka is left out
        if indexed:
            states = {0: self.state}
            self.state.indexes = [TrendIndex(states), ImageIndex(), UserIndex(), HashIndex()]

    async def fill(self, outcomes: Sequence[Done]) -> None:
        """Fold and commit what comes before; indexes hear of each change."""
        if self.state.indexes:
            await self.state.build_indexes()
        for start in range(0, len(outcomes), COUNTED):
            await self.fold(outcomes[start : start + COUNTED], commit=True)

    async def fold(self, outcomes: Sequence[Done], *, commit: bool) -> None:
        """Fold what a transaction holds; then encode it, put it into batches and apply the rows."""
        changes = Changes(self.state.rows, self.cache)
        for done in outcomes:
            fold(changes, done, GATHERING)
        if commit:
            await self.ledger.commit(changes, outcomes[-1].record.offset + 1)


class Loop:
    """A unit that works a log off, with nothing folded of it."""

    def __init__(self, log: Sequence[Record], categorizer: Categorizer) -> None:
        self._store = MemoryStore()
        self._end = len(log)
        self._done = asyncio.Event()
        work = Work(categorizer, RULES, self._commit, self._fail)
        self._unit = Unit(0, lambda: ListLog(list(log)), self._store, work, Pace(patience=600.0))

    async def run(self) -> None:
        """From the first record to the last."""
        self._unit.start()
        await self._done.wait()
        await self._unit.close()

    async def _commit(self, batch: MicroBatch) -> None:
        await self._store.commit(Changes(self._store.state.rows), batch.next_offset, batch.above)
        if batch.next_offset >= self._end:
            self._done.set()

    def _fail(self, where: str, error: BaseException) -> None:
        raise RuntimeError(where) from error


async def with_categorizer(use: Callable[[Categorizer], Awaitable[None]]) -> None:
    """The real one, which reads what events carry themselves, with the stub tagger."""
    async with AsyncExitStack() as stack:
        fetcher = await stack.enter_async_context(Fetcher(AddressPolicy.parse(""), LIMITS))
        offer = Offer({"imagga_tagging": ModelInfo("stub", "1")}, ("imagga_tagging",))
        await use(Categorizer(fetcher, StubTagger(), offer))


async def outcomes_of(log: Sequence[Record]) -> list[Done]:
    """What the categorizer says of each record."""
    found: list[Done] = []

    async def nobody() -> None:
        """There are no predecessors."""

    async def categorize(categorizer: Categorizer) -> None:
        rows = PartitionState(0).rows
        found.extend([Done(each, await categorizer.outcome(each, rows, nobody, Turn())) for each in log])

    await with_categorizer(categorize)
    return found


async def nothing() -> None:
    """What all runs have in common."""


async def unit(log: Sequence[Record]) -> None:
    """Work a log off, but for the fold."""
    await with_categorizer(lambda categorizer: Loop(log, categorizer).run())


def runs() -> dict[str, Run]:
    """What is done in each process, by name."""
    log = records(BEFORE + COUNTED)
    outcomes = in_loop(lambda: outcomes_of(log))
    before, counted = outcomes[:BEFORE], outcomes[BEFORE:]
    plain, indexed = Partition(), Partition(indexed=True)
    for partition in (plain, indexed):
        in_loop(functools.partial(partition.fill, before))
    return {
        "nothing": nothing,
        "folded": lambda: plain.fold(counted, commit=False),
        "committed": lambda: plain.fold(counted, commit=True),
        "indexed": lambda: indexed.fold(counted, commit=True),
        "unit": lambda: unit(log[:COUNTED]),
        "short_unit": lambda: unit(log[:1]),
    }


def in_loop(work: Callable[[], Coroutine[None, None, T]]) -> T:
    """What a coroutine gives, run in a loop as a worker has it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work())


def main() -> None:
    """Do each run in a process of its own."""
    processes = {}
    for name, run in runs().items():
        child = os.fork()
        if not child:
            in_loop(run)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            raise SystemExit(f"the run {name!r} ended with {status}")
        processes[name] = child
    print(json.dumps({"images": COUNTED, "processes": processes}))


if __name__ == "__main__":
    main()
