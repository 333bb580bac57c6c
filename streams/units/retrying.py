"""Retrying: uploads whose sources were busy begin again when they are due."""

import asyncio
from collections.abc import Iterable

from schemas.times import steady_time
from streams.fold.retries import record_of
from streams.state.partition import PartitionState
from streams.units.order import Entry
from streams.units.reading import PATIENCES
from streams.units.retry_schedule import RetrySchedule
from streams.units.window import InFlightWindow
from streams.units.work import Pace

RETRY_SLOTS = 16  # most retries in work whose sources are not slow
_POLL = 0.2  # seconds between two looks at what is due


class Retrier:
    """Begins what is due. Its schedule mirrors the committed rows of `retries`."""

    def __init__(
        self, state: PartitionState, window: InFlightWindow, schedule: RetrySchedule, pace: Pace
    ) -> None:
        self._state = state
        self._window = window
        self._schedule = schedule
        self._slots = asyncio.Semaphore(RETRY_SLOTS)
        self._patience = PATIENCES * pace.patience

    def schedule_all(self) -> None:
        """Take note of every row, once the state is loaded."""
        for key, row in self._state.rows["retries"].items():
            self._schedule.note(key, row, _now())

    def note(self, keys: Iterable[str]) -> None:
        """Take note of rows that a transaction wrote, or removed."""
        parked, now = {str(entry.record.offset) for entry in self._window.order.parked}, _now()
        for key in keys:
            row = self._state.rows["retries"].get(key)
            if key in parked:
                self._schedule.note_parked(key, row)
            else:
                self._schedule.note(key, row, now)

    async def retry_for_ever(self) -> None:
        """Begin each row that is due."""
        while True:
            key = self._schedule.take_due(_now())
            if key is None:
                await asyncio.sleep(_POLL)
                continue
            await self._slots.acquire()
            record = record_of(self._state.rows["retries"][key], self._state.partition)
            entry = self._window.begin_retry(record, self._slots)
            asyncio.get_running_loop().call_later(self._patience, _give_way, entry)


def _give_way(entry: Entry) -> None:
    if entry.turn.waits:
        entry.give_slot_back()


def _now() -> int:
    return int(steady_time() * 1000)
