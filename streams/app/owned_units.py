"""The units of the partitions that this worker owns: made, suspended and closed as the group decides."""

import asyncio
import logging
from collections.abc import Callable, Collection

from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.units.unit import SUSPENSION, Unit

log = logging.getLogger(__name__)


class OwnedUnits:
    """One unit for each owned partition.

    Attributes:
        units: By partition.
    """

    def __init__(self, replica: Replica, new_unit: Callable[[PartitionState], Unit]) -> None:
        self.units: dict[int, Unit] = {}
        self._replica = replica
        self._new_unit = new_unit
        self._leaving: dict[int, asyncio.Task[None]] = {}
        self._owning = asyncio.Lock()
        self._closing = False

    async def suspend(self) -> None:
        """Finish the transactions under way, unless that takes long, and begin no other, until `own`.

        Only a pause: most partitions come back at once, and a fence guards those that do not.
        """
        await asyncio.gather(*(unit.suspend() for unit in self.units.values()))

    async def own(self, partitions: Collection[int]) -> None:
        """Work on these partitions and on no other."""
        async with self._owning:  # a state that is given back and taken at once would have two who feed it
            await self._move(set() if self._closing else set(partitions))

    async def close(self) -> None:
        """Let go of every partition, and take none any more."""
        self._closing = True
        await self.own(())
        await asyncio.gather(*self._leaving.values())

    async def _move(self, partitions: set[int]) -> None:
        """One that does not end its transaction holds up nobody, but whoever wants its partition again."""
        for partition in self.units.keys() - partitions:
            self._leaving[partition] = asyncio.create_task(self._let_go(self.units.pop(partition)))
        for unit in self.units.values():
            unit.resume()
        self._begin(partitions - self._leaving.keys())
        if self._leaving:
            await asyncio.wait(self._leaving.values(), timeout=SUSPENSION)
        for partition in partitions & self._leaving.keys():
            await self._leaving[partition]
        self._begin(partitions)
        log.info("owning partitions %s", sorted(partitions))

    def _begin(self, partitions: set[int]) -> None:
        for partition in sorted(partitions - self.units.keys()):
            self.units[partition] = self._new_unit(self._replica.take(partition))
            self.units[partition].start()

    async def _let_go(self, unit: Unit) -> None:
        await unit.close()
        self._replica.give_back(unit.partition)
        del self._leaving[unit.partition]
