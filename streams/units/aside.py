"""Slots for records in work, and places aside for those that wait for somebody else.

A worker has so many places aside, all its partitions together. One of them takes another place only while
more are free than it has: alone it has half of all, and whoever comes next finds some. (A. K. Choudhury and
E. L. Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998.)
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

PLACES = 2000  # a record in one costs its event, a task and perhaps a fetch


class PlacesAside:
    """The places of a worker."""

    def __init__(self, number: int = PLACES) -> None:
        self._free = number
        self._taken = Counter[int]()

    def take(self, partition: int) -> bool:
        """Take a place for a partition; tell whether there was one."""
        if self._taken[partition] >= self._free:
            return False
        self._free -= 1
        self._taken[partition] += 1
        return True

    def give_back(self, partition: int) -> None:
        """Let others have a place."""
        self._free += 1
        self._taken[partition] -= 1


@dataclass(frozen=True)
class Patience:
    """When a record that waits goes aside.

    Attributes:
        seconds: So long it has waited in its slot.
        places: Where it goes.
        partition: Its own.
        overloaded: Whether it may be this worker that all wait for. Then nobody goes.
        moved: Called when it has gone.
    """

    seconds: float
    places: PlacesAside
    partition: int
    overloaded: Callable[[], bool]
    moved: Callable[[], None]


class Slot:
    """One record's slot, or its place aside.

    Attributes:
        is_aside: Whether the slot has gone to others.
    """

    def __init__(self, slots: asyncio.Semaphore, patience: Patience) -> None:
        self.is_aside = False
        self._slots = slots
        self._patience = patience
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        """Say that from now on the record waits for somebody else."""
        if self._timer is None and not self.is_aside:
            self._timer = asyncio.get_running_loop().call_later(self._patience.seconds, self._move)

    def go_on(self) -> None:
        """Say that it waits no more; what it has given away is others'."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def give_back(self) -> None:
        """Let others have what it holds."""
        self.go_on()
        if self.is_aside:
            self._patience.places.give_back(self._patience.partition)
        else:
            self._slots.release()

    def _move(self) -> None:
        self._timer = None
        if self._patience.overloaded() or not self._patience.places.take(self._patience.partition):
            self.wait()
            return
        self.is_aside = True
        self._slots.release()
        self._patience.moved()
