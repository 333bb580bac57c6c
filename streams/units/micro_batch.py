"""Micro-batches: what leaves a unit together, folded and committed in one transaction."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done
from streams.fold.retention import Expired
from streams.telemetry.tracing import NO_TRANSACTION, TransactionSpan
from streams.units.meter import UnitMeter


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


async def fold_and_commit(batch: MicroBatch) -> None:
    """Fold a micro-batch into rows and records, and commit these with the resume point in one transaction.

    Raises:
        Exception: What is committed is not known, or another owner took over; the process must end.
    """
    started = time.perf_counter()
    with batch.span.stage("fold"):
        for table, key, row in batch.expired:
            batch.changes.remove_unchanged(table, key, row)
        for done in batch.outcomes:
            fold(batch.changes, done, batch.rules)
    folded = time.perf_counter() - started
    with batch.span.stage("commit"):
        await batch.store.commit(batch.changes, batch.next_offset, batch.above)
    if batch.meter is not None:
        batch.meter.note_folded(folded)
        batch.meter.note_committed(batch.taken, batch.outcomes, batch.changes.outputs)
