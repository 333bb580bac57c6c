"""The unit of work: one owned partition of the upload topic, from its log to its transactions.

Records are worked on concurrently and applied in offset order. While one transaction commits, the
next records are already being fetched, decoded and inferred. A record whose source is busy leaves that
order: it becomes a row of `retries`, and is worked on again, beside the others, when it is due.
"""

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka.errors import KafkaError, ProducerFenced

from schemas.errors import InvariantError
from schemas.times import steady_time
from schemas.uploads import Record
from streams.fold.changes import Changes, PartitionRows, WarmRows
from streams.fold.outcomes import Done, Outcome, Tagged
from streams.fold.retention import Expired
from streams.fold.retries import record_of
from streams.state.partition import PartitionState
from streams.units.order import Entry, Order, Turn
from streams.units.retry_schedule import RetrySchedule
from streams.units.waiting_room import WaitingRoom

log = logging.getLogger(__name__)

SWEPT_PER_TRANSACTION = 200
RETRY_SLOTS = 16  # most retries in work whose sources are not slow
FENCE_GRACE = 4.0  # seconds: whoever took over, the group's word on it comes with the next heartbeats
_UNFELT = 0.5  # of the time that we took for a record: so much more goes unnoticed
_TELL_EVERY = 1.0  # seconds between two looks at whether others know how far we are
_POLL = 0.2  # seconds between two looks at what is due
_CROWDED = 10  # how many times its patience a unit waits for a slot before slow sources give theirs back


class Source(Protocol):
    """Where a unit's records come from: see `streams.kafka.partition_log.PartitionLog`."""

    end_offset: int | None
    reached: int

    def records(self, offset: int) -> AsyncIterator[Record]:
        """Give every record from `offset` on, in order."""


class Books(Protocol):
    """Where a unit's state is kept: see `streams.units.ledger.Ledger`."""

    state: PartitionState

    @property
    def untold(self) -> bool:
        """Tell whether a transaction is due, changes or none, that says how far the log is done."""

    async def open(self) -> None:
        """Take the partition over."""

    async def close(self) -> None:
        """Let go."""

    async def commit(self, changes: Changes, next_offset: int) -> None:
        """Make the changes true, all or none."""


Settled = Callable[[], Awaitable[object]]
Compute = Callable[[Record, PartitionRows, Settled, Turn], Coroutine[Any, Any, Outcome]]


@dataclass(frozen=True)
class Work:
    """What a unit does with its records.

    Attributes:
        compute: Finds a record's outcome and touches no state. Besides the record it gets the committed
            rows, a function that waits until they hold all of its image that comes before it, and its turn.
        fold: Applies an outcome; pure.
        expired: Finds rows that no longer count.
        doom: Ends the process, saying where it failed and why.
    """

    compute: Compute
    fold: Callable[[Changes, Done], None]
    expired: Callable[[PartitionState], list[Expired]]
    doom: Callable[[str, BaseException], None]


@dataclass(frozen=True)
class Pace:
    """How much a unit takes on.

    Attributes:
        max_in_flight: Most records in work.
        max_transaction: Most records in one transaction.
        commit_interval: Seconds between two transactions under load; a lone record does not wait.
        backlog_interval: The same at most, while records wait: half of the time that we took for one of
            those that leave, its source apart. Rare transactions cost less, and nobody feels it: the records
            take longer anyway. Half of `max_in_flight` is always enough.
        sweep_interval: Seconds between two searches for rows that no longer count.
        max_retries: Most records that wait for a retry: see `streams.units.waiting_room`.
        patience: Seconds that a record which is done waits for those before it whose sources are slow.
    """

    max_in_flight: int = 64
    max_transaction: int = 100
    commit_interval: float = 0.0
    backlog_interval: float = 0.0
    sweep_interval: float = 60.0
    max_retries: int = 1000
    patience: float = 0.1


class Unit:
    """One partition in work.

    Invariants: a record enters only if it is the next of the log; outcomes are applied in that order;
    the state's `next_offset` moves only by a commit that also holds what the records before it changed.
    """

    def __init__(
        self,
        partition: int,
        open_source: Callable[[], AbstractAsyncContextManager[Source]],
        books: Books,
        work: Work,
        pace: Pace,
    ) -> None:
        self.partition = partition
        self.books = books
        self.ready = asyncio.Event()
        self.source: Source | None = None
        self._open_source = open_source
        self._work = work
        self._pace = pace
        self._slots = asyncio.Semaphore(pace.max_in_flight)
        self._order = Order()
        self._warm = WarmRows()
        self._schedule = RetrySchedule()
        self._retry_slots = asyncio.Semaphore(RETRY_SLOTS)
        self._room = WaitingRoom(partition, pace.max_retries, self._schedule.waiting, self._schedule.aside)
        self._arrived = asyncio.Event()
        self._expired: list[Expired] = []
        self._last_commit = 0.0
        self._enough = min(pace.max_transaction, max(pace.max_in_flight // 2, 1))
        self._finished = 0  # outcomes that are not committed
        self._awaited = 0  # records that wait for what comes before them of their image to be committed
        self._unapplied = deque[Entry]()  # in the order of the log
        self._ripe = asyncio.Event()  # the next transaction has waited long enough, whatever the clock says
        self._may_commit = asyncio.Event()
        self._may_commit.set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> PartitionState:
        """What is committed."""
        return self.books.state

    @property
    def is_ready(self) -> bool:
        """Whether the state is loaded and the log is read."""
        return self.ready.is_set()

    @property
    def end_offset(self) -> int | None:
        """The end of the log, as last heard; None: not heard yet."""
        return self.source.end_offset if self.source else None

    def start(self) -> None:
        """Begin to work, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"unit-{self.partition}")

    async def suspend(self) -> None:
        """Finish the transaction under way and begin no other, until `resume`."""
        self._may_commit.clear()
        await self._idle.wait()

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._may_commit.set()

    async def close(self) -> None:
        """Finish the transaction under way, then let go; what was not committed is replayed."""
        await self.suspend()
        self.ready.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self.books.open()
            self._schedule_retries()
            log.info("partition %d: %s", self.partition, self._loaded())
            async with self._open_source() as self.source, asyncio.TaskGroup() as tasks:
                self.ready.set()
                tasks.create_task(self._read(self.source))
                tasks.create_task(self._retry_for_ever())
                tasks.create_task(self._commit_for_ever())
                tasks.create_task(self._sweep_for_ever())
                tasks.create_task(self._tell_for_ever())
        except Exception as error:  # whatever it was: loading anew gives the truth
            log.critical("partition %d failed", self.partition, exc_info=error)
            cause = _innermost(error)
            if _may_be_fenced(cause):
                self.ready.clear()
                await asyncio.sleep(FENCE_GRACE)
            self._work.doom(f"partition {self.partition}", cause)
        finally:
            for entry in self._order:
                entry.outcome.cancel()
            await self.books.close()

    def _loaded(self) -> str:
        state = self.books.state
        sizes = ", ".join(f"{len(rows)} {table}" for table, rows in state.rows.items())
        return f"at offset {state.next_offset} with {sizes}"

    async def _read(self, source: Source) -> None:
        last = self.books.state.next_offset - 1
        async for record in source.records(self.books.state.next_offset):
            if record.offset <= last:
                raise InvariantError(f"offset {record.offset} after {last}")
            last = record.offset
            await self._room.enter()
            await self._acquire_slot()
            entry = self._begin(record, self._slots)
            self._order.append(entry)
            self._unapplied.append(entry)

    async def _acquire_slot(self) -> None:
        crowd = asyncio.get_running_loop().call_later(_CROWDED * self._pace.patience, self._note_crowd)
        try:
            await self._slots.acquire()
        finally:
            crowd.cancel()
            self._order.crowded = False

    def _note_crowd(self) -> None:
        self._order.crowded = True
        self._arrived.set()

    def _begin(self, record: Record, slots: asyncio.Semaphore) -> Entry:
        turn = Turn()
        settled = functools.partial(self._wait_for_image, turn)
        outcome = asyncio.create_task(self._work.compute(record, self.books.state.rows, settled, turn))
        entry = Entry(record, outcome, turn, slots)
        outcome.add_done_callback(functools.partial(self._note_finished, entry))
        return entry

    async def _wait_for_image(self, turn: Turn) -> None:
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
        turn.settles = True
        self._note_ripeness()
        try:
            await applied[-1].wait()
        finally:
            turn.settles = False
            turn.go_on()
            self._awaited -= 1
            self._note_ripeness()
            self._arrived.set()  # if its source keeps others waiting from now on, it may go on aside

    def _note_finished(self, entry: Entry, _: object) -> None:
        self._finished += 1
        entry.finish()
        asyncio.get_running_loop().call_later(self._pace.patience, self._note_overdue, entry)
        self._arrived.set()
        self._note_ripeness()

    def _note_overdue(self, entry: Entry) -> None:
        entry.overdue = True
        self._arrived.set()

    def _note_ripeness(self) -> None:
        if self._awaited or self._finished >= self._enough:
            self._ripe.set()
        else:
            self._ripe.clear()

    def _schedule_retries(self) -> None:
        for key, row in self.books.state.rows["retries"].items():
            self._schedule.note(key, row, int(steady_time() * 1000))

    async def _retry_for_ever(self) -> None:
        while True:
            key = self._schedule.take_due(int(steady_time() * 1000))
            if key is None:
                await asyncio.sleep(_POLL)
                continue
            await self._retry_slots.acquire()
            record = record_of(self.books.state.rows["retries"][key], self.partition)
            entry = self._begin(record, self._retry_slots)
            self._order.retry(entry)
            asyncio.get_running_loop().call_later(
                _CROWDED * self._pace.patience, self._note_slow_retry, entry
            )

    def _note_slow_retry(self, entry: Entry) -> None:
        if entry.turn.waits:
            entry.give_slot_back()

    async def _commit_for_ever(self) -> None:
        while True:
            await self._something_to_commit()
            await self._keep_pace()
            await self._may_commit.wait()
            self._idle.clear()
            try:
                await self._commit(*self._order.take(self._pace.max_transaction))
            finally:
                self._idle.set()

    async def _something_to_commit(self) -> None:
        while True:
            self._arrived.clear()
            if self._expired or self.books.untold or self._order.any_leaves or self._may_move_on():
                return
            await self._arrived.wait()

    def _may_move_on(self) -> bool:
        """Tell whether only transactions' markers and the like lie between what is committed and the end."""
        return self._next_offset([]) > self.books.state.next_offset

    def _next_offset(self, entries: list[Entry]) -> int:
        """Give the resume point of a transaction with these entries."""
        done = entries[-1].record.offset + 1 if entries else self.books.state.next_offset
        return max(done, self.source.reached) if self.source and self._order.is_clear else done

    async def _keep_pace(self) -> None:
        """Let more outcomes gather, unless enough have or the last transaction is long past."""
        await self._gather(self._pace.commit_interval)
        await self._gather(min(_UNFELT * self._order.longest_took, self._pace.backlog_interval))
        self._last_commit = time.monotonic()

    async def _gather(self, interval: float) -> None:
        wait = self._last_commit + interval - time.monotonic()
        if wait > 0:
            # Not asyncio.wait_for: in Python 3.11 it may swallow a cancellation, and `close` waits for ever.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._ripe.wait()

    async def _commit(self, late: list[Entry], entries: list[Entry]) -> None:
        state = self.books.state
        changes = Changes(state.rows, self._warm)
        for table, key, expired in self._expired[:SWEPT_PER_TRANSACTION]:
            if state.rows[table].get(key) == expired:  # an image may have come back since
                changes.put(table, key, None)
        del self._expired[:SWEPT_PER_TRANSACTION]
        for entry, outcome in self._outcomes(late, entries):
            full = self._room.is_full and not entry.turn.late
            self._work.fold(changes, Done(entry.record, outcome, self._room.turns_away, full))
            if isinstance(outcome, Tagged) and outcome.is_from_afar:
                self._room.note_success(entry.began)
        in_work = {str(entry.record.offset) for entry in self._order.aside}
        await self.books.commit(changes, self._next_offset(entries))
        now = int(steady_time() * 1000)
        for table, key in changes.written:
            if table != "retries":
                continue
            row = state.rows["retries"].get(key)
            if key in in_work:
                self._schedule.note_aside(key, row)
            else:
                self._schedule.note(key, row, now)
        self._finished -= len(late) + sum(not entry.aside for entry in entries)
        self._note_ripeness()
        for _ in entries:
            self._unapplied.popleft()
        for entry in (*late, *entries):
            entry.applied.set()
            entry.give_slot_back()

    def _outcomes(self, late: list[Entry], entries: list[Entry]) -> Iterator[tuple[Entry, Outcome]]:
        yield from ((entry, entry.outcome.result()) for entry in late)
        yield from ((entry, entry.leave()) for entry in entries)

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._pace.sweep_interval)
            if not self._expired:
                self._expired = await asyncio.to_thread(self._work.expired, self.books.state)
                self._arrived.set()

    async def _tell_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_TELL_EVERY)
            if self.books.untold or self._may_move_on():
                self._arrived.set()


def _innermost(error: BaseException) -> BaseException:
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _may_be_fenced(error: BaseException) -> bool:
    """Tell whether another owner may be why; aiokafka has no class for a fence while a transaction ends."""
    return isinstance(error, ProducerFenced) or type(error) is KafkaError
