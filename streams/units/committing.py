"""Committing: what leaves the window, one transaction after the other, and when the next one is due."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence

from schemas.topics import Progress
from streams.fold.changes import Changes
from streams.fold.outcomes import Deferred, Done, Output, Parked, Rejected, Tagged
from streams.fold.retention import Expired, expired_rows
from streams.fold.streams.filling import Filling
from streams.fold.trend_rows.count_rows import CountRowCache
from streams.units.meter import outcome_name
from streams.units.micro_batch import MicroBatch
from streams.units.retrying import Retrier
from streams.units.waiting_room import WaitingRoom
from streams.units.window import Leaving, Window
from streams.units.work import Pace, RecordLog, StateStore, Work

SWEPT_PER_TRANSACTION = 200
_UNFELT = 0.2  # of the time that we took for a record: so much more goes unnoticed
_LOOK_AGAIN = 0.03  # seconds
_TELL_EVERY = 1.0  # seconds between two looks at whether there is anything to do, where nothing comes


class Committer:
    """Has what is done folded and committed, at a pace that nobody feels and the broker can bear."""

    def __init__(
        self,
        *,
        store: StateStore,
        window: Window,
        room: WaitingRoom,
        retrier: Retrier,
        work: Work,
        pace: Pace,
    ) -> None:
        self._store = store
        self._window = window
        self._room = room
        self._retrier = retrier
        self._work = work
        self._pace = pace
        self._count_rows = CountRowCache()
        self._expired: list[Expired] = []
        self._filling = Filling()
        self._last_commit = 0.0
        self._may_commit = asyncio.Event()
        self._may_commit.set()
        self._idle = asyncio.Event()
        self._idle.set()

    def open(self) -> None:
        """Take note of what streams lack, now that the state is loaded."""
        self._filling.begin(self._store.state.rows, self._store.streams)

    async def suspend(self, seconds: float | None = None) -> None:
        """Finish the transaction under way and begin no other, until `resume`.

        Args:
            seconds: So long the transaction is waited for; None: until it ends.
        """
        self._may_commit.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._may_commit.set()

    async def commit_for_ever(self, record_log: RecordLog) -> None:
        """Commit whatever there is to commit.

        Args:
            record_log: Says how far the log reaches where nothing is in work.
        """
        while True:
            await self._something_to_commit(record_log)
            await self._keep_pace()
            await self._may_commit.wait()
            self._idle.clear()
            try:
                await self._commit(record_log)
            finally:
                self._idle.set()

    async def sweep_for_ever(self) -> None:
        """Look for rows that no longer count, once in a while."""
        while True:
            await asyncio.sleep(self._pace.sweep_interval)
            if not self._expired:
                retention, state = self._work.rules.retention, self._store.state
                self._expired = await asyncio.to_thread(expired_rows, retention, state)
                self._window.arrived.set()

    async def tell_for_ever(self) -> None:
        """See to it that others hear how far the log is done, also while nothing comes."""
        while True:
            await asyncio.sleep(_TELL_EVERY)
            self._work.letters.tell_left_out()
            self._window.arrived.set()

    async def _something_to_commit(self, record_log: RecordLog) -> None:
        while True:
            self._window.arrived.clear()
            due = self._filling.is_due or self._store.is_group_offset_due
            if due or self._expired or self._window.take(1) or self._may_move_on(record_log):
                return
            await self._window.arrived.wait()

    def _may_move_on(self, record_log: RecordLog) -> bool:
        """Whether only transactions' markers and the like lie between what is committed and the end."""
        return self._window.is_clear and self._progress(record_log, ()).next > self._store.state.next_offset

    def _progress(self, record_log: RecordLog, leaving: Sequence[Leaving]) -> Progress:
        """What is folded in once a transaction with these is committed."""
        return self._window.progress(leaving, record_log.reached)

    async def _keep_pace(self) -> None:
        """Let more outcomes gather, as long as nobody feels it.

        A lone outcome leaves at once. Under load a transaction begins no sooner than a short interval after
        the one before: that is all there is as long as records are begun as they come. Where they queue up in
        here, it may be a fifth of the time that we took for the one that we kept waiting least. Half of the
        records that may be in work are enough at any time. What comes meanwhile may be in more of a hurry, so
        it is looked anew.
        """
        await self._gather(self._last_commit + self._pace.commit_interval)
        until = self._unfelt_until()
        while not self._window.commit_now.is_set() and until > (now := time.monotonic()):
            await self._gather(min(until, now + _LOOK_AGAIN))
            until = self._unfelt_until()
        self._last_commit = time.monotonic()

    def _unfelt_until(self) -> float:
        return self._last_commit + min(_UNFELT * self._window.took, self._pace.backlog_interval)

    async def _gather(self, until: float) -> None:
        wait = until - time.monotonic()
        if wait > 0:
            # Not asyncio.wait_for: in Python 3.11 it may swallow a cancellation, and `close` waits for ever.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._window.commit_now.wait()

    async def _commit(self, record_log: RecordLog) -> None:
        leaving = self._window.take(self._pace.max_transaction)
        progress = self._progress(record_log, leaving)
        with self._work.tracing.transaction(entry.span for entry, _ in leaving) as span:
            batch = MicroBatch(
                store=self._store,
                changes=Changes(self._store.state.rows, self._count_rows),
                expired=self._expired[:SWEPT_PER_TRANSACTION],
                outcomes=list(self._outcomes(leaving)),
                rules=self._work.rules,
                next_offset=progress.next,
                taken=sum(not entry.is_kept for entry, _ in leaving),
                meter=self._work.meter,
                span=span,
                above=progress.above,
                again=self._filling.take(),
            )
            del self._expired[:SWEPT_PER_TRANSACTION]
            await self._work.commit(batch)
        self._tell(leaving, batch.changes.outputs)
        self._retrier.note(key for table, key in batch.changes.written if table == "retries")
        self._window.leave(leaving)

    def _tell(self, leaving: list[Leaving], outputs: list[Output]) -> None:
        """Tell what is committed: spans end, and the log has each dead letter."""
        for entry, outcome in leaving:
            if not isinstance(outcome, Parked):
                fault = outcome.fault.reason if isinstance(outcome, Deferred | Rejected) else None
                entry.span.end(outcome_name(outcome), fault)
        letters = self._work.rules.names.dead_letters
        self._work.letters.note(output.headers for output in outputs if output.topic == letters)

    def _outcomes(self, leaving: list[Leaving]) -> Iterator[Done]:
        for entry, outcome in leaving:
            full = self._room.is_full and not entry.is_kept
            yield Done(entry.record, outcome, over_limit=self._room.turns_away, over_hard_limit=full)
            if isinstance(outcome, Tagged) and outcome.is_from_afar:
                self._room.note_success(entry.asked)
