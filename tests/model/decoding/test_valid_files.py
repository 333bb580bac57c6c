"""Valid files that decoders stumble over: tagged, or refused for what they are, and never called damaged."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support.decoding import outcome, refused

from model import View, decode, open_image, read_header

PHOTO = Path(__file__).parents[3] / "streams" / "photos" / "koala.jpg"
PHOTOS = sorted(PHOTO.parent.glob("*.jpg"))
END = b"\xff\xd9"
WAYS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "fine": {"quality": 95, "subsampling": 0},
    "restarts": {"restart_marker_blocks": 8},
}


def jpeg(path: Path = PHOTO, size: int = 400, mode: str = "RGB", **options: object) -> bytes:
    with Image.open(path) as photo:
        image = photo.convert(mode)
    image.thumbnail((size, size))
    return encoded(image, "JPEG", **options)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("missing", [END, END[1:]], ids=["marker", "half of it"])
def test_a_jpeg_without_its_end_marker(way: str, mode: str, missing: bytes) -> None:
    """All pixels are there: it is decoded as the whole file is, whatever is missing of the marker."""
    whole = jpeg(mode=mode, **WAYS[way])
    found = decode(whole.removesuffix(missing), 64)
    assert (found.pixels == decode(whole, 64).pixels).all()
    assert read_header(whole.removesuffix(missing)) == read_header(whole)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", PHOTOS, ids=lambda path: path.stem)
def test_a_jpeg_that_lacks_pixels(path: Path, way: str) -> None:
    """Where the picture itself is cut, it is refused, or what is seen is the same but for a trifle."""
    whole = jpeg(path, **WAYS[way])
    seen = decode(whole, 260).pixels.astype(int)
    for cut in (20, 60, 300, 2_000, len(whole) // 2):
        data = whole[: -2 - cut]
        if (found := outcome(data, 260)) == "decoded":
            assert cut < 100
            assert np.abs(decode(data, 260).pixels - seen).max() < 8
        else:
            assert found == "truncated"


def test_a_jpeg_without_its_end_costs_twice() -> None:
    """It is decoded twice to be sure, and its price says so."""
    whole = jpeg(size=2_000)
    plain, unended = (open_image(data, (View(64),)).milliseconds for data in (whole, whole[:-2]))
    assert 1.9 * plain < unended < 2.1 * plain


@pytest.mark.parametrize("appended", [b"MotionPhoto_Data" + bytes(5_000), b"\xff\xd8\xff\xe0" + bytes(300)])
def test_what_is_appended_changes_nothing(appended: bytes) -> None:
    """Films of motion photos, gain maps and second pictures behind the first one are left alone."""
    whole = jpeg()
    for data in (whole + appended, whole + jpeg(size=80), whole + jpeg(size=80)[:-2]):
        assert (decode(data, 64).pixels == decode(whole, 64).pixels).all()


def test_a_picture_of_several() -> None:
    """Of a multi-picture file (MPO) the first picture is seen."""
    with Image.open(PHOTO) as photo:
        first = photo.convert("RGB").resize((64, 64))
    data = encoded(first, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 64))])
    assert decode(data, 32).pixels.mean() > 60


def test_twelve_bits_of_jpeg_are_a_layout() -> None:
    """A JPEG whose samples Pillow does not take is no damaged one."""
    data = jpeg()
    at = data.index(b"\xff\xc0") + 4
    error = refused(data[:at] + b"\x0c" + data[at + 1 :])
    assert error.code == "unsupported_format"
    assert "12-bit" in str(error)


def test_a_bmp_of_an_odd_depth_is_a_layout() -> None:
    """So is a BMP with a number of bits that Pillow has no decoder for."""
    data = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    data[28:30] = struct.pack("<H", 48)
    error = refused(bytes(data))
    assert error.code == "unsupported_format"
    assert "pixel depth (48): convert the image" in str(error)


def png_with(*chunks: tuple[bytes, bytes]) -> bytes:
    with Image.open(PHOTO) as photo:
        data = encoded(photo.convert("RGB").resize((64, 64)), "PNG")
    made = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    ]
    return data[:33] + b"".join(made) + data[33:]


PROFILE = b"Raw profile type exif\0"
LARGE = zlib.compress(b"\nexif\n 3000000\n" + b"ab" * 1_500_000)
METADATA = {
    "EXIF that unpacks to megabytes": (b"zTXt", PROFILE + b"\0" + LARGE),
    "XMP that unpacks to megabytes": (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + LARGE),
    "EXIF that does not unpack": (b"zTXt", PROFILE + b"\0" + b"no deflate"),
    "a text of megabytes": (b"tEXt", b"Comment\0" + b"x" * 3_000_000),
    "EXIF of megabytes as it is": (b"tEXt", PROFILE + b"x" * 3_000_000),
    "a profile of megabytes": (b"iCCP", b"icc\0\0" + LARGE),
}


@pytest.mark.parametrize("name", METADATA)
def test_a_png_with_large_metadata(name: str) -> None:
    """The metadata are left out, and the image is seen."""
    assert (decode(png_with(METADATA[name]), 32).pixels == decode(png_with(), 32).pixels).all()


def test_small_metadata_still_tell_the_orientation() -> None:
    """A text that is not too large is read as before."""
    info = PngImagePlugin.PngInfo()
    exif = Image.Exif()
    exif[0x0112] = 6
    told = exif.tobytes().hex()
    info.add_text("Raw profile type exif", f"\nexif\n{len(told) // 2:8}\n{told}\n", zip=True)
    data = encoded(Image.new("RGB", (64, 32)), "PNG", pnginfo=info)
    assert (decode(data, 16).width, decode(data, 16).height) == (32, 64)
