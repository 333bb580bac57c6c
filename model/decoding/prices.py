"""What decoding an image will cost, known from its header: the CPU time of one core, from above.

A file of half a megabyte may keep a core busy for three seconds, one of ten for a tenth of one. Whoever
decodes for several can put such images where nobody waits for them. The numbers are measurements on one core
of 2.1 GHz, printed by `benchmarks/decoding.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

    from model.decoding.heif.heic import Work

_NS_PER_BYTE = {"JPEG": 20, "PNG": 10, "WEBP": 60, "AVIF": 140}
_NS_PER_PIXEL = {"JPEG": 2, "GIF": 6, "BMP": 10, "TIFF": 20, "WEBP": 16, "AVIF": 16}
_OTHERS = 10
_NS_PER_SCAN = 1  # and pixel
_NS_PER_RUN = 130  # of pixels, at worst one each, of run-length encoded BMP: Pillow decodes it in Python
_RLE = {1, 2}

_HEIC_PER_BYTE, _HEIC_PER_PIXEL, _HEIC_PER_RICH_PIXEL = 80, 50, 120

_PNG_BASE, _PNG_PER_BYTE = 10, 6  # nanoseconds per pixel, and for each byte that it has unpacked
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_DEPTH, _COLOURS = 24, 25  # where a PNG's header says them


def milliseconds(image: Image.Image, data: bytes, scans: int, frames: int) -> float:
    """What an image's decoding will cost.

    Args:
        image: Not decoded yet, and not reduced.
        data: Its file.
        scans: Of a JPEG.
        frames: Pixels in an AVIF's frames.
    """
    kind = image.format or ""
    pixels = max(image.width * image.height, frames // 2)
    per_pixel = _NS_PER_PIXEL.get(kind, _OTHERS)
    if kind == "PNG":
        per_pixel = _PNG_BASE + _PNG_PER_BYTE * _bytes_per_png_pixel(data)
    elif kind == "JPEG" and scans > 1:
        per_pixel += _NS_PER_SCAN * scans
    elif kind == "BMP" and image.info.get("compression") in _RLE:
        per_pixel = _NS_PER_RUN
    return (pixels * per_pixel + len(data) * _NS_PER_BYTE.get(kind, _OTHERS)) / 1e6


def heic_milliseconds(data: bytes, work: Work) -> float:
    """What the decoding of a HEIC will cost."""
    per_pixel = _HEIC_PER_RICH_PIXEL if work.deep or work.rich else _HEIC_PER_PIXEL
    return (work.pixels * per_pixel + len(data) * _HEIC_PER_BYTE) / 1e6


def _bytes_per_png_pixel(data: bytes) -> int:
    depth, colours = data[_DEPTH], data[_COLOURS]
    return -(-depth * _PNG_CHANNELS.get(colours, max(_PNG_CHANNELS.values())) // 8)
