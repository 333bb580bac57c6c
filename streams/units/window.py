"""The in-flight window of a unit: records in work, from their beginning to the commit of their outcomes."""

import asyncio
import functools
import itertools
from collections import deque
from collections.abc import Iterable, Iterator

from schemas.uploads import Record
from streams.state.partition import PartitionState
from streams.telemetry.tracing import NO_TRACING, Tracing
from streams.units.order import Entry, Order, Turn
from streams.units.work import FindsOutcomes, Pace


class InFlightWindow:
    """Begins records, and knows when enough of them are done for a transaction.

    Attributes:
        order: Those in work, in the order of the log.
        arrived: Set when there may be something to commit.
        commit_now: Set while the next transaction has waited long enough, whatever the clock says.
    """

    def __init__(
        self, state: PartitionState, categorizer: FindsOutcomes, pace: Pace, tracing: Tracing = NO_TRACING
    ) -> None:
        self.order = Order()
        self.arrived = asyncio.Event()
        self.commit_now = asyncio.Event()
        self._state = state
        self._categorizer = categorizer
        self._tracing = tracing
        self._patience = pace.patience
        self._enough = min(pace.max_transaction, max(pace.max_in_flight // 2, 1))
        self._finished = 0  # outcomes that are not committed
        self._awaited = 0  # records that wait for what comes before them of their image to be committed
        self._unapplied = deque[Entry]()  # in the order of the log

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.order)

    @property
    def oldest_timestamp(self) -> int | None:
        """Kafka's timestamp, in milliseconds, of the first record in work that is not committed."""
        return self._unapplied[0].record.timestamp if self._unapplied else None

    def begin_next(self, record: Record, slots: asyncio.Semaphore) -> None:
        """Begin the next record of the log; its slot is taken, and given back to `slots`."""
        entry = self._begin(record, slots)
        self.order.append(entry)
        self._unapplied.append(entry)

    def begin_retry(self, record: Record, slots: asyncio.Semaphore) -> Entry:
        """Begin a record that left the order without an outcome."""
        entry = self._begin(record, slots)
        self.order.add_late(entry)
        return entry

    def starve(self) -> None:
        """Say that no record can begin, for want of a slot: slow sources give theirs back."""
        self.order.starved = True
        self.arrived.set()

    def feed(self) -> None:
        """Say that records can begin again."""
        self.order.starved = False

    def leave(self, late: Iterable[Entry], in_turn: Iterable[Entry]) -> None:
        """Let go of entries whose outcomes are committed, or that go on parked."""
        late, in_turn = list(late), list(in_turn)
        self._finished -= len(late) + sum(not entry.parked for entry in in_turn)
        self._update_commit_now()
        for _ in in_turn:
            self._unapplied.popleft()
        for entry in (*late, *in_turn):
            entry.applied.set()
            entry.give_slot_back()

    def cancel(self) -> None:
        """Cancel all work; what was not committed is replayed."""
        for entry in self.order:
            entry.outcome.cancel()

    def _begin(self, record: Record, slots: asyncio.Semaphore) -> Entry:
        record, span = self._tracing.begin(record)
        turn = Turn(span=span)
        predecessors = functools.partial(self._wait_for_predecessors, turn)
        outcome = asyncio.create_task(self._categorizer.outcome(record, self._state.rows, predecessors, turn))
        entry = Entry(record, outcome, turn, slots)
        outcome.add_done_callback(functools.partial(self._note_finished, entry))
        return entry

    async def _wait_for_predecessors(self, turn: Turn) -> None:
        """Wait until what came before a record of the same image is committed.

        Records begin in the order of the log: those before it have said which image they are about.
        """
        if turn.late:  # it comes after all that was before it
            return
        before = itertools.takewhile(lambda entry: entry.turn is not turn, self._unapplied)
        applied = [entry.applied for entry in before if entry.turn.image == turn.image]
        if not applied:
            return
        self._awaited += 1
        turn.awaits_predecessors = True
        self._update_commit_now()
        try:
            await applied[-1].wait()
        finally:
            turn.awaits_predecessors = False
            turn.go_on()
            self._awaited -= 1
            self._update_commit_now()
            self.arrived.set()  # if its source keeps others waiting from now on, it may go on parked

    def _note_finished(self, entry: Entry, _: object) -> None:
        self._finished += 1
        entry.finish()
        asyncio.get_running_loop().call_later(self._patience, self._note_overdue, entry)
        self.arrived.set()
        self._update_commit_now()

    def _note_overdue(self, entry: Entry) -> None:
        entry.overdue = True
        self.arrived.set()

    def _update_commit_now(self) -> None:
        if self._awaited or self._finished >= self._enough:
            self.commit_now.set()
        else:
            self.commit_now.clear()
