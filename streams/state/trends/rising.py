"""Tags that rise: used more than their past lets expect.

**Score.** (observed - expected)^2 / expected, as Mastodon's trends have it. Counts of independent events
scatter around their mean by its square root, so this is the square of the number of standard deviations
that the window lies above its expectation (a term of Pearson's chi-squared). A ratio would put rare tags
first, a difference popular ones; this weighs both on one scale.

**Expected.** The baseline's uses, scaled to the part of the window that is over, plus one. The one takes
the place of Mastodon's `max(expected, 1)`: a tag never seen before has an expectation to be held against,
without a step where the expectation passes 1. A baseline that began before the first image is cut to what
there is.

**Floors.** Below five uses, or below three distinct uploaders where uploaders are known, nothing trends: one
person who empties a camera is no trend. (Mastodon: five accounts.) A tag that does not exceed its
expectation has no score at all.

**Recency.** Mastodon counts anew each day and lets a tag's peak fade with a half-life of four hours, so that
trends outlast midnight and yet go. A rolling window needs no such bridge, but a burst at its far end should
count less than one now. So each use beyond the expectation loses half of its weight per half-life, a sixth
of the window (four hours of a day): `recency` is the share of the surplus that is left. Tags are ordered by
score times recency. All of it comes from the buckets: any worker gives the same answer, also after a restart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.state.trends.buckets import ALL_TIME, Bucket
from streams.state.trends.counts import Counts, TenantTrends
from streams.state.turns import in_turns

METHOD = "(observed - expected)^2 / expected, ordered by score * recency"
HALF_LIVES = 6  # in a window
LEAST_USES = 5
LEAST_UPLOADERS = 3
PRIOR = 1.0  # uses per window that every tag is credited with
Floats = NDArray[np.float64]


class Block(NamedTuple):
    """A part of a window: the buckets that cover it, and when it was, in seconds since the epoch."""

    buckets: list[Bucket]
    start: int
    end: int


class Rising(NamedTuple):
    """A tag that rises."""

    tag: str
    observed: int
    expected: float
    score: float
    recency: float
    uploaders: int


@dataclass(frozen=True)
class Candidates:
    """What the counts alone say: arrays over the tags; a score of 0 marks those that do not rise."""

    observed: Counts
    expected: Floats
    score: Floats
    recency: Floats


def expect(baseline: Counts, seconds: int, window_seconds: int) -> Floats:
    """Scale a baseline's counts to a window.

    Args:
        baseline: Uses by tag.
        seconds: The baseline's length; 0 where nothing is known of that time.
        window_seconds: The length of the window, or of the part of it that is over.
    """
    scale = window_seconds / seconds if seconds > 0 else 0.0
    return (baseline * scale + PRIOR).astype(np.float64)


def score(observed: Counts, expected: Floats, least: int) -> Floats:
    """Score each tag; 0 where it does not exceed its expectation, or has fewer than `least` uses."""
    rises = (observed > expected) & (observed >= least)
    return np.where(rises, (observed - expected) ** 2 / expected, 0.0).astype(np.float64)


def recency(
    counts: Sequence[Counts],
    blocks: Sequence[Block],
    places: NDArray[np.intp],
    expected: Floats,
    half_life: float,
) -> Floats:
    """The share of each tag's surplus that is left.

    Args:
        counts: Uses in each block.
        blocks: The parts of the window that are over, oldest first.
        places: Of the tags that are asked about.
        expected: Uses of those tags that were expected in the whole window.
        half_life: Seconds in which a use loses half of its weight.
    """
    start, end = blocks[0].start, blocks[-1].end
    left, surplus = np.zeros(len(places)), np.zeros(len(places))
    for block, uses in zip(blocks, counts, strict=True):
        share = (block.end - block.start) / (end - start)
        more = np.maximum(uses[places] - expected * share, 0.0)
        surplus += more
        left += more * 0.5 ** ((end - (block.start + block.end) / 2) / half_life)
    shares: Floats = np.divide(left, surplus, out=np.zeros(len(places)), where=surplus > 0)
    return shares


@dataclass(frozen=True)
class Sums:
    """Uses by tag, of as many tags each.

    Attributes:
        blocks: In each of the blocks.
        baseline: In the baseline.
    """

    blocks: list[Counts]
    baseline: Counts


async def sum_up(trends: TenantTrends, blocks: Sequence[Block], baseline: Sequence[Bucket]) -> Sums:
    """Add up what is in the buckets, giving the event loop its turns. Within `reading`.

    Tags that come meanwhile have no uses in what was added up before.
    """
    asked = [*(block.buckets for block in blocks), baseline]
    counts = [trends.counts(buckets) async for buckets in in_turns(asked)]
    tags = len(counts[-1])
    padded = [np.pad(each, (0, tags - len(each))) if len(each) < tags else each for each in counts]
    return Sums(padded[:-1], padded[-1])


def find_candidates(
    sums: Sums, blocks: Sequence[Block], seconds: int, *, half_life: float, least: int
) -> Candidates:
    """Score all tags by their counts. For any thread.

    Args:
        sums: The counts.
        blocks: The parts of the window that are over, oldest first.
        seconds: The length of the baseline.
        half_life: Seconds in which a use loses half of its weight.
        least: With fewer uses nothing trends.
    """
    observed: Counts = np.sum(sums.blocks, axis=0)
    expected = expect(sums.baseline, seconds, blocks[-1].end - blocks[0].start)
    scores = score(observed, expected, least)
    places = np.flatnonzero(scores)
    left = np.zeros(len(scores))
    left[places] = recency(sums.blocks, blocks, places, expected[places], half_life)
    return Candidates(observed, expected, scores, left)


def pick(
    trends: TenantTrends, candidates: Candidates, buckets: list[Bucket], least: int, limit: int
) -> list[Rising]:
    """The best candidates that have at least `least` distinct uploaders. For any thread.

    An image without a user has no uploader: where none is known, the uses alone decide.
    """
    found: list[Rising] = []
    for place in _in_order(trends, candidates.score * candidates.recency, 2 * limit):
        tag, observed = trends.tags[place], int(candidates.observed[place])
        if 0 < trends.uploaders(tag, [ALL_TIME]) < least:
            continue
        uploaders = min(trends.uploaders(tag, buckets), observed)
        if 0 < uploaders < least:
            continue
        expected, scored = float(candidates.expected[place]), float(candidates.score[place])
        found.append(Rising(tag, observed, expected, scored, float(candidates.recency[place]), uploaders))
        if len(found) == limit:
            break
    return found


def _in_order(trends: TenantTrends, ranks: Floats, number: int) -> Iterator[int]:
    """Places by descending rank, sorting no more of them than are taken."""
    done = 0
    while done < len(order := trends.best(ranks, number)):
        yield from order[done:]
        done, number = len(order), 4 * number
