"""Keeping neighbourhoods: they are made in the background, and made anew there while the old ones answer."""

import asyncio
from collections.abc import Callable
from itertools import islice

from streams.state.numbering import Names
from streams.state.users.index import HALF_LIFE_DAYS, Rows, UserIndex
from streams.state.users.neighbourhood import Neighbourhood, Profiles, gathered, read_profiles

MAX_AGE = 60.0  # seconds
DAY_SECONDS = 86_400
READ_AT_ONCE = 500  # users; between two lots the event loop has the interpreter to itself
Clock = Callable[[], float]  # seconds since the epoch


class Neighbours:
    """Keeps one tenant's neighbourhood.

    A making takes the names of the users who changed and looks up their rows in the event loop's thread; it
    reads them in another, some at a time.
    """

    def __init__(self, index: UserIndex, tenant: str, half_life_days: float) -> None:
        """Prepare.

        Args:
            index: Where interests come from; nobody else may take this tenant's touched users.
            tenant: Whose users.
            half_life_days: In which an image loses half of its weight.
        """
        self._index = index
        self._tenant = tenant
        self._half_life_days = half_life_days
        self._vocabulary = Names()
        self._making: asyncio.Task[Neighbourhood] | None = None
        self.made: Neighbourhood | None = None

    async def neighbourhood(self, now: float, *, wait: bool) -> Neighbourhood:
        """The neighbourhood as it was made last.

        Args:
            now: Seconds since the epoch.
            wait: Whether one is made now where there is none yet; else that of nobody is given.
        """
        if self.made is None and wait:
            return await self.refresh(now)
        return self.made or Neighbourhood.empty(now)

    async def refresh(self, now: float) -> Neighbourhood:
        """Make the neighbourhood anew, in which the users who changed are read anew.

        Args:
            now: Seconds since the epoch.
        """
        if self._making is None:
            self._making = asyncio.create_task(self._make(now))
            self._making.add_done_callback(self._forget)
        return await asyncio.shield(self._making)

    def _forget(self, _making: asyncio.Task[Neighbourhood]) -> None:
        self._making = None

    async def _make(self, now: float) -> Neighbourhood:
        old, touched = (
            self.made or Neighbourhood.empty(now),
            frozenset(self._index.take_touched(self._tenant)),
        )
        try:
            parts = [await asyncio.to_thread(old.without, touched)]
            names = iter(touched)
            while lot := list(islice(names, READ_AT_ONCE)):
                rows = self._index.rows(self._tenant, lot)
                parts.append(await asyncio.to_thread(self._read, rows, now))
            self.made = await asyncio.to_thread(gathered, parts, self._vocabulary, now)
            self._vocabulary = self.made.vocabulary
        except BaseException:
            self._index.touch(self._tenant, touched)
            raise  # whoever comes next tries again
        return self.made

    def _read(self, rows: dict[str, Rows], now: float) -> Profiles:
        return read_profiles(rows, self._vocabulary, int(now // DAY_SECONDS), self._half_life_days)


class AllNeighbours:
    """The neighbourhoods of all tenants.

    Attributes:
        index: What they are made of.
    """

    def __init__(self, index: UserIndex, clock: Clock, half_life_days: float = HALF_LIFE_DAYS) -> None:
        self.index = index
        self._clock = clock
        self._half_life_days = half_life_days
        self._tenants: dict[str, Neighbours] = {}

    def of(self, tenant: str) -> Neighbours:
        """The neighbours in a tenant."""
        neighbours = self._tenants.get(tenant)
        if neighbours is None:
            neighbours = self._tenants[tenant] = Neighbours(self.index, tenant, self._half_life_days)
        return neighbours

    async def refresh(self) -> None:
        """Make anew those in which users changed."""
        for tenant in self.index.touched_tenants():
            neighbours = self.of(tenant)
            await neighbours.refresh(self._clock())
            if not self.index.has_users(tenant) and self._tenants.get(tenant) is neighbours:
                del self._tenants[tenant]

    async def keep_fresh(self, interval: float = MAX_AGE) -> None:
        """Make anew those in which users changed, every `interval` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.refresh()
