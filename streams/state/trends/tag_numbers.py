"""Numbers for the tags of a tenant: places in arrays of counts. That of a tag that is gone is used again.

Whoever is in another thread with numbers in hand says so by `reading`: a number that is let go meanwhile is
not given to another tag before they have ended.
"""

import contextlib
import heapq
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streams.state.trends.buckets import Numbers, Tally

_LEAST = 1000  # names; a dictionary with less room is not worth making anew


class TagNumbers:
    """The tags that have rows, and their numbers. For the event loop's thread, but `ids` and `names`.

    Attributes:
        names: By number; empty where a number is free.
        ids: Numbers by tag.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.ids: dict[str, int] = {}
        self._rows = Tally()  # by number
        self._free: list[int] = []  # a heap: the least one is given first, so that arrays stay short
        self._let_go: deque[tuple[int, int]] = deque()  # number, and the last reading that may know it
        self._readings = Counter[int]()  # those that go on
        self._reading = 0
        self._most = 0  # names that `ids` has had room for

    def number(self, name: str) -> int:
        """A tag's number, a new one if need be: it is kept once `note` has heard of a row."""
        number = self.ids.get(name)
        if number is None:
            number = self.ids[name] = self._take(name)
            self._most = max(self._most, len(self.ids))
        return number

    def numbers(self, names: Sequence[str]) -> Numbers:
        """The numbers of many different tags, new ones if need be."""
        return np.fromiter(map(self.number, names), np.int32, len(names))

    def note(self, number: int, more: int) -> None:
        """Note that a tag has so many more rows; without any its number is let go."""
        self._rows.add(number, more)
        if more < 0 and not self._rows.get(number):
            self._let_go.append((number, self._reading))
            del self.ids[self.names[number]]
            self._reclaim()

    def note_many(self, numbers: Numbers, more: NDArray[np.integer[Any]]) -> None:
        """Note so many more rows of different tags."""
        self._rows.add_many(numbers, more.astype(np.int32))

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Keep what numbers mean, for as long as somebody in another thread has them in hand."""
        self._reading += 1
        mine = self._reading
        self._readings[mine] += 1
        try:
            yield
        finally:
            del self._readings[mine]
            self._reclaim()

    def _take(self, name: str) -> int:
        if self._free:
            number = heapq.heappop(self._free)
            self.names[number] = name
            return number
        self.names.append(name)
        return len(self.names) - 1

    def _reclaim(self) -> None:
        """Free what was let go before the oldest reading that goes on had begun."""
        oldest = min(self._readings, default=self._reading + 1)
        while self._let_go and self._let_go[0][1] < oldest:
            number, _ = self._let_go.popleft()
            self.names[number] = ""
            heapq.heappush(self._free, number)
        if self._most > max(8 * len(self.ids), _LEAST):
            self.ids, self._most = dict(self.ids), len(self.ids)
