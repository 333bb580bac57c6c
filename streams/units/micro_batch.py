"""Micro-batches: what leaves a unit together, folded and committed in one transaction."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.times import steady_time
from streams.fold.budgets.usage import remove_expired
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done
from streams.fold.retention import Expired
from streams.fold.rows import ImageKey
from streams.state.turns import in_turns
from streams.telemetry.tracing import NO_TRANSACTION, TransactionSpan
from streams.units.meter import UnitMeter

MANY_TAGS = 50  # that an event brings: each is counted in four windows
LARGE_ROW = 8192  # bytes of an image's row; one with ten tags has some 2,000


class CommitsChanges(Protocol):
    """What makes changes true, all or none: see `streams.units.ledger.Ledger`."""

    async def commit(self, changes: Changes, next_offset: int, above: Sequence[int] = ()) -> None:
        """Commit the changes, and how far the log is folded in: `next` and `above` of `Progress`."""


@dataclass(frozen=True)
class MicroBatch:
    """Outcomes of one partition in the order in which they are folded.

    Attributes:
        store: What commits them.
        changes: What they change, over the state that is committed; empty before the fold.
        expired: Rows that no longer count, which go in the same transaction.
        next_offset: The resume point once the batch is committed.
        taken: How many of the outcomes are of records that the batch takes off the log.
        meter: Is told what was committed; None: nobody is.
        span: What the transaction is traced as.
        above: What is folded in above the resume point: see `schemas.topics.Progress`.
    """

    store: CommitsChanges
    changes: Changes
    expired: Sequence[Expired]
    outcomes: Sequence[Done]
    rules: FoldRules
    next_offset: int
    taken: int = 0
    meter: UnitMeter | None = None
    span: TransactionSpan = NO_TRANSACTION
    above: Sequence[int] = ()


async def _fold_all(batch: MicroBatch) -> None:
    """Fold one after the other; the event loop has its turns, and what takes long is done in a thread.

    Meanwhile nobody changes what is committed: that is for whoever commits this.
    """
    now = int(steady_time() * 1000)
    async for done in in_turns(batch.outcomes):
        if _is_large(batch.changes, done):
            await asyncio.to_thread(fold, batch.changes, done, batch.rules, now)
        else:
            fold(batch.changes, done, batch.rules, now)


def _is_large(changes: Changes, done: Done) -> bool:
    """Whether an event or its image has so many tags that the fold takes milliseconds."""
    upload = done.outcome.upload
    if upload is None:
        return False
    tags = len(upload.data.tags or ())
    return tags > MANY_TAGS or changes.size("images", ImageKey.of(upload).encode()) > LARGE_ROW


async def fold_and_commit(batch: MicroBatch) -> None:
    """Fold a micro-batch into rows and records, and commit these with the resume point in one transaction.

    Raises:
        Exception: What is committed is not known, or another owner took over; the process must end.
    """
    started = time.perf_counter()
    with batch.span.stage("fold"):
        for table, key, row in batch.expired:
            remove_expired(batch.changes, table, key, row)
        await _fold_all(batch)
    folded = time.perf_counter() - started
    with batch.span.stage("commit"):
        await batch.store.commit(batch.changes, batch.next_offset, batch.above)
    if batch.meter is not None:
        batch.meter.note_folded(folded)
        batch.meter.note_committed(batch.taken, batch.outcomes, batch.changes.outputs)
