"""Reading: from the log into the window, in order, no faster than there is room."""

import asyncio

from schemas.errors import InvariantError
from streams.units.waiting_room import WaitingRoom
from streams.units.window import InFlightWindow
from streams.units.work import Pace, RecordLog

PATIENCES = 10  # a unit waits so many times its patience for a slot before slow sources give theirs back


class Reader:
    """Lets records begin. Most in work: those of the unit's pace."""

    def __init__(self, window: InFlightWindow, room: WaitingRoom, pace: Pace) -> None:
        self._window = window
        self._room = room
        self._slots = asyncio.Semaphore(pace.max_in_flight)
        self._patience = PATIENCES * pace.patience

    async def read(self, record_log: RecordLog, next_offset: int) -> None:
        """Begin every record from `next_offset` on, for ever.

        Raises:
            InvariantError: An offset comes again, or an earlier one.
        """
        last = next_offset - 1
        async for record in record_log.records(next_offset):
            if record.offset <= last:
                raise InvariantError(f"offset {record.offset} after {last}")
            last = record.offset
            await self._room.enter()
            await self._acquire_slot()
            self._window.begin_next(record, self._slots)

    async def _acquire_slot(self) -> None:
        starving = asyncio.get_running_loop().call_later(self._patience, self._window.starve)
        try:
            await self._slots.acquire()
        finally:
            starving.cancel()
            self._window.feed()
