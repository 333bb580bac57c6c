"""Photos for quantisation, kept apart from those that its result is judged on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from model.decode import BadImageError, decode

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CALIBRATION_PHOTOS = 128
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}


def split_photos(folder: Path, count: int = CALIBRATION_PHOTOS) -> tuple[list[Path], list[Path]]:
    """Split a folder into photos to calibrate with and photos to judge with.

    The order is that of the file names' SHA-256: the same on every machine, and unrelated to what they show.
    """
    files = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    ordered = sorted(files, key=lambda path: hashlib.sha256(path.name.encode()).digest())
    return ordered[:count], ordered[count:]


def load_pixels(paths: list[Path], size: int) -> NDArray[np.uint8]:
    """Decode photos as the tagger does: uint8, shape (photos, size, size, 3).

    Raises:
        ValueError: One of them is no image.
    """
    pixels = []
    for path in paths:
        try:
            pixels.append(decode(path.read_bytes(), size).pixels)
        except BadImageError as error:
            raise ValueError(f"{path}: {error}") from error
    return np.stack(pixels)
