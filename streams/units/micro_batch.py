"""Micro-batches: what leaves a unit together, folded and committed in one transaction."""

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from schemas.times import steady_time
from streams.fold.budgets.usage import remove_expired
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done, Outcome
from streams.fold.retention import Expired
from streams.fold.rows import ImageKey
from streams.fold.streams.filling import Portion
from streams.state.turns import in_turns
from streams.telemetry.tracing import NO_TRANSACTION, TransactionSpan
from streams.units.meter import UnitMeter

MANY_TAGS = 50  # of an event: each is counted in four windows, which takes milliseconds
_BYTES_PER_TAG = 160  # of an image's row; one with ten tags has some 2,000


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
        again: What streams are told again.
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
    again: Portion = field(default_factory=Portion)


async def _fold_all(batch: MicroBatch) -> None:
    """Fold one after the other; the event loop has its turns, and what takes long is done in a thread.

    Meanwhile nobody changes what is committed: that is for whoever commits this.
    """
    now, sizes = int(steady_time() * 1000), functools.partial(batch.changes.size, "images")
    async for done in in_turns(batch.outcomes):
        if tags_touched(sizes, done.outcome):
            await asyncio.to_thread(fold, batch.changes, done, batch.rules, now)
        else:
            fold(batch.changes, done, batch.rules, now)


def tags_touched(rows: Callable[[str], int], outcome: Outcome) -> int:
    """About how many tags folding an outcome adds and removes; few are 0, as for most events.

    Args:
        rows: The bytes of an image's row, by its key; 0: there is none.
        outcome: What became of an event.
    """
    upload = outcome.upload
    if upload is None:
        return 0
    tags = len(upload.data.tags or ()) + rows(ImageKey.of(upload).encode()) // _BYTES_PER_TAG
    return tags if tags > MANY_TAGS else 0


async def fold_and_commit(batch: MicroBatch) -> None:
    """Fold a micro-batch into rows and records, and commit these with the resume point in one transaction.

    Raises:
        Exception: What is committed is not known, or another owner took over; the process must end.
    """
    started, retention = time.perf_counter(), batch.rules.retention
    with batch.span.stage("fold"):
        for expired in batch.expired:
            remove_expired(batch.changes, retention, *expired)
        await _fold_all(batch)
        batch.again.apply(batch.changes, retention)
    folded = time.perf_counter() - started
    with batch.span.stage("commit"):
        await batch.store.commit(batch.changes, batch.next_offset, batch.above)
    if batch.meter is not None:
        batch.meter.note_folded(folded)
        batch.meter.note_committed(batch.taken, batch.outcomes, batch.changes.outputs)
