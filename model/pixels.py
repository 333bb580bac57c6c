"""A decoded image becomes a small square of RGB.

What must be converted is converted and reduced band by band: a second or third copy of a large image at full
size would take most of a gigabyte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Callable

_BAND_PIXELS = 1_000_000
_REDUCING_GAP = 2  # what is at least twice too large is averaged first, as `Image.resize` does
_TINY = 1e-12


def square(image: Image.Image, size: int) -> Image.Image:
    """Squash an image to size x size: RGB, transparency on white, wide numbers as 8 bits."""
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _eight_bits(image, size).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image, size)
    if image.mode == "RGB":
        return image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=_REDUCING_GAP)
    return _squash(image, size, lambda band: band.convert("RGB"))


def _eight_bits(image: Image.Image, size: int) -> Image.Image:
    """Scale 16-bit grey by its type's range, 32-bit and floating-point grey by the image's own."""
    low, high = (0.0, 65535.0)
    if not image.mode.startswith("I;16"):
        low, high = cast("tuple[float, float]", image.getextrema())  # one band, one pair
    values = np.asarray(_squash(image, size, lambda band: band.convert("F")))
    with np.errstate(all="ignore"):  # infinities and numbers near them: any grey will do
        scaled = (values - low) * (255.0 / max(high - low, _TINY))
    return Image.fromarray(np.nan_to_num(scaled).clip(0, 255).astype(np.uint8))


def _on_white(image: Image.Image, size: int) -> Image.Image:
    """Squash with the colours multiplied by their alpha, so that hidden ones do not bleed."""
    small = _squash(image, size, _multiplied).convert("RGBA")
    paper = Image.new("RGBA", small.size, "white")
    paper.alpha_composite(small)
    return paper.convert("RGB")


def _multiplied(band: Image.Image) -> Image.Image:
    return (band if band.mode == "RGBA" else band.convert("RGBA")).convert("RGBa")


def _squash(image: Image.Image, size: int, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert and resize as `Image.resize` with a reducing gap does, but with a band in memory, not all."""
    width, height = image.size
    across, down = (max(side // (size * _REDUCING_GAP), 1) for side in image.size)
    rows = max(_BAND_PIXELS // (width * down), 1) * down
    if rows >= height:
        reduced = convert(image).reduce((across, down))
    else:
        reduced = _reduced(image, (across, down), rows, convert)
    box = (0.0, 0.0, width / across, height / down)
    return reduced.resize((size, size), Image.Resampling.BICUBIC, box)


def _reduced(
    image: Image.Image, factors: tuple[int, int], rows: int, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    width, height = image.size
    whole: Image.Image | None = None
    for top in range(0, height, rows):
        band = convert(image.crop((0, top, width, min(top + rows, height)))).reduce(factors)
        if whole is None:
            whole = Image.new(band.mode, (band.width, -(-height // factors[1])))
        whole.paste(band, (0, top // factors[1]))
    if whole is None:
        raise ValueError(f"the image is empty: {width} x {height}")
    return whole
