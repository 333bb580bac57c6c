"""Slots for fetches. One that takes long goes on in a place apart, and leaves its slot to the next one.

Otherwise hosts that never answer would hold all slots until their fetches have failed, and fetches from hosts
that answer at once would wait as long. So would the good objects of a host a few of whose objects hang.
"""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable

from streams.fetch.room.shares import TenantShares, TenantSlots

_PATIENCE = 0.5  # seconds in a slot
PLACES_PER_SLOT = 3


class FetchSlots:
    """So many slots, and three times as many places apart; a tenant has a share of either.

    Args of the constructor: how many slots; a function that tells whether more fetches would get on now.

    Attributes:
        most: How many fetches there are at once, all together.
    """

    def __init__(self, number: int, get_on: Callable[[], bool]) -> None:
        self.most = (1 + PLACES_PER_SLOT) * number
        self._slots = TenantSlots(number)
        self._places = TenantShares(PLACES_PER_SLOT * number)
        self._get_on = get_on

    @property
    def is_crowded(self) -> bool:
        """Whether all slots are held, and not because slow sources have taken all places apart."""
        return not self._slots.free and self._places.free > 0

    @contextlib.asynccontextmanager
    async def hold(self, tenant: str = "") -> AsyncIterator[None]:
        """Wait for a slot and hold it; after a while a place apart instead, once one is free."""
        await self._slots.acquire(tenant)
        loop = asyncio.get_running_loop()
        is_apart = False
        moving: asyncio.TimerHandle

        def move() -> None:
            nonlocal is_apart, moving
            if self._places.may_take(tenant) and self._get_on():
                self._places.charge(tenant)
                is_apart = True
                self._slots.release(tenant)
            else:
                moving = loop.call_later(_PATIENCE, move)

        moving = loop.call_later(_PATIENCE, move)
        try:
            yield
        finally:
            moving.cancel()
            if is_apart:
                self._places.charge(tenant, -1)
            else:
                self._slots.release(tenant)


class HostSlots:
    """The slots of one host, and three times as many places apart, for fetches that others overtake.

    A fetch is overtaken by those that begin after it and end before it. Where a host is slow as a whole, its
    fetches end about as they began: it is not asked for more at once.

    Args of the constructor: how many slots; as many others overtake a fetch before it goes apart.
    """

    def __init__(self, number: int) -> None:
        self._number = number
        self._slots = asyncio.Semaphore(number)
        self._free_places = PLACES_PER_SLOT * number
        self._overtaken: dict[object, int] = {}  # by fetch in a slot, in the order in which they began

    @contextlib.asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Wait for a slot and hold it; once overtaken, a place apart instead."""
        await self._slots.acquire()
        fetch = object()
        self._overtaken[fetch] = 0
        try:
            yield
        finally:
            if fetch in self._overtaken:
                self._overtake(fetch)
                del self._overtaken[fetch]
                self._slots.release()
            else:
                self._free_places += 1

    def _overtake(self, fetch: object) -> None:
        """Count the end of a fetch for those that began before it, and let the outrun ones go apart."""
        for other in list(itertools.takewhile(lambda each: each is not fetch, self._overtaken)):
            self._overtaken[other] += 1
            if self._overtaken[other] >= self._number and self._free_places:
                self._free_places -= 1
                del self._overtaken[other]
                self._slots.release()
