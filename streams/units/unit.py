"""A unit: one owned partition of the upload topic, from its log to its transactions.

Records are worked on concurrently, and those of one image are applied in the order of the log. While one
transaction commits, the next records are already being fetched, decoded and inferred. A record whose source
is busy leaves that order: it becomes a row of `retries`, is worked on again, beside the others, when it is
due, and is applied when it is done.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from streams.state.partition import PartitionState
from streams.units.committing import Committer
from streams.units.faults import innermost, may_be_fenced
from streams.units.reading import Reader
from streams.units.retrying import Retrier, RetrySchedule
from streams.units.waiting_room import WaitingRoom
from streams.units.window import Window
from streams.units.work import Pace, RecordLog, StateStore, Work

log = logging.getLogger(__name__)

SUSPENSION = 5.0  # seconds: a group that decides anew waits no longer for a broker that does not answer
FENCE_GRACE = 4.0  # seconds: whoever took over, the group's word on it comes with the next heartbeats


@dataclass(frozen=True)
class UnitFigures:
    """How a unit is doing.

    Attributes:
        lag: Records that are not folded in; None: not known yet.
        oldest_timestamp: Kafka's timestamp of the first of them that is in work, in milliseconds, or None.
        in_flight: Records in work.
        waiting: Uploads that wait for a retry, or are in work at a source that is slow.
        oldest_waiting_since: Since when the oldest of these waits, milliseconds since the epoch, or None.
        behind_open_transaction: Records that nobody can read yet; None: not known yet.
    """

    lag: int | None
    oldest_timestamp: int | None
    in_flight: int
    waiting: int
    oldest_waiting_since: int | None
    behind_open_transaction: int | None


class Unit:
    """One partition in work: a reader, a retrier and a committer around one in-flight window.

    Invariants: a record enters only if it is the next of the log that is not folded in; outcomes of one image
    are applied in that order, those that a row of `retries` keeps when they are done; the state's `progress`
    moves only by a commit that also holds what the records in it changed, or that they wait.
    """

    def __init__(
        self,
        partition: int,
        open_log: Callable[[], AbstractAsyncContextManager[RecordLog]],
        store: StateStore,
        work: Work,
        pace: Pace,
    ) -> None:
        self.partition = partition
        self._open_log = open_log
        self._store = store
        self._end_process = work.end_process
        self._schedule = schedule = RetrySchedule()
        room = WaitingRoom(partition, pace.max_retries, schedule.load)
        self._window = Window(store.state, work, pace, room)
        self._reader = Reader(self._window, pace)
        self._retrier = Retrier(store.state, self._window, schedule)
        self._committer = Committer(
            store=store, window=self._window, room=room, retrier=self._retrier, work=work, pace=pace
        )
        self._ready = asyncio.Event()
        self._closing = False
        self._log: RecordLog | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def state(self) -> PartitionState:
        """What is committed."""
        return self._store.state

    @property
    def is_ready(self) -> bool:
        """Whether the state is loaded and the log is read."""
        return self._ready.is_set()

    @property
    def figures(self) -> "UnitFigures":
        """How it is doing, for whoever watches."""
        window, schedule = self._window, self._schedule
        return UnitFigures(
            lag=_lag(self.end_offset, self.state.next_offset),
            oldest_timestamp=window.oldest_timestamp,
            in_flight=len(window),
            waiting=schedule.load.number,
            oldest_waiting_since=schedule.oldest_since,
            behind_open_transaction=self._log.behind_open_transaction if self._log else None,
        )

    @property
    def end_offset(self) -> int | None:
        """The end of the log, as last heard, with what an open transaction hides; None: not heard yet."""
        if self._log is None or self._log.end_offset is None:
            return None
        return self._log.end_offset + (self._log.behind_open_transaction or 0)

    def start(self) -> None:
        """Begin to work, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"unit-{self.partition}")

    async def suspend(self) -> None:
        """Finish the transaction under way, unless that takes long, and begin no other, until `resume`."""
        await self._committer.suspend(SUSPENSION)

    def resume(self) -> None:
        """Go on after `suspend`."""
        self._committer.resume()

    async def close(self) -> None:
        """Finish the transaction under way, then let go; what was not committed is replayed."""
        self._closing = True
        await self._committer.suspend()
        self._ready.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._store.open()
            self._retrier.schedule_all()
            self._window.open()
            self._committer.open()
            log.info("partition %d: %s", self.partition, self._loaded())
            async with self._open_log() as self._log, asyncio.TaskGroup() as tasks:
                self._ready.set()
                tasks.create_task(self._reader.read(self._log, self.state.next_offset))
                tasks.create_task(self._retrier.retry_for_ever())
                tasks.create_task(self._committer.commit_for_ever(self._log))
                tasks.create_task(self._committer.sweep_for_ever())
                tasks.create_task(self._committer.tell_for_ever())
        except Exception as error:  # noqa: BLE001 - whatever it was: loading anew gives the truth
            await self._fail(innermost(error))
        finally:
            self._window.cancel()
            await self._store.close()

    async def _fail(self, cause: BaseException) -> None:
        if may_be_fenced(cause) and self._closing:  # it is another's already, who undid our last transaction
            log.warning("partition %d was taken over before it was given back: %r", self.partition, cause)
            return
        log.critical("partition %d failed", self.partition, exc_info=cause)
        if may_be_fenced(cause):
            self._ready.clear()
            await asyncio.sleep(FENCE_GRACE)
        self._end_process(f"partition {self.partition}", cause)

    def _loaded(self) -> str:
        sizes = ", ".join(f"{len(rows)} {table}" for table, rows in self.state.rows.items())
        return f"at offset {self.state.next_offset} with {sizes}"


def _lag(end: int | None, next_offset: int) -> int | None:
    return None if end is None else max(end - next_offset, 0)
