"""Slots for fetches. One that takes long goes on in a place apart, and leaves its slot to the next one.

Otherwise hosts that never answer would hold all slots until their fetches have failed, and fetches from hosts
that answer at once would wait as long.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

_PATIENCE = 0.5  # seconds in a slot
_PLACES_PER_SLOT = 3


class FetchSlots:
    """So many slots, and three times as many places apart.

    Args of the constructor: how many slots; a function that tells whether more fetches would get on now.

    Attributes:
        most: How many fetches there are at once, all together.
    """

    def __init__(self, number: int, get_on: Callable[[], bool]) -> None:
        self.most = (1 + _PLACES_PER_SLOT) * number
        self._slots = asyncio.Semaphore(number)
        self._free_places = _PLACES_PER_SLOT * number
        self._get_on = get_on

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it; after a while a place apart instead, once one is free."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        is_apart = False
        moving: asyncio.TimerHandle

        def move() -> None:
            nonlocal is_apart, moving
            if self._free_places and self._get_on():
                self._free_places -= 1
                is_apart = True
                self._slots.release()
            else:
                moving = loop.call_later(_PATIENCE, move)

        moving = loop.call_later(_PATIENCE, move)
        try:
            yield
        finally:
            moving.cancel()
            if is_apart:
                self._free_places += 1
            else:
                self._slots.release()
