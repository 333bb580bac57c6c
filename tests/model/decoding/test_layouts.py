"""TIFF files of every layout: decoded as their numbers are meant, or refused by the layout's name."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.decoding import refused

from model import decode
from model.decoding.libtiff import has_codec

PHOTO = Path(__file__).parents[3] / "streams" / "photos" / "koala.jpg"
SIDE = 32
with Image.open(PHOTO) as sample:
    RGB = sample.convert("RGB").resize((120, 80))
GREY = RGB.convert("L")
COLOURS, BRIGHTNESS = np.asarray(RGB) / 255.0, np.asarray(GREY) / 255.0
ORDERS = ["<", ">"]
PACKINGS = [None, "zlib"]
KINDS = {"u": "unsigned", "i": "signed", "f": "floating-point"}


def numbers(values: np.ndarray, kind: str) -> np.ndarray:
    """Fractions as numbers of a type, over all of its range."""
    if kind[0] == "f":
        return values.astype(kind)
    least, most = (float(edge) for edge in (np.iinfo(kind).min, np.iinfo(kind).max))
    return (values * (most - least) + least).clip(least, most * (1 - 1e-9)).astype(kind)


def tiff(pixels: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


def distance(data: bytes, original: Image.Image) -> float:
    """How far what is seen lies from the photo, in levels of 255."""
    wanted = np.asarray(original.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    return float(np.abs(decode(data, SIDE).pixels.astype(int) - wanted).mean())


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i2", "i4", "f4"])
def test_grey_is_seen_as_it_is(kind: str, order: str, packing: str | None) -> None:
    """Whatever its numbers are, the largest one is white."""
    data = tiff(numbers(BRIGHTNESS, kind), byteorder=order, compression=packing, photometric="minisblack")
    assert distance(data, GREY) < 8


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "f4"])
def test_grey_whose_zero_is_white(kind: str, order: str, packing: str | None) -> None:
    """It is no negative."""
    data = tiff(numbers(1 - BRIGHTNESS, kind), byteorder=order, compression=packing, photometric="miniswhite")
    assert distance(data, GREY) < 8


@pytest.mark.parametrize("bits", [12, 16])
def test_grey_of_twelve_bits_is_no_darker(bits: int) -> None:
    """The largest number is white."""
    rows = numbers(BRIGHTNESS, "u2") >> (16 - bits)
    data = bytearray(tiff(rows, byteorder="<", photometric="minisblack"))
    if bits == 12:
        pairs = rows.reshape(-1, 2).astype(np.uint32)
        packed = np.stack(
            [pairs[:, 0] >> 4, (pairs[:, 0] & 15) << 4 | pairs[:, 1] >> 8, pairs[:, 1] & 255], 1
        )
        start = data.index(rows.tobytes()[:64])
        data[start : start + packed.size] = packed.astype(np.uint8).tobytes()
        entry = data.index(b"\x02\x01\x03\x00\x01\x00\x00\x00\x10")
        data[entry + 8] = bits
    assert distance(bytes(data), GREY) < 8


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("alpha", [None, "unassalpha", "assocalpha", "unspecified"])
def test_cmyk_with_more_channels(alpha: str | None, order: str, packing: str | None) -> None:
    """Transparency of CMYK is left out."""
    channels = [1 - COLOURS, np.zeros_like(BRIGHTNESS), *([np.ones_like(BRIGHTNESS)] if alpha else [])]
    options = {"extrasamples": [alpha]} if alpha else {}
    data = tiff(
        numbers(np.dstack(channels), "u1"),
        byteorder=order,
        compression=packing,
        photometric="separated",
        planarconfig="contig",
        **options,
    )
    assert distance(data, RGB) < 8


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("kind", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8"])
def test_colours_are_right_or_refused(kind: str, order: str, packing: str | None, *, apart: bool) -> None:
    """What is decoded looks as it should; the rest is refused as a layout, by its name."""
    pixels = numbers(np.moveaxis(COLOURS, 2, 0) if apart else COLOURS, kind)
    planes = "separate" if apart else "contig"
    data = tiff(pixels, byteorder=order, compression=packing, photometric="rgb", planarconfig=planes)
    if kind == "u1" or (kind == "u2" and (packing or not apart)):
        assert distance(data, RGB) < 8
    else:
        is_foreign(
            data,
            "RGB",
            f"{8 * int(kind[1])}-bit {KINDS[kind[0]]}",
        )


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", ["i1", "f2", "f8", "u8"])
def test_grey_that_is_refused(kind: str, order: str, packing: str | None) -> None:
    """Signed bytes, halves and doubles are no damaged files."""
    data = tiff(numbers(BRIGHTNESS, kind), byteorder=order, compression=packing, photometric="minisblack")
    is_foreign(data, "grey", f"{8 * int(kind[1])}-bit")


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize("order", ORDERS)
def test_grey_with_transparency(order: str, packing: str | None) -> None:
    """Of 8 bits it is decoded, of 16 it is refused by its name."""
    both = np.dstack([BRIGHTNESS, np.ones_like(BRIGHTNESS)])
    options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
    eight, sixteen = (
        tiff(numbers(both, kind), byteorder=order, compression=packing, **options) for kind in ("u1", "u2")
    )
    assert distance(eight, GREY) < 8
    is_foreign(sixteen, "grey", "16-bit unsigned numbers, transparency")


def test_raw_sensor_data_are_named() -> None:
    """A camera's raw file without a picture is refused as what it is."""
    pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True)]
    is_foreign(tiff(numbers(BRIGHTNESS, "u2"), photometric="cfa", extratags=pattern), "raw sensor data (CFA)")


@pytest.mark.parametrize(
    ("codec", "name"), [(50001, "WebP"), (34712, "JPEG 2000"), (50002, "JPEG XL"), (12_345, "12345")]
)
def test_codecs_that_libtiff_lacks_are_named(codec: int, name: str) -> None:
    """They are found out before anything is unpacked."""
    data = tiff(numbers(COLOURS, "u1"), byteorder="<", photometric="rgb", compression="zlib")
    entry = b"\x03\x01\x03\x00\x01\x00\x00\x00"
    at = data.index(entry) + len(entry)
    is_foreign(data[:at] + codec.to_bytes(2, "little") + data[at + 2 :], f"compression {name}")


def test_libtiff_says_which_codecs_it_has() -> None:
    """It is asked, by the numbers that files have."""
    assert [has_codec(number) for number in (1, 5, 8, 32773, 12_345)] == [True, True, True, True, False]


def is_foreign(data: bytes, *parts: str) -> None:
    error = refused(data)
    assert error.code == "unsupported_format"
    assert all(part in str(error) for part in parts), str(error)
    assert "convert it" in str(error)
    assert not {"damaged", "upload"} & set(str(error).split())
