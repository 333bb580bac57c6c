"""Micro-batches: whatever they hold, the event loop has its turns while they are folded."""

import asyncio
import threading
from collections.abc import Sequence
from functools import partial

import pytest
from support.fakes import RULES, done, upload

from streams.fold.changes import Changes
from streams.fold.outcomes import Done
from streams.state.partition import PartitionState
from streams.state.turns import in_turns
from streams.units import micro_batch
from streams.units.micro_batch import MicroBatch, fold_and_commit


class Store:
    """Takes what is committed, and nothing else."""

    def __init__(self) -> None:
        self.committed: list[Changes] = []

    async def commit(self, changes: Changes, next_offset: int, above: Sequence[int] = ()) -> None:  # noqa: ARG002
        self.committed.append(changes)


def batch_of(outcomes: Sequence[Done], store: Store) -> MicroBatch:
    changes = Changes(PartitionState(0).rows)
    return MicroBatch(store, changes, (), outcomes, RULES, next_offset=len(outcomes))


async def test_an_image_of_many_tags_is_folded_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """However short their names are: each is counted in four windows. The rows come out the same."""
    threads, fold = set[int](), micro_batch.fold

    def noted(*args: object, **more: object) -> None:
        threads.add(threading.get_ident())
        fold(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(micro_batch, "fold", noted)
    tags = [f"{number:x}" for number in range(1000)]
    store = Store()
    await fold_and_commit(batch_of([done(0, upload(tags=tags))], store))
    assert threading.get_ident() not in threads
    assert sum(table == "trends" for table, _, _ in store.committed[0].encoded()) == 4000


async def test_others_have_their_turn_between_small_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch of many events is folded in steps."""
    monkeypatch.setattr(micro_batch, "in_turns", partial(in_turns, turn=0))
    turns, store = 0, Store()

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    outcomes = [done(number, upload(f"img{number}", f"e{number}"), sea=0.9) for number in range(20)]
    await fold_and_commit(batch_of(outcomes, store))
    other.cancel()
    assert turns >= 20
    assert sum(table == "images" for table, _, _ in store.committed[0].encoded()) == 20
