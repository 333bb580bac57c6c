"""JPEG files without their end marker: whole for whoever looks at them, if all pixels are there.

Pillow waits for more bytes. With a marker put behind them libjpeg goes on, but it fills up what is missing,
and says so to nobody. So the pixels are decoded twice, with different bits behind the file: if they depend
on those, they are not all in it.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

END = b"\xff\xd9"
_OTHER_BITS = bytes.fromhex("b26dc9a5362bd48e5b91e73a4cd28f17") * 16
_OTHER = b"".join([_OTHER_BITS, *(bytes([0xFF, restart]) + _OTHER_BITS for restart in range(0xD0, 0xD8))])
_ESCAPE, _STUFFING = b"\xff", b"\0"
_START_OF_SCAN = b"\xff\xda"
_BAND_PIXELS = 1_000_000


def lacks_end(data: bytes) -> bool:
    """Whether nothing ends the last scan of a JPEG."""
    return data.rfind(END) < data.rfind(_START_OF_SCAN)


def ended(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG with its end, and the same with other bits before that."""
    return data + END, data + _STUFFING * data.endswith(_ESCAPE) + _OTHER + END


def checksum(image: Image.Image) -> int:
    """A number that stands for the pixels of an image."""
    found = 0
    rows = max(_BAND_PIXELS // image.width, 1)
    for top in range(0, image.height, rows):
        band = image.crop((0, top, image.width, min(top + rows, image.height)))
        found = zlib.crc32(band.tobytes(), found)
    return found
