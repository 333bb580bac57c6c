"""Judging a step: which tags of a tenant rise by their counts, and what becomes of rises that go on.

Expectation, score and floors are those of `/trends/rising`: see `streams.state.trends.rising`. The window
ends with the step, so all of its buckets are whole.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from streams.rises.rise import Figures, Rise, Step, begin, go_on
from streams.rises.watchlists import Watchlist
from streams.rises.windows import Window
from streams.state.trends.buckets import Bucket
from streams.state.trends.counts import TenantTrends
from streams.state.trends.rising import LEAST_UPLOADERS, LEAST_USES, Floats, expect, score

MOST_RISES = 1000  # of one tenant at once; the others wait for a place
_DIGITS = 4


class Judge:
    """Judges the tags of one tenant at one step. For any thread, within `reading` of its counts."""

    def __init__(self, trends: TenantTrends, window: Window, moment: int) -> None:
        self._trends = trends
        self._buckets = [Bucket(window.step, start) for start in window.starts(moment)]
        hours, seconds = window.baseline(moment, trends.begin())
        self._has_past = seconds >= window.seconds
        observed = trends.counts(self._buckets)
        baseline = trends.counts(Bucket("hour", start) for start in hours)
        self._size = min(len(observed), len(baseline))
        self._observed = observed[: self._size]
        self._expected: Floats = np.round(
            expect(baseline[: self._size], seconds, window.seconds), _DIGITS
        ).astype(np.float64)
        self._scores = score(self._observed, self._expected, 1)

    def candidates(self, least_score: float) -> list[tuple[str, int]]:
        """The tags whose score is high enough, with their places, the highest first, equal ones by name.

        None is, as long as less is known of the past than the window is long: then all would seem to rise.
        """
        if not self._has_past:
            return []
        enough = np.where(self._observed >= LEAST_USES, self._scores, 0.0)
        names, places = self._trends.tags, np.flatnonzero(enough >= least_score).tolist()
        ranked = sorted(places, key=lambda each: (-enough[each], names[each]))
        return [(names[place], place) for place in ranked]

    def figures(self, tag: str, place: int | None) -> Figures:
        """What was counted of a tag; of one that has no place, nothing was."""
        if place is None or place >= self._size or not self._observed[place]:
            return Figures(0, 1.0 if place is None else self._expected_at(place), 0.0, 0)
        observed = int(self._observed[place])
        uploaders = min(self._trends.uploaders(tag, self._buckets), observed)
        return Figures(
            observed, self._expected_at(place), round(float(self._scores[place]), _DIGITS), uploaders
        )

    def _expected_at(self, place: int) -> float:
        return float(self._expected[place]) if place < self._size else 1.0


class Asked(NamedTuple):
    """What is judged: a tenant's tags on its watchlist, in a window that ends at a step."""

    tenant: str
    watchlist: Watchlist
    window: Window
    moment: int


def judge(asked: Asked, trends: TenantTrends, rises: Mapping[str, Rise]) -> dict[str, Step]:
    """What becomes of a tenant's tags at a step: by tag, those alone whose rise began, changed or ended.

    Args:
        asked: What is judged.
        trends: The tenant's counts; within `reading`.
        rises: Its rises that go on, by tag.
    """
    tenant, watchlist, window, moment = asked
    judged = Judge(trends, window, moment)
    places = {name: place for place, name in enumerate(trends.tags) if name in rises} if rises else {}
    steps: dict[str, Step] = {}
    for tag, rise in rises.items():
        figures = judged.figures(tag, places.get(tag))
        step = go_on(rise, figures, moment, window.name, watchlist.least_score)
        if step.told or step.rise != rise:
            steps[tag] = step
    room = MOST_RISES - sum(1 for tag in rises if tag not in steps or steps[tag].rise is not None)
    for tag, place in judged.candidates(watchlist.least_score):
        if room <= 0:
            break
        if tag in rises or not watchlist.has(tag):
            continue
        figures = judged.figures(tag, place)
        if 0 < figures.uploaders < LEAST_UPLOADERS:
            continue
        steps[tag] = begin(tenant, tag, figures, moment, window.name)
        room -= 1
    return steps
