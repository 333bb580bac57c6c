"""Looks through all assets of a cloud, a few lookers at once, away from the event loop."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar
from weakref import WeakValueDictionary

from streams.gateway.assets.library import Library
from streams.gateway.requests.problems import TooOftenError
from streams.gateway.search.search import Page, Query, run

T = TypeVar("T")
AT_ONCE = 2
WAITING = 64
SHARE = 2  # a cloud has one part of so many of the places, and of those that wait


class Finder:
    """Runs queries, and whatever else looks at every asset."""

    def __init__(self, library: Library) -> None:
        """Prepare.

        Args:
            library: What is looked through.
        """
        self.library = library
        self._places = asyncio.Semaphore(AT_ONCE)
        self._places_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._waiting = Counter[str]()

    async def find(self, cloud: str, query: Query) -> Page:
        """Give what a query finds.

        Raises:
            TooOftenError: Too many wait already.
        """
        return await self.look(cloud, lambda keys, rows: run(query, keys, rows))

    async def look(self, cloud: str, work: Callable[[Sequence[str], Sequence[bytes]], T]) -> T:
        """Do something with the keys and rows of all assets, in a thread.

        Raises:
            TooOftenError: Too many wait already.
        """
        waiting = self._waiting
        if waiting[cloud] >= WAITING // SHARE or waiting.total() >= WAITING:
            raise TooOftenError(f"{waiting.total()} searches are under way or wait; try again in a second")
        waiting[cloud] += 1
        mine = self._places_of.setdefault(cloud, asyncio.Semaphore(AT_ONCE // SHARE))
        try:
            async with mine, self._places:
                keys, rows = self.library.rows(cloud)
                return await asyncio.to_thread(work, keys, rows)
        finally:
            waiting[cloud] -= 1
            if not waiting[cloud]:
                del waiting[cloud]
