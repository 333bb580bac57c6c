"""How far a log is folded in: all of it up to a watermark, and some records above."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Progress:
    """What is folded in of a log.

    Attributes:
        next: The watermark: every record before it is folded in.
        above: Lengths of runs of offsets from there on, in turns not folded in and folded in. Offsets without
            a record, as of transactions' markers, count as folded in.
    """

    next: int = 0
    above: tuple[int, ...] = ()

    @classmethod
    def of(cls, unfinished: Iterable[int], end: int) -> Self:
        """Where these records, by ascending offsets, are not folded in, and all others before `end` are."""
        runs: list[int] = []
        first = place = end
        for offset in unfinished:
            if not runs:
                first, runs = offset, [1]
            elif offset == place:
                runs[-1] += 1
            else:
                runs += [offset - place, 1]
            place = offset + 1
        if place < end:
            runs.append(end - place)
        return cls(first, tuple(runs[: len(runs) // 2 * 2]))

    @classmethod
    def read(cls, row: Mapping[str, Any]) -> Self:
        """What the row `@offset` says; one of an older release has a watermark alone."""
        return cls(int(row.get("next", 0)), tuple(row.get("above", ())))

    @property
    def end(self) -> int:
        """Nothing is folded in from here on."""
        return self.next + sum(self.above)

    @property
    def unfinished(self) -> Iterator[int]:
        """The offsets before the end that are not folded in."""
        place = self.next
        for number, length in enumerate(self.above):
            if number % 2 == 0:
                yield from range(place, place + length)
            place += length

    def holds(self, offset: int) -> bool:
        """Whether the record at an offset is folded in."""
        place = self.next
        if offset < place:
            return True
        for number, length in enumerate(self.above):
            place += length
            if offset < place:
                return number % 2 == 1
        return False
