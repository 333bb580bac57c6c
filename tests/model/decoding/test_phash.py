"""Perceptual hashes: copies are near, other images are far."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from scipy.fft import dct

from model import SEEN, decode_views, perceptual_hash

PHOTOS = sorted((Path(__file__).parents[3] / "streams" / "photos").glob("*.jpg"))
ALIKE = 8


def hashed(image: Image.Image, kind: str = "JPEG", **options: object) -> str | None:
    file = BytesIO()
    image.save(file, kind, **options)
    return perceptual_hash(decode_views(file.getvalue(), (SEEN,)).squares[SEEN][0])


def bits(first: str | None, second: str | None) -> int:
    assert first is not None
    assert second is not None
    return (int(first, 16) ^ int(second, 16)).bit_count()


def with_caption(image: Image.Image) -> Image.Image:
    copy = image.copy()
    ImageDraw.Draw(copy).text((10, 10), "A caption, 2026", "white")
    return copy


EDITS = {
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2)),
    "twice the size": lambda image: image.resize((image.width * 2, image.height * 2)),
    "grey": ImageOps.grayscale,
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.2),
    "faded": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "a caption": with_caption,
    "squeezed": lambda image: image.resize((image.width, int(image.height * 0.9))),
}


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_copies_are_near(path: Path, edit: str) -> None:
    """Resized, recompressed, faded and captioned images differ in few bits."""
    with Image.open(path) as photo:
        image = photo.convert("RGB")
    assert bits(hashed(image), hashed(EDITS[edit](image), quality=40)) <= ALIKE


def test_other_images_are_far() -> None:
    """The sample photos differ in many bits from each other."""
    hashes = []
    for path in PHOTOS:
        with Image.open(path) as photo:
            hashes.append(hashed(photo.convert("RGB")))
    pairs = [bits(one, other) for place, one in enumerate(hashes) for other in hashes[:place]]
    assert min(pairs) > 2 * ALIKE


def test_orientation_and_format_do_not_matter() -> None:
    """The upright image is hashed, whatever the file."""
    with Image.open(PHOTOS[0]) as photo:
        image = photo.convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = image.transpose(Image.Transpose.ROTATE_90)
    assert bits(hashed(image, "PNG"), hashed(turned, quality=90, exif=exif)) <= 4


def test_the_definition() -> None:
    """The lowest 8 x 8 frequencies of 32 x 32 grey pixels, above their median or not, row by row."""
    pixels = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    grey = pixels @ np.array([0.299, 0.587, 0.114])
    lowest = dct(dct(grey, axis=0), axis=1)[:8, :8]
    text = "".join("1" if above else "0" for above in (lowest > np.median(lowest)).ravel())
    assert perceptual_hash(pixels) == f"{int(text, 2):016x}"


@pytest.mark.parametrize("colour", ["black", "white", "skyblue"])
def test_one_colour_has_no_hash(colour: str) -> None:
    """What has no picture is not called a copy of all others that have none."""
    assert hashed(Image.new("RGB", (90, 60), colour)) is None
