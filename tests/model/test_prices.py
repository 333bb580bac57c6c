"""What headers tell of what decoding will cost."""

from __future__ import annotations

import struct
import time
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from model import View, open_image

PHOTO = Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg"
QUARTER = 250  # milliseconds
PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def photo(megapixels: int, **options: object) -> bytes:
    """A sample photo, enlarged, with noise as a camera's."""
    side = int((megapixels * 1e6) ** 0.5)
    noise = Image.effect_noise((side, side), 20).convert("RGB")
    with Image.open(PHOTO) as sample:
        enlarged = sample.convert("RGB").resize((side, side))
    return encoded(Image.blend(enlarged, noise, 0.2), "JPEG", **options)


def many_scans(times: int) -> bytes:
    data = encoded(Image.new("RGB", (2100, 2100)), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    return data[:at] + data[at:-2] * times + data[-2:]


def interlaced_png(side: int) -> bytes:
    """Four colours of 16 bits, filtered by Paeth."""
    packer, packed = zlib.compressobj(1), b""
    for left, top, across, down in PASSES:
        row = b"\x04" + b"\x01" * (-(-(side - left) // across) * 8)
        packed += packer.compress(row * -(-(side - top) // down))
    packed += packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 16, 6, 0, 0, 1)
    parts = ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


CHEAP = {
    "a photo of a web page": PHOTO.read_bytes,
    "a camera's photo": lambda: photo(12, quality=90),
    "a screenshot": lambda: encoded(Image.new("RGB", (1920, 1080)), "PNG"),
    "a WebP photo": lambda: encoded(Image.effect_noise((1600, 1200), 20).convert("RGB"), "WEBP"),
}
DEAR = {
    "a progressive JPEG of many scans": lambda: many_scans(180),
    "a large PNG": lambda: encoded(Image.new("RGBA", (3600, 3600)), "PNG", compress_level=1),
    "an interlaced PNG of 16 bits": lambda: interlaced_png(2400),
    "a TIFF": lambda: encoded(Image.new("RGBA", (5000, 5000)), "TIFF", compression="tiff_adobe_deflate"),
    "a WebP": lambda: encoded(Image.new("RGB", (4000, 4000)), "WEBP", lossless=True),
}


@pytest.mark.parametrize("name", [*CHEAP, *DEAR])
def test_no_image_costs_more_than_its_price(name: str) -> None:
    """It is told from above: photos are cheap, and whatever keeps a core busy is dear."""
    data = (CHEAP | DEAR)[name]()
    image = open_image(data, (View(260),))
    assert (image.milliseconds > QUARTER) == (name in DEAR)
    started = time.thread_time()
    image.decode()
    spent = (time.thread_time() - started) * 1000
    assert spent < 3 * image.milliseconds + 20, "three times: other machines, and busy ones"
