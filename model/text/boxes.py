"""Where lines of text are: boxes, from how likely each pixel belongs to one. Pure.

The detector is trained on lines that were shrunk (differentiable binarization), so what it finds is grown
again by the same rule. Boxes are upright: a line that is turned by more than some degrees is not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy  # its ndimage is loaded when the first image is read: workers without this add-on do without

if TYPE_CHECKING:
    from numpy.typing import NDArray

_INK = 0.3  # probability of a pixel of text
_SURE = 0.5  # mean probability of those of a line
_FILLED = 0.3  # share of such pixels in a line's box: less is an outline, not a line
_THINNEST = 3  # pixels
_GROWTH = 1.6  # times area over perimeter, as the detector's authors have it
_EIGHT_NEIGHBOURS = np.ones((3, 3), np.int8)


class Box(NamedTuple):
    """A line's place in pixels; right and bottom are outside."""

    left: int
    top: int
    right: int
    bottom: int


def lines(probabilities: NDArray[np.float32], most: int) -> list[Box]:
    """The boxes of the largest lines, the largest first.

    Args:
        probabilities: Shape (height, width).
        most: So many at most.
    """
    labels, _ = scipy.ndimage.label(probabilities > _INK, _EIGHT_NEIGHBOURS)
    found: list[tuple[int, Box]] = []
    for number, place in enumerate(scipy.ndimage.find_objects(labels), 1):
        ink = labels[place] == number
        if min(ink.shape) < _THINNEST or ink.mean() < _FILLED or probabilities[place][ink].mean() < _SURE:
            continue
        found.append((int(ink.sum()), _grown(place, probabilities.shape)))
    found.sort(key=lambda each: (-each[0], each[1]))
    return [box for _, box in found[:most]]


def _grown(place: tuple[slice, slice], within: tuple[int, ...]) -> Box:
    (top, bottom), (left, right) = ((part.start, part.stop) for part in place)
    height, width = bottom - top, right - left
    margin = round(_GROWTH * height * width / (2 * (height + width)))
    return Box(
        max(left - margin, 0),
        max(top - margin, 0),
        min(right + margin, within[1]),
        min(bottom + margin, within[0]),
    )
