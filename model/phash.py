"""A number by which copies of an image are found, though resized, recompressed or faded: a perceptual hash.

The definition is that of the PyPI package imagehash (`phash`), after N. Krawetz, "Looks Like It" (2011): of
32 x 32 grey pixels the 8 x 8 lowest frequencies of a discrete cosine transform, each a bit: whether it is
above the median of all. Pixels come from our own decoding, upright and on white: a few bits may differ from
imagehash's. Images whose hashes differ in few of the 64 bits look alike; turned, mirrored or much cropped
ones are not found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.decoding.pixels import View

if TYPE_CHECKING:
    from numpy.typing import NDArray

SEEN = View(32)
"""How an image is looked at for its hash."""

BITS = 64
_SIDE = 8
_BRIGHTNESS = np.array([299, 587, 114], np.float64) / 1000
_LEAST_CONTRAST = 2.0  # levels, one standard deviation: below it bits tell of rounding alone
_FREQUENCIES, _PLACES = np.arange(_SIDE)[:, None], np.arange(SEEN.size)[None, :]
_COSINES = 2 * np.cos(np.pi * _FREQUENCIES * (2 * _PLACES + 1) / (2 * SEEN.size))


def perceptual_hash(square: NDArray[np.uint8]) -> str | None:
    """An image's hash, 16 hexadecimal digits; None for one of a single colour, which is like any other such.

    Args:
        square: uint8, shape (32, 32, 3), RGB.
    """
    grey = square @ _BRIGHTNESS
    if float(grey.std()) < _LEAST_CONTRAST:
        return None
    lowest = _COSINES @ grey @ _COSINES.T
    bits = (lowest > np.median(lowest)).ravel()
    return np.packbits(bits).tobytes().hex()
