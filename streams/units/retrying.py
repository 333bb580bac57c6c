"""Retrying: uploads that rows of `retries` keep begin again when they are due."""

import asyncio
import heapq
from collections.abc import Iterable
from typing import NamedTuple

import orjson

from schemas.times import steady_time
from streams.fold.retries import record_of
from streams.state.partition import PartitionState
from streams.units.waiting_room import Load
from streams.units.window import Window

RETRY_SLOTS = 16  # most retries in work whose sources are not slow
_POLL = 0.2  # seconds between two looks at what is due


class Kept(NamedTuple):
    """What a row of `retries` says. Times are milliseconds since the epoch."""

    due: int
    since: int
    size: int


class RetrySchedule:
    """Which rows of `retries` are due when.

    Attributes:
        load: How many there are.
    """

    def __init__(self) -> None:
        self.load = Load()
        self._rows: dict[str, Kept] = {}
        self._heap: list[tuple[int, str]] = []

    @property
    def oldest_since(self) -> int | None:
        """Since when the oldest of them waits, milliseconds since the epoch; None: none does."""
        return min((row.since for row in self._rows.values()), default=None)

    def note(self, key: str, row: bytes | None, now: int) -> None:
        """Take note of a row as it is at `now` (milliseconds); None: it is gone.

        A clock that was set back since the row was written makes nobody wait longer than was meant.
        """
        if (before := self._rows.pop(key, None)) is not None:
            self.load.add(-1, -before.size)
        if row is not None:
            told = orjson.loads(row)
            due = min(int(told["due"]), now + int(told.get("wait", told["due"])))
            self._rows[key] = Kept(due, int(told.get("since", told["due"])), len(row))
            self.load.add(1, len(row))
            heapq.heappush(self._heap, (due, key))

    def take_due(self, now: int) -> str | None:
        """The key of a row that is due at `now` (milliseconds), and was not taken since it changed."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if key in self._rows and self._rows[key].due == due:
                return key
        return None


class Retrier:
    """Begins what is due. Its schedule mirrors the committed rows of `retries`."""

    def __init__(self, state: PartitionState, window: Window, schedule: RetrySchedule) -> None:
        self._state = state
        self._window = window
        self._schedule = schedule
        self._slots = asyncio.Semaphore(RETRY_SLOTS)

    def schedule_all(self) -> None:
        """Take note of every row, once the state is loaded."""
        self.note(self._state.rows["retries"])

    def note(self, keys: Iterable[str]) -> None:
        """Take note of rows that a transaction wrote, or removed."""
        now = _now()
        for key in keys:
            self._schedule.note(key, self._state.rows["retries"].get(key), now)

    async def retry_for_ever(self) -> None:
        """Begin each row that is due, but for those that are in work already."""
        while True:
            key = self._schedule.take_due(_now())
            if key is None:
                await asyncio.sleep(_POLL)
            elif not self._window.works_on(int(key)):
                await self._slots.acquire()
                record = record_of(self._state.rows["retries"][key], self._state.partition)
                self._window.begin_retry(record, self._slots)


def _now() -> int:
    return int(steady_time() * 1000)
