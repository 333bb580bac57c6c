"""The seams of a unit: the source of its records, what finds their outcomes, what commits them; its pace."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from schemas.uploads import Record
from streams.fold.changes import PartitionRows
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Outcome
from streams.state.partition import PartitionState
from streams.telemetry.tracing import NO_TRACING, Tracing
from streams.units.aside import PlacesAside
from streams.units.letter_log import DeadLetterLog
from streams.units.meter import UnitMeter
from streams.units.micro_batch import CommitsChanges, MicroBatch
from streams.units.order import Turn

WaitForPredecessors = Callable[[], Awaitable[object]]
"""Waits until all that came before a record, of the same image, is committed."""


class RecordLog(Protocol):
    """Where a unit's records come from: see `streams.kafka.partition_log.PartitionLog`."""

    end_offset: int | None
    reached: int

    @property
    def behind_open_transaction(self) -> int | None:
        """Records that nobody can read yet, as a publisher's transaction is open; None: not known yet."""

    def records(self, offset: int) -> AsyncIterator[Record]:
        """Every record from `offset` on, in order."""


class StateStore(CommitsChanges, Protocol):
    """Where a unit's state is kept: see `streams.units.ledger.Ledger`."""

    state: PartitionState
    streams: dict[str, str]

    @property
    def is_group_offset_due(self) -> bool:
        """Whether the group is to be told how far the log is done, changes or none."""

    async def open(self) -> None:
        """Take the partition over."""

    async def close(self) -> None:
        """Let go."""


class FindsOutcomes(Protocol):
    """What finds outcomes: see `streams.tag.categorizer.Categorizer`."""

    async def outcome(
        self, record: Record, rows: PartitionRows, predecessors: WaitForPredecessors, turn: Turn
    ) -> Outcome:
        """The outcome of a record, found without touching any state."""


@dataclass(frozen=True)
class Work:
    """What a unit does with its records.

    Attributes:
        categorizer: Finds the outcome of each.
        rules: What the fold of outcomes depends on besides them.
        commit: Has a micro-batch folded and committed: `streams.units.micro_batch.fold_and_commit`, by way of
            the Faust agent `commit_outcomes` (streams/app/faust/app.py).
        end_process: Ends the process, saying where it failed and why.
        meter: Counts and times what is committed; None: nobody does.
        tracing: Begins spans of uploads and transactions.
        letters: Tells the log of dead letters.
        places: Where records go that wait for their sources, of all units together.
        overloaded: Whether fetches wait for this worker's own slots or memory, and not for their sources.
        headers: What records of a topic carry besides their own headers: the id of their schema, once known.
    """

    categorizer: FindsOutcomes
    rules: FoldRules
    commit: Callable[[MicroBatch], Awaitable[None]]
    end_process: Callable[[str, BaseException], None]
    meter: UnitMeter | None = None
    tracing: Tracing = NO_TRACING
    letters: DeadLetterLog = field(default_factory=DeadLetterLog)
    places: PlacesAside = field(default_factory=PlacesAside)
    overloaded: Callable[[], bool] = lambda: False
    headers: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Pace:
    """How much a unit takes on.

    Attributes:
        max_in_flight: Most records in work, besides those that are aside.
        max_transaction: Most records in one transaction.
        commit_interval: Seconds between two transactions under load; a lone record does not wait.
        backlog_interval: The same at most, where records queue up in here: see `Committer`.
        sweep_interval: Seconds between two searches for rows that no longer count.
        max_retries: Most records that wait for a retry: see `streams.units.waiting_room`.
        patience: Seconds that a record waits for its source, or its image, before it goes aside.
    """

    max_in_flight: int = 64
    max_transaction: int = 100
    commit_interval: float = 0.0
    backlog_interval: float = 0.0
    sweep_interval: float = 60.0
    max_retries: int = 1000
    patience: float = 1.0
