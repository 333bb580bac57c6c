"""What an image may cost. Checked against its headers, before a decoder or its pixels get any memory.

Where Pillow parses in Python, a hostile file can make it loop for a minute or build gigabytes of objects from
30 MB; where it decodes in C, memory follows from the pixels alone. The measurements behind each number are
printed by `benchmarks/decoding.py`.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from model.decoding.errors import too_large, too_much

if TYPE_CHECKING:
    from PIL import Image
    from PIL.JpegImagePlugin import JpegImageFile

    from model.decoding.heif.heic import Work

MAX_PIXELS = 50_000_000
"""Width times height above which an image is refused."""

MAX_PIXELS_COPIED = {"WEBP": 16_000_000, "AVIF": 16_000_000, "TIFF": 25_000_000}
"""The same for formats whose decoders keep several copies of the pixels."""

MAX_FRAME_PIXELS = 22_000_000
"""Pixels of a frame in an AVIF file, in whole blocks: a long image has a third more than it shows."""

MAX_FRAMES = 3
"""How many of the largest an AVIF file may hold: colours, transparency, layers, previews, a gain map."""

MAX_PIXELS_RLE = 4_000_000
"""The same for run-length encoded BMP, which Pillow decodes in Python."""

MAX_SIDE = 65_535
"""Longest side: a JPEG's limit. Pillow keeps a pointer per row, which costs more than a narrow row."""

MAX_SCANS = 200
"""Scans of a progressive JPEG above which it is refused; encoders write about ten."""

MAX_SCANNED_PIXELS = 900_000_000
"""Scans times pixels: each scan is a pass over the image."""

MAX_DECODING_BYTES = 256_000_000
"""Memory that one image may take; where several are decoded at once, all of them together should.

No image gets more: a progressive JPEG, all of whose coefficients are kept, has a lower limit where its
colours are not subsampled.
"""

_BYTES_PER_PIXEL = {"GIF": 2, "WEBP": 16, "AVIF": 16, "TIFF": 10}
_HEIC_BYTES, _HEIC_RICH, _HEIC_DEEP, _HEIC_TRANSPARENCY = 9, 11, 18, 4  # likewise
_RLE = {1, 2}
_READS = {"GIF": 50_000, "BMP": 1_000_000}


def check_pixels(image: Image.Image) -> None:
    """Refuse an image by its size.

    Raises:
        BadImageError: ``too_many_pixels``.
    """
    width, height = image.size
    limit, kind = MAX_PIXELS, ""
    if image.format in MAX_PIXELS_COPIED:
        limit, kind = MAX_PIXELS_COPIED[image.format], f" of {image.format} files"
    elif image.format == "BMP" and image.info.get("compression") in _RLE:
        limit, kind = MAX_PIXELS_RLE, " of run-length encoded BMP files"
    if width * height > limit:
        raise too_large(f"{width} x {height} pixels", f"{limit:,} pixels{kind}")
    if max(width, height) > MAX_SIDE:
        raise too_large(f"{width} x {height} pixels", f"{MAX_SIDE:,} pixels a side")


def check_frames(sizes: list[int], frames: list[list[int]]) -> int:
    """Refuse an AVIF by the sizes of its pictures, to which they are scaled, and by those of their frames.

    Returns:
        The pixels of all of them.

    Raises:
        BadImageError: ``too_many_pixels``.
    """
    if (largest := max(sizes, default=0)) > (limit := MAX_PIXELS_COPIED["AVIF"]):
        raise too_large(f"{largest:,} pixels", f"{limit:,} pixels of AVIF files")
    if (largest := max((max(held, default=0) for held in frames), default=0)) > MAX_FRAME_PIXELS:
        raise too_large(f"{largest:,} pixels in a frame", f"{MAX_FRAME_PIXELS:,} of an AVIF file")
    pixels = sum(max(size, sum(held)) for size, held in zip(sizes, frames, strict=True) if held)
    if pixels > (limit := MAX_FRAMES * MAX_FRAME_PIXELS):
        parts = "layers, transparency, previews and a gain map included"
        raise too_large(f"{pixels:,} pixels in all its frames, {parts}", f"{limit:,} of an AVIF file")
    return pixels


def heic_bytes(work: Work) -> int:
    """Bytes that a HEIC's picture takes while it is decoded, from above.

    Raises:
        BadImageError: ``too_many_pixels``: they are too many.
    """
    each = _HEIC_DEEP if work.deep else _HEIC_RICH if work.rich else _HEIC_BYTES
    each += _HEIC_TRANSPARENCY * work.transparent
    if work.pixels * each > MAX_DECODING_BYTES:
        most = f"{MAX_DECODING_BYTES // each:,} of HEIC files with such colours"
        raise too_large(f"{work.pixels:,} pixels in its frames", most)
    return work.pixels * each


def check_scans(image: JpegImageFile, scans: int) -> None:
    """Refuse a JPEG whose scans cost too much time, or whose coefficients too much memory.

    Raises:
        BadImageError: ``corrupt`` or ``too_many_pixels``.
    """
    pixels = image.width * image.height
    limit = min(MAX_SCANS, max(MAX_SCANNED_PIXELS // max(pixels, 1), 1))
    if scans > limit:
        raise too_much(f"{scans} scans, each a pass over {pixels:,} pixels", str(limit))
    if (size := coefficient_bytes(image, scans)) > MAX_DECODING_BYTES:
        most = f"{MAX_DECODING_BYTES * pixels // size:,} pixels of progressive JPEG files with such colours"
        raise too_large(f"{image.width} x {image.height} pixels", most)


def coefficient_bytes(image: JpegImageFile, scans: int) -> int:
    """Bytes that a JPEG's coefficients take: all are kept, two bytes each, where scans refine them."""
    if scans <= 1:
        return 0
    layers = [(across, down) for _, across, down, _ in image.layer]
    widest, highest = (max(1, *(factors[side] for factors in layers), 1) for side in (0, 1))
    blocks = sum(max(across, 1) * max(down, 1) for across, down in layers)
    return 2 * image.width * image.height * blocks // (widest * highest)


def decoding_bytes(image: Image.Image, frames: int = 0) -> int:
    """Estimate, from above, the memory that the pixels take while they are decoded.

    Args:
        image: Not decoded yet.
        frames: An AVIF's pixels in frames; of an honest one, with transparency, twice the image's.
    """
    pixels = max(image.width * image.height, frames // 2)
    return pixels * _BYTES_PER_PIXEL.get(image.format or "", 4)


class CountedFile(BytesIO):
    """An image file that a parser written in Python may read only so often.

    Raises:
        BadImageError: In `read`: ``corrupt``.
    """

    def __init__(self, data: bytes, kind: str | None) -> None:
        super().__init__(data)
        self._limit = self._left = _READS.get(kind or "", -1)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, as `BytesIO` does."""
        if self._left == 0:
            raise too_much("a flood of small pieces", f"{self._limit:,}")
        self._left -= 1
        return super().read(size)
