"""Admission control: one fetch's way into memory.

Its deadline stands still while it waits for room: that is no fault of the source.
"""

import asyncio
from collections.abc import Awaitable, Callable

from streams.fetch.errors import SourceBusyError
from streams.fetch.room.byte_budget import Reservation

_COME_BACK_AFTER = 1.0  # seconds


class Admission:
    """Admits an image's bytes as far as there is room.

    Args of the constructor: the image's memory; the seconds that its source has, and as many again to wait
    for room.
    """

    def __init__(self, reservation: Reservation, seconds: float) -> None:
        self._reservation = reservation
        self._deadline = asyncio.timeout(seconds)
        self._patience = seconds

    async def run(self, get: Callable[["Admission"], Awaitable[bytes]]) -> bytes:
        """Get an image within the deadline.

        Raises:
            TimeoutError: The source took too long.
            SourceBusyError: There was no room.
        """
        async with self._deadline:
            return await get(self)

    async def expect(self, size: int) -> None:
        """Wait until there is room for an image of so many bytes.

        Raises:
            SourceBusyError: No room came.
        """
        if not self._reservation.expect(size):
            await self._wait()

    async def take(self, size: int) -> None:
        """Count bytes that have arrived, and wait until there is room for them.

        Raises:
            SourceBusyError: No room came.
        """
        if not self._reservation.add(size):
            await self._wait()

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        started, ends = loop.time(), self._deadline.when() or 0.0
        self._deadline.reschedule(None)
        try:
            async with asyncio.timeout(self._patience):
                await self._reservation.room()
        except TimeoutError:
            message = (
                "this worker's memory for images was taken by others; TAGSTREAM_MAX_BYTES_IN_FLIGHT bounds it"
            )
            raise SourceBusyError("memory_busy", message, _COME_BACK_AFTER) from None
        waited = loop.time() - started
        self._patience -= waited
        self._deadline.reschedule(ends + waited)
