"""The window. Law: whatever waits, fails or is killed, each record is applied once, in its image's order."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import NAMES, RULES, ListLog, MemoryStore, record

from schemas.dead_letters import Fault
from schemas.times import steady_time
from schemas.uploads import Record
from streams.fold.changes import PartitionRows
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Deferred, Outcome, Parked, Rejected
from streams.fold.retries import RetryPolicy
from streams.units.micro_batch import MicroBatch, fold_and_commit
from streams.units.order import Turn
from streams.units.unit import Unit
from streams.units.work import Pace, WaitForPredecessors, Work

AT_ONCE = FoldRules(NAMES, RULES.retention, RetryPolicy(first=0.001, longest=0.001))


@dataclass
class Life:
    """Workers after one another on one partition; sources and predecessors are waited for by chance."""

    images: list[str | None]
    chance: random.Random
    store: MemoryStore = field(default_factory=MemoryStore)
    applied: list[int] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)
    failures: list[BaseException] = field(default_factory=list)

    def unit(self) -> Unit:
        log = ListLog([record(3 * number) for number in range(len(self.images))])
        work = Work(self, AT_ONCE, self._commit, lambda _, error: self.failures.append(error))
        return Unit(0, lambda: log, self.store, work, Pace(3, 4, sweep_interval=60, patience=0.001))

    async def outcome(
        self, item: Record, _: PartitionRows, predecessors: WaitForPredecessors, turn: Turn
    ) -> Outcome:
        image, luck = self.images[item.offset // 3], self.chance.random()
        if image is not None:
            turn.is_about(image)
        if luck < 0.3:
            await predecessors()
        if luck < 0.7:
            await turn.wait_for_source(None)
            await asyncio.sleep(self.chance.random() * 0.01)
            turn.go_on()
        if 0.5 < luck < 0.7:
            return Deferred(Fault("x", "fetch", True, "E", "m"), int(steady_time() * 1000), None)
        await asyncio.sleep(0)
        return Rejected(Fault("x", "parse", False, "E", "m"))

    async def _commit(self, batch: MicroBatch) -> None:
        await fold_and_commit(batch)
        outcomes = {done.record.offset: done.outcome for done in batch.outcomes}
        waiting = {offset for offset, found in outcomes.items() if isinstance(found, Deferred | Parked)}
        self.kept |= waiting
        self.applied += [offset for offset in outcomes if offset not in waiting]


@pytest.mark.parametrize("window", [6, 1000])
@settings(max_examples=40)
@given(
    st.lists(st.sampled_from(["a", "b", "c", None]), min_size=1, max_size=25),
    st.lists(st.integers(0, 30), max_size=3),
    st.integers(0, 10**6),
)
def test_each_record_is_applied_once_and_images_keep_their_order(
    window: int, images: list[str | None], kills: list[int], seed: int
) -> None:
    """Law: where no row kept one, an image's order is the log's; the watermark ends at the end."""

    async def run() -> None:
        life = Life(images, random.Random(seed))
        for milliseconds in kills:
            unit = life.unit()
            unit.start()
            await asyncio.sleep(milliseconds / 1000)
            await unit.close()
        unit = life.unit()
        unit.start()
        async with asyncio.timeout(20):
            while len(set(life.applied)) < len(images) and not life.failures:
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)
        await unit.close()
        assert life.failures == []
        assert sorted(life.applied) == [3 * number for number in range(len(images))]
        assert len(life.store.outputs) == len(images)
        assert life.store.state.rows["retries"] == {}
        assert life.store.state.next_offset == 3 * len(images) - 2
        for image in set(images) - {None}:
            mine = [offset for offset in life.applied if images[offset // 3] == image]
            assert [offset for offset in mine if offset not in life.kept] == sorted(set(mine) - life.kept)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.units.window.MAX_RECORDS", window)
        asyncio.run(run())
