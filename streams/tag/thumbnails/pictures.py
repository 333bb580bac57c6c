"""Small pictures of images, made of what is decoded anyway."""

import io
import logging
from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from model import View

log = logging.getLogger(__name__)

SIDE = 256  # pixels of the longer side
QUALITY = 75
_QUICKLY = 2  # of WebP's 0 to 6: a third of the default's time, a few per cent more bytes


def pictured(others: Collection[View]) -> View:
    """How an image is looked at for its small picture: no larger than others look, for whom it is scaled."""
    return View(min(SIDE, max(view.size for view in others)))


def webp(square: NDArray[np.uint8], width: int, height: int) -> bytes | None:
    """A small picture of an image that was squashed to a square; None: it cannot be had.

    Args:
        square: The squashed image.
        width: Of the whole image.
        height: Likewise.
    """
    side, longer = len(square), max(width, height)
    size = (max(round(width * side / longer), 1), max(round(height * side / longer), 1))
    picture, file = Image.fromarray(square).resize(size, Image.Resampling.BICUBIC), io.BytesIO()
    try:
        picture.save(file, "WEBP", quality=QUALITY, method=_QUICKLY)
    except (OSError, ValueError) as error:  # no image is lost for its picture
        log.warning("no thumbnail of an image of %d x %d: %s", width, height, error)
        return None
    return file.getvalue()
