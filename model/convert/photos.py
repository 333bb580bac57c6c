"""Photos for quantisation, kept apart from those that its result is judged on."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from model.decoding.decode import decode
from model.decoding.errors import BadImageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CALIBRATION_PHOTOS = 128
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_LEAST_PIXELS = 30_000
_MOST_PNG_PIXELS = 2_000_000
"""A larger PNG is a rendered wallpaper."""
_LEAST_BYTES_PER_PIXEL = 0.35
"""A PNG below is a drawing; a photo does not compress that well without loss."""
_DRAWN = {"symbols", "hobbies", "space", "people", "town", "abstract", "desktop"}
"""Folders of the Debian packages named in MODEL_CARD.md that hold drawings and patterns."""


def split_photos(folders: Sequence[Path], count: int = CALIBRATION_PHOTOS) -> tuple[list[Path], list[Path]]:
    """Split the photos below some folders into those to calibrate with and those to judge with.

    The order is that of the files' SHA-256: the same on every machine, and unrelated to what they show.
    Copies of a file count once, and so do the sizes in which a wallpaper comes (``NAME/contents/images/*``).

    Args:
        folders: Searched with all folders below them.
        count: How many photos to calibrate with.

    Returns:
        The photos to calibrate with, and all others.
    """
    found: dict[str, Path] = {}
    for path in (path for folder in folders for path in _one_of_each_wallpaper(_undrawn(folder))):
        if path.suffix.lower() in _SUFFIXES and _is_photo(path):
            found.setdefault(hashlib.sha256(path.read_bytes()).hexdigest(), path)
    ordered = [found[digest] for digest in sorted(found)]
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


def _undrawn(folder: Path) -> list[Path]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in paths if not _DRAWN & set(path.relative_to(folder).parts))


def _one_of_each_wallpaper(paths: Iterable[Path]) -> Iterable[Path]:
    seen: set[Path] = set()
    for path in paths:
        wallpaper = next((above for above in path.parents if above.name == "contents"), path)
        if wallpaper not in seen:
            seen.add(wallpaper)
            yield path


def _is_photo(path: Path) -> bool:
    with Image.open(path) as image:
        pixels = image.width * image.height
    if path.suffix.lower() != ".png":
        return pixels >= _LEAST_PIXELS
    dense = path.stat().st_size >= _LEAST_BYTES_PER_PIXEL * pixels
    return dense and _LEAST_PIXELS <= pixels <= _MOST_PNG_PIXELS
