"""Pictures as they are sent."""

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_QUALITY = 85


class Seen(NamedTuple):
    """A decoded image, squeezed to a square: uint8, shape (1, size, size, 3), and its own size."""

    squares: NDArray[np.uint8]
    width: int
    height: int


def jpeg_of(seen: Seen) -> bytes:
    """A JPEG file in the image's own proportions, whose longer side is the square's."""
    side = seen.squares.shape[1]
    scale = side / max(seen.width, seen.height, 1)
    size = max(round(seen.width * scale), 1), max(round(seen.height * scale), 1)
    picture = Image.fromarray(seen.squares[0])
    if size != picture.size:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    target = io.BytesIO()
    picture.save(target, "JPEG", quality=_QUALITY)
    return target.getvalue()
