"""Counts of buckets, over the tags."""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.fold.rows import ALL

_GROWTH = 1.25
_SHARE = 16
Numbers = NDArray[np.int32]
Pairs = tuple[Numbers, Numbers]  # tags, and their numbers


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
    """Numbers by tag: in an array where a tag is a place, but while few tags have one in a dictionary.

    So a minute's few uses take kilobytes, however many tags were ever seen. With a 16th of the places in use
    both take about as much. An array stays one until less than half of that is in use when it must grow.

    Attributes:
        array: Numbers by tag; None while they are in a dictionary.
    """

    __slots__ = ("_cells", "_pairs", "_places", "array")

    def __init__(self) -> None:
        self._cells: dict[int, int] | memoryview = {}  # single cells of the array are quicker to reach so
        self._places = 0  # more than the greatest tag
        self._pairs: Pairs | None = None
        self.array: Numbers | None = None

    def add(self, tag: int, number: int) -> None:
        """Add to a tag's number."""
        if tag >= self._places:
            self._widen(tag, 1)
        cells = self._cells
        if isinstance(cells, dict):
            self._pairs = None
            cells[tag] = left = cells.get(tag, 0) + number
            if not left:
                del cells[tag]
            elif len(cells) * _SHARE > self._places:
                self._hold(self._places)
        else:
            cells[tag] += number

    def add_many(self, tags: Numbers, numbers: Numbers) -> None:
        """Add to the numbers of tags, of which each comes once."""
        last = int(tags.max())
        if last >= self._places:
            self._widen(last, len(tags))
        cells = self._cells
        if isinstance(cells, dict) and (len(cells) + len(tags)) * _SHARE > self._places:
            self._hold(self._places)
        if self.array is not None:
            self.array[tags] += numbers
        else:
            for tag, number in zip(tags.tolist(), numbers.tolist(), strict=True):
                self.add(tag, number)

    def get(self, tag: int) -> int:
        """A tag's number; in any thread."""
        cells = self._cells
        if isinstance(cells, dict):
            return cells.get(tag, 0)
        return cells[tag] if tag < len(cells) else 0

    def get_many(self, tags: Numbers) -> Numbers:
        """The numbers of tags, none of which is beyond those that were added to."""
        if self.array is not None:
            return self.array[tags]
        return np.fromiter(map(self.get, tags.tolist()), np.int32, len(tags))

    def pairs(self) -> Pairs:
        """Tags and numbers; from a dictionary they are kept until it changes."""
        cells = self._cells
        if not isinstance(cells, dict):
            numbers = np.asarray(cells)
            tags = np.flatnonzero(numbers).astype(np.int32)
            return tags, numbers[tags]
        if self._pairs is None:
            size = len(cells)
            self._pairs = np.fromiter(cells, np.int32, size), np.fromiter(cells.values(), np.int32, size)
        return self._pairs

    def _widen(self, tag: int, more: int) -> None:
        """Make a place for a tag, one of so many that come."""
        places = tag + 1
        if self.array is not None:
            used = np.count_nonzero(self.array) + more
            if used * 2 * _SHARE > places:
                self._hold(int(tag * _GROWTH) + 1)
                return
            tags, numbers = self.pairs()
            self._cells, self.array = dict(zip(tags.tolist(), numbers.tolist(), strict=True)), None
        self._places = places

    def _hold(self, places: int) -> None:
        """Hold the numbers in an array of so many places."""
        array = np.zeros(places, np.int32)
        if self.array is not None:
            array[: len(self.array)] = self.array
        else:
            tags, numbers = self.pairs()
            array[tags] = numbers
        self._cells, self._places, self._pairs, self.array = memoryview(array.data), places, None, array


def add_up(tallies: Iterable[Tally], size: int) -> Numbers:
    """Add tallies up: numbers by tag, for so many tags."""
    total = np.zeros(size, np.int32)  # the tallies' type: summing two takes thrice as long
    few: list[Pairs] = []
    for tally in tallies:
        if tally.array is None:
            few.append(tally.pairs())
        else:
            array = tally.array[:size]
            total[: len(array)] += array
    if few:
        tags, numbers = (np.concatenate(parts) for parts in zip(*few, strict=True))
        np.add.at(total, tags, numbers)
    return total


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

    def add(self, tag: int, number: int, add_ons: Iterable[str]) -> None:
        """Count so many more uses of a tag, each from all of some add-ons."""
        self.version += 1
        self.uses.add(tag, number)
        for add_on in add_ons:
            (self.by.get(add_on) or self.held_tally(add_on)).add(tag, number)

    def held_tally(self, add_on: str | None) -> Tally:
        """The uses of an add-on, from now on kept if they were not; None stands for all together."""
        if add_on is None:
            return self.uses
        tally = self.by.get(add_on)
        if tally is None:
            tally = self.by[add_on] = Tally()
        return tally

    def tally(self, add_on: str | None) -> Tally | None:
        """The uses of an add-on, if it has any; None stands for all together."""
        return self.uses if add_on is None else self.by.get(add_on)
