"""A decoded image becomes small squares of RGB.

What must be converted is converted and reduced band by band: a second or third copy of a large image at full
size would take most of a gigabyte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from PIL import Image

from model.decoding.layouts import levels_of

if TYPE_CHECKING:
    from collections.abc import Callable

_BAND_PIXELS = 1_000_000
_REDUCING_GAP = 2  # what is at least twice too large is averaged first, as `Image.resize` does
_TINY = 1e-12
_VERY_LONG, _ALONG = 2, 3  # how long that is, and how many squares are seen then
_NEARLY_SQUARE = 1.25  # longer side over shorter; squashing distorts no more than that

Box = tuple[int, int, int, int]  # left, top, right, bottom
Size = tuple[int, int]  # width, height


class View(NamedTuple):
    """How a model looks at an image.

    Attributes:
        size: Side in pixels of the squares that it takes.
        crops: 1: the whole image, squashed to one square. 3: of an image that is far from square the first,
            the middle and the last square along its longer side.
        wide: Whether an image that is seen as one square otherwise is seen as that and as those three where
            it is very long: what is squashed to less than half cannot be told any more.
        fitted: Whether the image keeps its proportions instead: it fills one square as far as it goes, and
            what is left is black.
    """

    size: int
    crops: int = 1
    wide: bool = False
    fitted: bool = False


def squares(image: Image.Image, view: View) -> list[Image.Image]:
    """What a model sees of an image: RGB, transparency on white, wide numbers as 8 bits."""
    if view.fitted:
        return [_fitted(image, view.size)]
    return [_resized(image, box, (view.size, view.size)) for box in _boxes(image.size, view)]


def _boxes(size: tuple[int, int], view: View) -> list[Box]:
    whole, side, longer = (0, 0, *size), min(size), max(size)
    if view.crops > 1 and longer > side * _NEARLY_SQUARE:
        return _along(size, view.crops)
    if view.wide and longer > side * _VERY_LONG:
        return [whole, *_along(size, _ALONG)]
    return [whole]


def _along(size: tuple[int, int], crops: int) -> list[Box]:
    width, height = size
    side, longer = min(size), max(size)
    starts = [round((longer - side) * number / (crops - 1)) for number in range(crops)]
    if width > height:
        return [(start, 0, start + side, height) for start in starts]
    return [(0, start, width, start + side) for start in starts]


def _fitted(image: Image.Image, side: int) -> Image.Image:
    width, height = image.size
    longer = max(width, height)
    size = (max(round(width * side / longer), 1), max(round(height * side / longer), 1))
    square = Image.new("RGB", (side, side))
    square.paste(_resized(image, (0, 0, width, height), size))
    return square


def _resized(image: Image.Image, box: Box, size: Size) -> Image.Image:
    if image.mode in {"I", "F"} or image.mode.startswith("I;16"):
        return _eight_bits(image, box, size).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image, box, size)
    if image.mode == "RGB":
        return image.resize(size, Image.Resampling.BICUBIC, box, reducing_gap=_REDUCING_GAP)
    return _squash(image, box, size, lambda band: band.convert("RGB"))


def _eight_bits(image: Image.Image, box: Box, size: Size) -> Image.Image:
    """Scale 16-bit grey by its type's range, 32-bit and floating-point grey by the image's own."""
    levels = levels_of(image)
    convert = _unsigned if levels.unsigned else _floats
    low, high = (0.0, float(levels.highest)) if levels.highest else _extrema(image, convert)
    values = np.asarray(_squash(image, box, size, convert))
    with np.errstate(all="ignore"):  # infinities and numbers near them: any grey will do
        scaled = (values - low) * (255.0 / max(high - low, _TINY))
    grey = np.nan_to_num(scaled).clip(0, 255).astype(np.uint8)
    return Image.fromarray(255 - grey if levels.inverted else grey)


def _floats(band: Image.Image) -> Image.Image:
    return band.convert("F")


def _unsigned(band: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(band).view(np.uint32).astype(np.float32))


def _extrema(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> tuple[float, float]:
    if convert is _floats:
        return cast("tuple[float, float]", image.getextrema())  # one band, one pair
    rows = max(_BAND_PIXELS // image.width, 1)
    bands = (
        image.crop((0, top, image.width, min(top + rows, image.height)))
        for top in range(0, image.height, rows)
    )
    pairs = [cast("tuple[float, float]", convert(band).getextrema()) for band in bands]
    return min(low for low, _ in pairs), max(high for _, high in pairs)


def _on_white(image: Image.Image, box: Box, size: Size) -> Image.Image:
    """Squash with the colours multiplied by their alpha, so that hidden ones do not bleed."""
    small = _squash(image, box, size, _multiplied).convert("RGBA")
    paper = Image.new("RGBA", small.size, "white")
    paper.alpha_composite(small)
    return paper.convert("RGB")


def _multiplied(band: Image.Image) -> Image.Image:
    return (band if band.mode == "RGBA" else band.convert("RGBA")).convert("RGBa")


def _squash(
    image: Image.Image, box: Box, size: Size, convert: Callable[[Image.Image], Image.Image]
) -> Image.Image:
    """Convert and resize as `Image.resize` with a reducing gap does, but with a band in memory, not all."""
    width, height = box[2] - box[0], box[3] - box[1]
    across, down = (
        max(side // (wanted * _REDUCING_GAP), 1) for side, wanted in zip((width, height), size, strict=True)
    )
    rows = max(_BAND_PIXELS // (width * down), 1) * down
    if rows >= height:
        part = image if (width, height) == image.size else image.crop(box)
        reduced = convert(part).reduce((across, down))
    else:
        reduced = _reduced(image, box, (across, down), rows, convert)
    whole = (0.0, 0.0, width / across, height / down)
    return reduced.resize(size, Image.Resampling.BICUBIC, whole)


def _reduced(
    image: Image.Image,
    box: Box,
    factors: tuple[int, int],
    rows: int,
    convert: Callable[[Image.Image], Image.Image],
) -> Image.Image:
    left, first, right, last = box
    whole: Image.Image | None = None
    for top in range(first, last, rows):
        band = convert(image.crop((left, top, right, min(top + rows, last)))).reduce(factors)
        if whole is None:
            whole = Image.new(band.mode, (band.width, -(-(last - first) // factors[1])))
        whole.paste(band, (0, (top - first) // factors[1]))
    if whole is None:
        raise ValueError(f"the image is empty: {image.size}")
    return whole
