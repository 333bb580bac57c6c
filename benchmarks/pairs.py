"""Interleaved runs, and what their ratios say.

One run after the other, A B A B ..., because a machine is never the same for two minutes: each ratio is
that of two neighbours, and what is reported is the median of the ratios, with the least and the greatest.
"""

import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Run:
    """One run of one contestant.

    Attributes:
        rate: Images per second between the first and the last tenth of them.
        cpu_ms: CPU time per image of all processes of the contestant; broker and image server are apart.
        parts: More figures, by name.
    """

    rate: float
    cpu_ms: float
    parts: Mapping[str, float] = field(default_factory=dict)


class Contestant(Protocol):
    """Something that tags photos."""

    name: str

    async def run(self, photos: str, images: int) -> Run:
        """Tag so many images of a set."""


@dataclass(frozen=True)
class Spread:
    """Several values of one figure."""

    median: float
    least: float
    greatest: float
    runs: int

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Sum up values."""
        return cls(statistics.median(values), min(values), max(values), len(values))

    def __str__(self) -> str:
        """Three significant digits of each."""
        return f"{self.median:.3g} ({self.least:.3g} to {self.greatest:.3g})"


async def interleave(
    contestants: Sequence[Contestant], photos: str, images: Mapping[str, int], rounds: int
) -> dict[str, list[Run]]:
    """Run the contestants in turns.

    Args:
        contestants: Who runs, in this order, in each round.
        photos: The set.
        images: How many images for each contestant, by name.
        rounds: How often.
    """
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    for number in range(rounds):
        for contestant in contestants:
            run = await contestant.run(photos, images[contestant.name])
            runs[contestant.name].append(run)
            shown = f"{run.rate:7.1f} images/s {run.cpu_ms:7.2f} ms of CPU"
            print(f"  {photos} {number + 1}/{rounds} {contestant.name:12} {shown}", file=sys.stderr)
    return runs


def rate_ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> Spread:
    """Compare images per second, pair by pair."""
    return Spread.of([one.rate / other.rate for one, other in zip(ours, theirs, strict=True)])


def cpu_ratio(ours: Sequence[Run], theirs: Sequence[Run]) -> Spread:
    """Compare CPU time per image, pair by pair."""
    return Spread.of([one.cpu_ms / other.cpu_ms for one, other in zip(ours, theirs, strict=True)])


def steady_rate(finished: Sequence[float]) -> float:
    """Events per second between the first and the last tenth.

    Args:
        finished: When each was finished, in seconds.
    """
    times = sorted(finished)
    begin, end = times[len(times) // 10], times[len(times) * 9 // 10]
    if end <= begin:
        raise ValueError(f"{len(times)} events at one time have no rate: take more of them")
    return sum(begin < time <= end for time in times) / (end - begin)
