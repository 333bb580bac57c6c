"""Calibration: of the tags that are reported with a probability of 0.8, four in five should be true.

Expected calibration error as in Naeini et al., "Obtaining Well Calibrated Probabilities Using Bayesian
Binning" (AAAI 2015): tags are sorted into ten bins of equal width by probability; the error is the mean
distance between a bin's mean probability and its share of true tags, weighted by the bins' sizes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BINS = 10
_SIDE, _LEFT, _BOTTOM = 240, 44, 40
_WIDTH, _HEIGHT = _LEFT + _SIDE + 16, _SIDE + _BOTTOM + 16


class Bin(msgspec.Struct, frozen=True):
    """Tags that are reported with about the same probability.

    Attributes:
        count: How many, each tag of each photo counted.
        probability: Their mean probability.
        share: The share of them that is true.
    """

    count: int
    probability: float
    share: float


def bins_of(probabilities: NDArray[np.float32], true: NDArray[np.bool_]) -> list[Bin]:
    """Sort reported tags into bins and leave out the empty ones.

    Args:
        probabilities: float32, shape (tags,), each 0 to 1.
        true: bool, shape (tags,).
    """
    places = np.minimum((probabilities * BINS).astype(int), BINS - 1)
    found = []
    for place in range(BINS):
        inside = places == place
        if inside.any():
            share = float(true[inside].mean())
            found.append(Bin(int(inside.sum()), float(probabilities[inside].mean()), share))
    return found


def calibration_error(bins: Sequence[Bin]) -> float:
    """Expected calibration error, 0 to 1; not a number where nothing is reported."""
    total = sum(entry.count for entry in bins)
    if not total:
        return float("nan")
    return sum(entry.count * abs(entry.probability - entry.share) for entry in bins) / total


def diagram(bins: Sequence[Bin]) -> str:
    """Draw the reliability diagram as an SVG document; points on the diagonal are calibrated."""
    most = max((entry.count for entry in bins), default=1)
    points = "".join(_point(entry, most) for entry in bins)
    grid = "".join(_grid(step / 5) for step in range(6))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" font-family="sans-serif" font-size="11" fill="#777">'
        f"<title>Reliability: share of true tags over probability</title>{grid}"
        f'<path d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}" stroke="#999" stroke-dasharray="4 3"/>{points}'
        f'<text x="{_x(0.5)}" y="{_HEIGHT - 6}" text-anchor="middle">probability</text>'
        f'<text x="12" y="{_y(0.5)}" text-anchor="middle" transform="rotate(-90 12 {_y(0.5)})">'
        "share that is true</text></svg>\n"
    )


def _x(value: float) -> float:
    return round(_LEFT + _SIDE * value, 1)


def _y(value: float) -> float:
    return round(8 + _SIDE * (1 - value), 1)


def _grid(value: float) -> str:
    return (
        f'<path d="M{_x(value)} {_y(0)}V{_y(1)}M{_x(0)} {_y(value)}H{_x(1)}" stroke="#ccc"/>'
        f'<text x="{_x(value)}" y="{_y(0) + 14}" text-anchor="middle">{value:.1f}</text>'
        f'<text x="{_x(0) - 5}" y="{_y(value) + 4}" text-anchor="end">{value:.1f}</text>'
    )


def _point(entry: Bin, most: int) -> str:
    radius = round(2.5 + 7 * (entry.count / most) ** 0.5, 1)
    return (
        f'<circle cx="{_x(entry.probability)}" cy="{_y(entry.share)}" r="{radius}" fill="#1a73e8" '
        f'fill-opacity=".75"><title>{entry.count} tags: mean probability {entry.probability:.2f}, '
        f"true {entry.share:.2f}</title></circle>"
    )
