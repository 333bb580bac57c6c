"""Counts of buckets, in arrays over the tags."""

from typing import NamedTuple

import msgspec
import numpy as np

from streams.rows import ALL

_GROWTH = 1.25


class Bucket(NamedTuple):
    """A bucket of counts: its window (minute, hour, day or all) and its start in seconds."""

    window: str
    start: int


ALL_TIME = Bucket(ALL, 0)


class CountRow(msgspec.Struct):
    """What counts in a row of `trends`."""

    n: int
    by: dict[str, int] = {}


class Tally:
    """Numbers by tag, a tag being its place in an array."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array = np.zeros(16, np.int32)

    def add(self, tag: int, number: int) -> None:
        """Add to a tag's number."""
        if tag >= len(self.array):
            grown = np.zeros(int(tag * _GROWTH) + 1, np.int32)
            grown[: len(self.array)] = self.array
            self.array = grown
        self.array[tag] += number

    def get(self, tag: int) -> int:
        """Give a tag's number."""
        return int(self.array[tag]) if tag < len(self.array) else 0


class BucketCounts:
    """Counts of one bucket: uses by tag, all together and by add-on; `rows` are those that make it up."""

    __slots__ = ("by", "rows", "uses")

    def __init__(self) -> None:
        self.rows = 0
        self.uses = Tally()
        self.by: dict[str, Tally] = {}

    def add(self, tag: int, row: CountRow, sign: int) -> None:
        """Add a row's counts, or take them out with a sign of -1."""
        self.uses.add(tag, sign * row.n)
        for add_on, number in row.by.items():
            if add_on not in self.by:
                self.by[add_on] = Tally()
            self.by[add_on].add(tag, sign * number)

    def tally(self, add_on: str | None) -> Tally | None:
        """Give the uses of an add-on, if it has any; None stands for all together."""
        return self.uses if add_on is None else self.by.get(add_on)
