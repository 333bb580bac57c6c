"""Sweeping: bytes that no asset names are removed, and never bytes that one might.

An object becomes an orphan where a gateway ends between its bytes and their event, where a call comes twice,
or where an upload takes the place of another. One that is old enough is removed once every event that was
published before it was looked at is folded: then either a row names it, or no row ever will.

That is true of the log alone whose assets lie in the store: it is noted there which one that is.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping

from streams.fetch.object_store import SCHEME, ObjectStore, thumbnail_key
from streams.gateway.assets.events import FoldedState
from streams.gateway.assets.library import Library

log = logging.getLogger(__name__)

PASSING = ("_chunks/", "_imagga/")  # of no asset; no cloud has such a name
PASSING_KEPT = 86_400.0  # seconds that they may lie there
OWNER = "_owner"
_OURS = f"{SCHEME}:///"
_PATIENCE = 120.0  # seconds until all that was published is folded
_LOOK_INTERVAL = 0.5
_COME_BACK_AFTER = 60.0


class Sweeper:
    """Removes what nobody names."""

    def __init__(
        self,
        objects: ObjectStore,
        library: Library,
        states: Callable[[], Mapping[int, FoldedState]],
        ends: Callable[[], Awaitable[Mapping[int, int]]],
        *,
        grace: float,
        owner: Callable[[], Awaitable[str]] | None = None,
        swept: Callable[[int], None] | None = None,
    ) -> None:
        """Prepare.

        Args:
            objects: What is swept.
            library: What is named.
            states: Gives the states of all partitions.
            ends: Finds where the topic of uploads ends.
            grace: Seconds in which an upload publishes its event, at the very most.
            owner: Tells the log that is folded from all others; None: nobody else can use the store.
            swept: Is told how many were removed.
        """
        self._objects = objects
        self._library = library
        self._states = states
        self._ends = ends
        self._grace = grace
        self._owner = owner
        self._swept = swept

    async def run(self, interval: float) -> None:
        """Sweep now and then, for ever; several gateways seldom do at the same time."""
        while True:
            await asyncio.sleep(interval * random.uniform(0.5, 1.5))
            try:
                removed = await self.sweep()
            except (OSError, RuntimeError) as error:  # the store's and Kafka's errors
                log.warning("sweeping is interrupted: %s", error)
                await asyncio.sleep(_COME_BACK_AFTER)
                continue
            if removed and self._swept is not None:
                self._swept(removed)
            if removed:
                log.info("swept %d objects that no asset names", removed)

    async def sweep(self) -> int:
        """Remove orphans; tell how many there were.

        Raises:
            OSError: The store does not answer, is another log's, or not all events are folded in time.
        """
        await self._check_owner()
        old, stale = await self._old()
        removed = await asyncio.to_thread(self._remove_unfinished)
        orphans = await asyncio.to_thread(self._unnamed, old)
        if orphans:
            await self._until_folded(await self._ends())
            async with asyncio.timeout(_PATIENCE):
                await self._library.barrier()
            orphans = await asyncio.to_thread(self._unnamed, orphans)
        for key in (*orphans, *stale):
            await self._objects.delete(key)
        return removed + len(orphans) + len(stale)

    async def _check_owner(self) -> None:
        """Refuse a store whose objects are named by rows that are not here, as of another cluster."""
        if self._owner is None:
            return
        mine = await self._owner()
        try:
            noted = b"".join([piece async for piece in self._objects.read(OWNER)]).decode(errors="replace")
        except FileNotFoundError:
            await self._objects.put(OWNER, mine.encode())
            return
        if noted != mine:
            raise OSError(
                f"the object store belongs to {noted:.200}, and this is {mine}: nothing is removed. Give "
                f"each deployment a store of its own; where this one took over, delete the object {OWNER}"
            )

    async def _old(self) -> tuple[set[str], list[str]]:
        """Objects that may be orphans; and chunks that were never made a file, and images asked about."""
        now, old, stale = time.time(), set[str](), list[str]()
        async for some in self._objects.list():
            for each in some:
                age = now - each.changed_at
                if each.key.startswith(PASSING):
                    if age > max(PASSING_KEPT, self._grace):
                        stale.append(each.key)
                elif age > self._grace and each.key != OWNER:
                    old.add(each.key)
        return old, stale

    def _unnamed(self, keys: set[str]) -> set[str]:
        """Those of some keys that no asset names; in a thread, as it reads all rows."""
        unnamed = set(keys)
        for cloud in self._library.clouds if unnamed else ():
            for asset in self._library.all(cloud):
                unnamed.discard(asset.asset.object or "")
                unnamed.discard((asset.url or "").removeprefix(_OURS))
                unnamed.discard(thumbnail_key(asset.thumb or ""))
        return unnamed

    async def _until_folded(self, ends: Mapping[int, int]) -> None:
        """Wait until everything before some offsets is folded, retries included.

        Raises:
            TimeoutError: It is not.
        """
        async with asyncio.timeout(_PATIENCE):
            for partition, end in ends.items():
                while not self._is_folded(partition, end):  # noqa: ASYNC110 - others' commits wake nobody
                    await asyncio.sleep(_LOOK_INTERVAL)

    def _is_folded(self, partition: int, end: int) -> bool:
        state = self._states().get(partition)
        if state is None or state.next_offset < end:
            return False
        return all(int(offset) >= end for offset in state.rows["retries"])

    def _remove_unfinished(self) -> int:
        """Remove files that a process left when it was killed while it wrote them."""
        removed = 0
        for path in self._objects.unfinished():
            try:
                if time.time() - path.stat().st_mtime > self._grace:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue
        return removed
