"""Where to draw the line between a tag and none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def choose_threshold(
    probabilities: NDArray[np.float64], true: NDArray[np.bool_], precision: float | None
) -> float:
    """A probability above which a tag is given.

    Args:
        probabilities: Of photos.
        true: Whether the tag is true of each.
        precision: Take the lowest threshold with at least so many right of those that it gives, or the most
            precise one where none reaches that; None: take the one with the best F1.
    """
    order = np.argsort(-probabilities, kind="stable")
    ranked, right = probabilities[order], np.cumsum(true[order])
    given = np.arange(1, len(order) + 1)
    last = np.append(ranked[:-1] > ranked[1:], True)  # of equals all are given, or none
    shares, found = (right / given)[last], right[last]
    if precision is None:
        best = int(np.argmax(2 * found / (given[last] + true.sum())))
    else:
        enough = np.flatnonzero((shares >= precision) & (found > 0))
        best = int(enough[-1]) if len(enough) else int(np.argmax(shares))
    return _between(ranked, int(np.flatnonzero(last)[best]))


def _between(ranked: NDArray[np.float64], place: int) -> float:
    """Halfway to the first that is not given."""
    below = ranked[place + 1] if place + 1 < len(ranked) else 0.0
    return float(ranked[place] + below) / 2
