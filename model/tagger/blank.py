"""Whether there is a picture at all: classifiers of photos see doormats in noise, and knives in gradients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_CORRELATION = 0.4
"""Of neighbouring pixels: that of noise, made smaller, is below 0.25, that of 520 photos above 0.64."""

_STEEPEST = 3
"""Levels between neighbours: plain areas and gradients have no more, nearly all photos have."""

_MOST_STEPS = 0.0002  # of all pixels: a bird in the sky has more
_BRIGHTNESS = np.array([299, 587, 114], np.float32) / np.float32(1000)


def is_blank(square: NDArray[np.uint8]) -> bool:
    """Whether a square is noise, one colour or a gradient.

    Args:
        square: uint8, shape (size, size, 3), RGB.
    """
    grey = square[..., 0] * _BRIGHTNESS[0]
    for band in (1, 2):
        grey += square[..., band] * _BRIGHTNESS[band]
    number, steep, squares = 0, 0, 0.0
    for axis in (0, 1):
        steps = np.diff(grey, axis=axis)
        number += steps.size
        steep += int(np.count_nonzero(steps > _STEEPEST) + np.count_nonzero(steps < -_STEEPEST))
        squares += float(np.vdot(steps, steps))
    if steep <= _MOST_STEPS * number:
        return True
    correlation = 1 - squares / number / (2 * float(grey.var()))
    return correlation < _LEAST_CORRELATION
