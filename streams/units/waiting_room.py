"""Room for uploads that rows of `retries` keep: how many may wait, and what becomes of those beyond.

Where others get through meanwhile, a few hosts are away: what fails beyond the limit is given up, so that it
costs nobody else anything. Where nothing gets through, the fault may be the network's, or of the only host
there is: nothing is given up, and sources are asked slowly until that passes. Once twice as many wait, one
upload a minute finds out about it, and is given up if it fails: a room without any end would be none.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

MAX_BYTES = 16_000_000  # of the rows: every worker keeps those of all partitions
_ROOMY = 0.8  # of the limits: the room counts as full until it is emptier than that
_PROOF = 10.0  # seconds for which an event that got through proves that others do
_SLOW = 5.0  # seconds between two uploads while nothing gets through: they find out whether that is over
_SLOWEST = 60.0  # the same once twice as many wait
_POLL = 0.2  # seconds


@dataclass
class Load:
    """So many uploads, with so many bytes of rows of `retries`."""

    number: int = 0
    size: int = 0

    def add(self, number: int, size: int) -> None:
        """Count more of them, or fewer."""
        self.number, self.size = self.number + number, self.size + size


class WaitingRoom:
    """The room of one partition.

    Args of the constructor: the partition; how many uploads may wait; those that do, as they are at any time;
    a clock in seconds that never goes back.
    """

    def __init__(
        self, partition: int, most: int, waiting: Load, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._partition = partition
        self._most = most
        self._waiting = waiting
        self._clock = clock
        self._door = asyncio.Lock()
        self._full_since: float | None = None
        self._passed = float("-inf")  # when the latest event came that got through
        self._told: str | None = None

    @property
    def turns_away(self) -> bool:
        """Whether an upload is given up whose source is busy."""
        return self._holds(1) and self._others_pass()

    @property
    def is_full(self) -> bool:
        """Whether twice as much waits as may: then none begins to, whatever it would wait for."""
        return self._holds(2)

    def note_success(self, came: float) -> None:
        """Take note that an event got through which came into work at a time of the clock."""
        self._passed = max(self._passed, came)

    async def enter(self) -> None:
        """Wait as long as the next upload should before it asks its source. One does at a time."""
        async with self._door:
            began = self._clock()
            while self._is_slow() and self._clock() < began + (_SLOWEST if self.is_full else _SLOW):
                self._tell("sources are asked slowly, as little gets through")
                await asyncio.sleep(_POLL)
            if not self._is_slow():
                self._tell("what fails now is given up, as others get through" if self.turns_away else None)

    def _is_slow(self) -> bool:
        return self._holds(1) and not self._others_pass()

    def _others_pass(self) -> bool:
        """Whether anything has got through lately that came when the room was full already."""
        if self._full_since is None:
            return False
        return self._passed > max(self._full_since, self._clock() - _PROOF)

    def _holds(self, share: float) -> bool:
        """Whether as much waits as may, or a share of that."""
        taken = max(self._waiting.number / self._most, self._waiting.size / MAX_BYTES)
        if taken < _ROOMY:
            self._full_since = None
        elif taken >= 1 and self._full_since is None:
            self._full_since = self._clock()
        return taken >= share

    def _tell(self, what: str | None) -> None:
        if what == self._told:
            return
        self._told = what
        text = "partition %d: %d uploads wait for busy sources; %s"
        log.warning(text, self._partition, self._waiting.number, what or "there is room again")
