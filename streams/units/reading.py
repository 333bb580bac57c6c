"""Reading: from the log into the window, in order, no faster than there is room."""

import asyncio

from schemas.errors import InvariantError
from streams.units.window import Window
from streams.units.work import Pace, RecordLog


class Reader:
    """Lets records begin. Most in work, besides those that are aside: those of the unit's pace."""

    def __init__(self, window: Window, pace: Pace) -> None:
        self._window = window
        self._slots = asyncio.Semaphore(pace.max_in_flight)

    async def read(self, record_log: RecordLog, next_offset: int) -> None:
        """Begin every record from `next_offset` on that is not folded in, for ever.

        Raises:
            InvariantError: An offset comes again, or an earlier one.
        """
        last = next_offset - 1
        async for record in record_log.records(next_offset):
            if record.offset <= last:
                raise InvariantError(f"offset {record.offset} after {last}")
            last = record.offset
            if not self._window.is_folded(record.offset):
                await self._window.wait_until_open()
                await self._slots.acquire()
                self._window.begin_next(record, self._slots)
