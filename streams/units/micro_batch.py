"""Micro-batches: what leaves a unit together, folded and committed in one transaction."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from schemas.times import steady_time
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done
from streams.fold.retention import Expired
from streams.telemetry.tracing import NO_TRANSACTION, TransactionSpan
from streams.units.meter import UnitMeter


class CommitsChanges(Protocol):
    """What makes changes true, all or none: see `streams.units.ledger.Ledger`."""

    async def commit(self, changes: Changes, next_offset: int) -> None:
        """Commit the changes, and the first offset that is not folded in."""


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


async def fold_and_commit(batch: MicroBatch) -> None:
    """Fold a micro-batch into rows and records, and commit these with the resume point in one transaction.

    Raises:
        Exception: What is committed is not known, or another owner took over; the process must end.
    """
    started = time.perf_counter()
    with batch.span.stage("fold"):
        for table, key, row in batch.expired:
            batch.changes.remove_unchanged(table, key, row)
        now = int(steady_time() * 1000)
        for done in batch.outcomes:
            fold(batch.changes, done, batch.rules, now)
    folded = time.perf_counter() - started
    with batch.span.stage("commit"):
        await batch.store.commit(batch.changes, batch.next_offset)
    if batch.meter is not None:
        batch.meter.note_folded(folded)
        batch.meter.note_committed(batch.taken, batch.outcomes, batch.changes.outputs)
