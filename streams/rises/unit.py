"""Counts in, rises out: reads `tag.counts`, and judges each step once all partitions are past it.

A partition is past a step when its clock is, as its records tell it, and so is one that has nothing left to
fold in. So a backlog is judged as if it had come in time.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.streams.records import Trend
from schemas.times import steady_time
from schemas.topics import TopicNames
from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming, partitions_of
from streams.rises.counts import ReadCounts
from streams.rises.judging import Asked, judge
from streams.rises.ledger import Judged, Progress, RiseLedger
from streams.rises.meter import RiseMeter
from streams.rises.rise import Rise
from streams.rises.watchlists import Watchlists
from streams.rises.windows import Window
from streams.state.turns import in_turns
from streams.units.faults import innermost

log = logging.getLogger(__name__)

GRACE_MS = 5000  # by which uploads may come after their event time and still be in time
_AT_ONCE = 60  # steps of one transaction
_POLL_MS, _RECORDS = 500, 1000
_ASK_EVERY = 2.0  # seconds between two looks at how far uploads are folded in


@dataclass(frozen=True)
class Judging:
    """How rises are judged, who hears if it fails, by topic the header that names its schema, who counts."""

    window: Window
    watchlists: Watchlists
    end_process: Callable[[str, BaseException], None]
    headers: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    meter: RiseMeter | None = None


class RiseUnit:
    """All rises, judged by one process at a time."""

    def __init__(self, connection: KafkaConnection, names: TopicNames, judging: Judging) -> None:
        self._connection = connection
        self._names = names
        self._judging = judging
        self._ledger = RiseLedger(connection, names, judging.headers)
        self._counts = ReadCounts(())
        self._asked = -_ASK_EVERY
        self._task: asyncio.Task[None] | None = None

    @property
    def going_on(self) -> int:
        """Rises that go on."""
        return len(self._ledger.rises)

    def start(self) -> None:
        """Begin to work, in the background."""
        self._task = asyncio.create_task(self._run(), name="rises")

    async def close(self) -> None:
        """Let go; what was not committed is judged again."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._ledger.open()
            log.info("trends: %d rises go on", self.going_on)
            async with consuming(self._connection) as consumer:
                await self._follow(consumer)
        except Exception as error:  # whatever it was: loading anew gives the truth
            log.critical("judging trends failed", exc_info=error)
            self._judging.end_process("trends", innermost(error))
        finally:
            await self._ledger.close()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        places = await partitions_of(consumer, [self._names.tag_counts])
        self._counts = ReadCounts([place.partition for place in places])
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        while [place for place in places if await consumer.position(place) < ends[place]]:
            await self._take(consumer)  # before that, counts that were compacted away are missing
        while True:
            await self._take(consumer)
            moments = await self._due(consumer, places)
            if moments:
                await self._judge(moments)

    async def _take(self, consumer: AIOKafkaConsumer) -> None:
        batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS)
        async for message in in_turns(chain.from_iterable(batches.values())):
            self._counts.take(message)

    async def _due(self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition]) -> Sequence[int]:
        """The steps that all partitions are past."""
        step, clocks = self._judging.window.step_seconds, dict(self._counts.clocks)
        if self._ledger.progress is None:
            begun = [clock for clock in clocks.values() if clock]
            if not begun:
                return ()
            begin = min(begun) // 1000 // step * step
            await self._ledger.commit(Judged(Progress(begin, begin)))
        judged = self._ledger.progress.judged if self._ledger.progress else 0
        needed = (judged + step) * 1000 + GRACE_MS
        now = int(steady_time() * 1000)
        behind = [partition for partition, clock in clocks.items() if clock < needed]
        if behind:
            if now < needed or time.monotonic() < self._asked + _ASK_EVERY:
                return ()
            self._asked = time.monotonic()
            idle = await self._idle(consumer, places, behind)
            clocks |= dict.fromkeys(idle, now)
        limit = (min(clocks.values()) - GRACE_MS) // 1000
        return range(judged + step, limit + 1, step)[:_AT_ONCE]

    async def _idle(
        self, consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], partitions: Sequence[int]
    ) -> list[int]:
        """Those of some partitions in which all uploads are folded in, and all counts of them read."""
        logs = {each: TopicPartition(self._names.upload_log, each) for each in partitions}
        uploads = await consumer.end_offsets(list(logs.values()))
        async with open_admin(self._connection) as admin:
            folded = await admin.list_consumer_group_offsets(
                self._names.app_id, partitions=list(logs.values())
            )
        ends = await consumer.end_offsets(list(places))
        counts = {place.partition: place for place in places}
        found = []
        for partition, log_place in logs.items():
            known = folded.get(log_place)
            done = not uploads[log_place] or (known is not None and known.offset >= uploads[log_place])
            if done and await consumer.position(counts[partition]) >= ends[counts[partition]]:
                found.append(partition)
        return found

    async def _judge(self, moments: Sequence[int]) -> None:
        positions = {str(partition): offset for partition, offset in self._counts.positions.items()}
        judged = Judged(Progress(moments[0], moments[-1], positions))
        judged.told, judged.rises = await asyncio.to_thread(self._judge_all, moments)
        await self._ledger.commit(judged)
        if self._judging.meter is not None:
            self._judging.meter.note(judged.told)
        for trend in judged.told:
            log.info(
                "%s: tag %r of tenant %r, %d uses", trend.phase.value, trend.tag, trend.tenant, trend.observed
            )

    def _judge_all(self, moments: Sequence[int]) -> tuple[list[Trend], dict[tuple[str, str], Rise | None]]:
        """What these steps come to. Nobody changes the counts meanwhile."""
        rises: dict[str, dict[str, Rise]] = {tenant: {} for tenant in self._counts.tenants}
        for (tenant, tag), rise in self._ledger.rises.items():
            rises.setdefault(tenant, {})[tag] = rise
        told: list[Trend] = []
        changed: dict[tuple[str, str], Rise | None] = {}
        watchlists, window = self._judging.watchlists, self._judging.window
        for moment in moments:
            for tenant, going_on in sorted(rises.items()):
                trends = self._counts.tenant(tenant)
                with trends.reading():
                    steps = judge(Asked(tenant, watchlists.of(tenant), window, moment), trends, going_on)
                for tag, step in sorted(steps.items()):
                    told += step.told
                    changed[tenant, tag] = step.rise
                    if step.rise is None:
                        del going_on[tag]
                    else:
                        going_on[tag] = step.rise
        return told, changed
