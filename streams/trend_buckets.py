"""Counts of buckets, in arrays over the tags."""

from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.rows import ALL

_GROWTH = 1.25
Numbers = NDArray[np.int32]


class Bucket(NamedTuple):
    """A bucket of counts: its window (minute, hour, day or all) and its start in seconds."""

    window: str
    start: int


ALL_TIME = Bucket(ALL, 0)


class CountRow(msgspec.Struct, gc=False):
    """What counts in a row of `trends`."""

    n: int
    by: dict[str, int] = {}


NO_ROW = CountRow(0)
read_counts = msgspec.json.Decoder(CountRow).decode


class Tally:
    """Numbers by tag, a tag being its place in an array."""

    __slots__ = ("_cells", "array")

    def __init__(self) -> None:
        self._hold(np.zeros(16, np.int32))

    def add(self, tag: int, number: int) -> None:
        """Add to a tag's number."""
        if tag >= len(self.array):
            self._grow(tag)
        self._cells[tag] += number

    def add_many(self, tags: Numbers, numbers: Numbers) -> None:
        """Add to the numbers of tags, of which each comes once."""
        last = int(tags.max())
        if last >= len(self.array):
            self._grow(last)
        self.array[tags] += numbers

    def get(self, tag: int) -> int:
        """Give a tag's number."""
        return self._cells[tag] if tag < len(self.array) else 0

    def _grow(self, tag: int) -> None:
        grown = np.zeros(int(tag * _GROWTH) + 1, np.int32)
        grown[: len(self.array)] = self.array
        self._hold(grown)

    def _hold(self, array: Numbers) -> None:
        # The cells first: whoever sees the longer array in another thread finds its cells as well.
        self._cells = memoryview(array.data)  # single cells are quicker to reach through it
        self.array = array


class BucketCounts:
    """Counts of one bucket.

    Attributes:
        uses: By tag, all together.
        by: By add-on and tag.
        rows: How many rows make it up.
        version: Another one after each change.
    """

    __slots__ = ("by", "rows", "uses", "version")

    def __init__(self) -> None:
        self.rows = 0
        self.version = 0
        self.uses = Tally()
        self.by: dict[str, Tally] = {}

    def move(self, tag: int, old: CountRow, new: CountRow) -> None:
        """Take a row's old counts out and put its new ones in."""
        self.version += 1
        self.uses.add(tag, new.n - old.n)
        for add_on in old.by.keys() | new.by.keys():
            more = new.by.get(add_on, 0) - old.by.get(add_on, 0)
            if more:
                self.held_tally(add_on).add(tag, more)

    def held_tally(self, add_on: str | None) -> Tally:
        """Give the uses of an add-on, from now on kept if they were not; None stands for all together."""
        if add_on is None:
            return self.uses
        tally = self.by.get(add_on)
        if tally is None:
            tally = self.by[add_on] = Tally()
        return tally

    def tally(self, add_on: str | None) -> Tally | None:
        """Give the uses of an add-on, if it has any; None stands for all together."""
        return self.uses if add_on is None else self.by.get(add_on)
