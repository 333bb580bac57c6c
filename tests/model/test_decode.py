"""What decoding makes of good, odd and hostile image files."""

from __future__ import annotations

import struct
import subprocess
import sys
import time
import traceback
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features
from support.decoding import outcome, refused

from model import decode, decode_views
from model.decoding.headers import (
    MAX_EXIF,
    MAX_ITEMS,
    check_jpeg_header,
    without_avif_exif,
    without_jpeg_exif,
)
from model.decoding.pixels import View, squares

PHOTO = Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg"
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow was built without AVIF")
SMALL = Image.new("RGB", (8, 8), (255, 0, 0))
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.fixture
def quarters() -> Image.Image:
    """60 x 40 pixels: red at the top left, green at the top right, blue below."""
    image = Image.new("RGB", (60, 40), BLUE)
    image.paste(RED, (0, 0, 30, 20))
    image.paste(GREEN, (30, 0, 60, 20))
    return image


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tiff"),
        pytest.param("AVIF", "avif", marks=needs_avif),
    ],
)  # fmt: skip
def test_formats(quarters: Image.Image, kind: str, name: str) -> None:
    """Seven formats are decoded to a square of RGB, and told by Cloudinary's names."""
    decoded = decode(encoded(quarters, kind), 32)
    assert (decoded.format, decoded.width, decoded.height) == (name, 60, 40)
    assert decoded.pixels.shape == (32, 32, 3)
    assert decoded.pixels.dtype == np.uint8
    assert np.allclose(decoded.pixels[4, 4], RED, atol=24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", pytest.param("AVIF", marks=needs_avif)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(quarters: Image.Image, kind: str, orientation: int) -> None:
    """Whatever way a camera was held, the picture comes out upright, with the size that people see."""
    turn = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = quarters.transpose(turn[orientation]) if orientation in turn else quarters
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(stored, kind, exif=exif), 32)
    assert (decoded.width, decoded.height) == (60, 40)
    assert np.allclose(decoded.pixels[4, 4], RED, atol=40)
    assert np.allclose(decoded.pixels[4, 27], GREEN, atol=40)


THIRDS = (RED, GREEN, BLUE)


def thirds() -> Image.Image:
    """90 x 30 pixels: red, green and blue squares side by side."""
    image = Image.new("RGB", (90, 30))
    for place, colour in enumerate(THIRDS):
        image.paste(colour, (30 * place, 0, 30 * place + 30, 30))
    return image


@pytest.mark.parametrize("mode", ["RGB", "P", "RGBA", "CMYK"])
@pytest.mark.parametrize("upright", [True, False])
def test_three_crops(mode: str, *, upright: bool) -> None:
    """A long image is seen as the first, the middle and the last square along its longer side."""
    image = thirds() if upright else thirds().transpose(Image.Transpose.ROTATE_270)
    kind = "TIFF" if mode == "CMYK" else "PNG"
    found = decode_views(encoded(image.convert(mode), kind), (View(16, 3), View(8)))
    assert found.squares[View(16, 3)].shape == (3, 16, 16, 3)
    assert found.squares[View(8)].shape == (1, 8, 8, 3)
    for square, colour in zip(found.squares[View(16, 3)], THIRDS, strict=True):
        assert np.allclose(square, colour, atol=40)


def test_crops_are_upright() -> None:
    """They are turned as the whole image is."""
    exif = Image.Exif()
    exif[0x0112] = 6
    image = thirds()
    image.paste((255, 255, 255), (0, 0, 90, 15))
    found = decode_views(encoded(image, "PNG", exif=exif), (View(16, 3),))
    assert (found.width, found.height) == (30, 90)
    for square, colour in zip(found.squares[View(16, 3)], THIRDS, strict=True):
        assert np.allclose(square[:, 12], 255, atol=40)
        assert np.allclose(square[:, 3], colour, atol=40)


def test_what_is_nearly_square_has_no_crops() -> None:
    """Up to a quarter longer than wide an image is squashed, as ever."""
    for size, number in (((100, 80), 1), ((101, 80), 3), ((80, 100), 1), ((60, 400), 3)):
        found = decode_views(encoded(Image.new("RGB", size, RED), "PNG"), (View(16, 3),))
        assert len(found.squares[View(16, 3)]) == number


def test_views_are_those_of_single_decodes() -> None:
    """What several models see is what each would see alone, as far as JPEG's reduced scales allow."""
    with Image.open(PHOTO) as photo:
        data = encoded(photo, "PNG")
    found = decode_views(data, (View(260), View(64)))
    for view, pixels in found.squares.items():
        assert (pixels[0] == decode(data, view.size).pixels).all()


def test_cmyk() -> None:
    """A print shop's CMYK file becomes RGB."""
    data = encoded(Image.new("RGB", (40, 40), RED).convert("CMYK"), "JPEG", quality=95)
    assert np.allclose(decode(data, 32).pixels, RED, atol=8)


def test_sixteen_bits() -> None:
    """Sixteen-bit grey keeps its brightness instead of being cut off at 255."""
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = decode(encoded(Image.fromarray(ramp), "PNG"), 64).pixels
    assert abs(float(pixels.mean()) - 127.5) < 2


def test_floating_point() -> None:
    """Floating-point grey is stretched to its own range; NaN is black."""
    ramp = np.linspace(0, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    pixels = decode(encoded(Image.fromarray(ramp), "TIFF"), 64).pixels
    assert abs(float(pixels.mean()) - 127.5) < 2


@pytest.mark.parametrize("value", [float("inf"), float("-inf"), 3.4e38, float("nan")])
def test_absurd_floating_point(value: float) -> None:
    """Infinities and what is next to them give some grey, and no warning."""
    ramp = np.linspace(-1, 1, 64 * 64, dtype=np.float32).reshape(64, 64)
    ramp[3, 3], ramp[4, 4] = value, -value
    assert decode(encoded(Image.fromarray(ramp), "TIFF"), 32).format == "tiff"


def test_alpha_is_laid_on_white() -> None:
    """Transparent pixels show white paper, not the colour that was hidden under them."""
    data = encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 0)), "PNG")
    assert (decode(data, 32).pixels == 255).all()


def test_hidden_colours_do_not_bleed() -> None:
    """At the edge of a transparent region the colour that lies hidden under it does not show."""
    image = Image.new("RGBA", (100, 100), (255, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 50, 100))
    red, green, _ = decode(encoded(image, "PNG"), 32).pixels.astype(int).transpose(2, 0, 1)
    assert np.abs(red - green).max() <= 2


def test_palette_transparency() -> None:
    """A palette's transparent entry shows white paper as well, in PNG and in GIF."""
    image = Image.new("P", (40, 40), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    for kind in ("PNG", "GIF"):
        assert (decode(encoded(image, kind, transparency=1), 32).pixels == 255).all()
        assert np.allclose(decode(encoded(image, kind), 32).pixels, RED, atol=1)


def test_first_frame() -> None:
    """An animation is tagged by its first frame."""
    frames = [Image.new("RGB", (40, 40), colour) for colour in (RED, GREEN, BLUE)]
    for kind in ("GIF", "WEBP"):
        data = encoded(frames[0], kind, save_all=True, append_images=frames[1:])
        assert np.allclose(decode(data, 32).pixels, RED, atol=8)


def test_multi_picture_jpeg(quarters: Image.Image) -> None:
    """A phone's multi-picture JPEG is decoded as the JPEG that it starts with."""
    data = encoded(quarters, "MPO", save_all=True, append_images=[quarters])
    assert decode(data, 32).format == "jpg"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"])
def test_truncated(kind: str) -> None:
    """Half an image is refused, so that a broken download is fetched again rather than tagged."""
    with Image.open(PHOTO) as photo:
        data = encoded(photo, kind)
    error = refused(data[: len(data) // 2])
    assert error.code == "truncated"
    assert "upload the file again" in str(error)


def test_damaged_pixels() -> None:
    """An image whose data contradicts itself is refused as corrupt."""
    data = bytearray(encoded(Image.new("RGB", (64, 64), RED), "PNG"))
    at = data.index(b"IDAT") + 6
    data[at : at + 8] = b"\xff" * 8
    assert refused(bytes(data)).code == "corrupt"


def test_damaged_exif_costs_nothing(quarters: Image.Image) -> None:
    """EXIF data that cannot be read does not cost an image its tags."""
    data = encoded(quarters, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data, 32).width == 60


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes, pixels: bytes = b"") -> bytes:
    """A grey PNG with these chunks before its pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    tail = chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + tail


@pytest.mark.parametrize("side", [7_100, 10_000, 40_000, 2_000_000])
def test_bomb(side: int) -> None:
    """An image of more than 50 megapixels is refused by its header, before its pixels get memory."""
    error = refused(png(side, side))
    assert error.code == "too_many_pixels"
    assert "at most 50,000,000 pixels" in str(error)


def test_a_flood_of_scans() -> None:
    """A progressive JPEG that repeats a scan a thousand times is refused before it costs a minute."""
    data = encoded(Image.new("RGB", (64, 64), RED), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    scan = data[at:-2]
    error = refused(data[:at] + scan * 1000 + data[-2:])
    assert error.code == "corrupt"
    assert "at most 200" in str(error)


def test_scans_of_a_large_image() -> None:
    """Fewer scans than that are enough where each is a pass over many pixels."""
    data = encoded(Image.new("RGB", (4000, 4000), RED), "JPEG", progressive=True)
    at = data.rindex(b"\xff\xda")
    assert "at most 56" in str(refused(data[:at] + data[at:-2] * 60 + data[-2:]))


def test_a_film_behind_a_photo() -> None:
    """What phones append to a photo may look like scans by chance: it does not count."""
    trailer = b"\xff\xda\0\x02film" * 500
    assert decode(PHOTO.read_bytes() + trailer, 32).format == "jpg"


FEW, MANY = 100_000, 3_000_000


@pytest.mark.parametrize(
    ("stuffing", "found"),
    [
        (b"\xff\xfe\0\x02" * FEW, "a flood of segments"),
        (b"\xff" * MANY, "bytes between its segments"),
        (b"\xff\xfe\0\x02" + b"\0" * MANY, "bytes between its segments"),
        (b"\xff\xd0" * MANY, "bytes between its segments"),
        ((b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)) * 20, "bytes of EXIF data"),
        ((b"\xff\xed\xff\xff" + bytes(65533)) * 130, "a header of"),
    ],
)
def test_a_flood_before_the_pixels(stuffing: bytes, found: str) -> None:
    """A JPEG whose header would keep the parser busy for seconds is refused at once."""
    data = encoded(SMALL, "JPEG")
    error = refused(data[:2] + stuffing + data[2:])
    assert error.code == "corrupt"
    assert found in str(error)


def test_a_flood_without_end() -> None:
    """It needs no pixels to be refused."""
    assert "between its segments" in str(refused(b"\xff\xd8" + b"\xff" * MANY))


def test_a_flood_of_chunks() -> None:
    """A PNG of a hundred thousand empty chunks is refused, before and after its pixels."""
    data = encoded(SMALL, "PNG")
    at = data.index(b"IDAT") - 4
    for stuffed in (
        data[:at] + chunk(b"abCd", b"") * FEW + data[at:],
        data[:-12] + chunk(b"IDAT", b"") * FEW,
    ):
        assert "a flood of chunks" in str(refused(stuffed))


@pytest.mark.parametrize(
    "bomb",
    [
        chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(50_000_000))) * 5,
        chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(50_000_000))),
        chunk(b"iCCP", b"Profile\0\0" + zlib.compress(bytes(900_000))) * 5_000,
        chunk(b"iCCP", b"Profile\0\7damaged"),
    ],
)
def test_bombs_in_texts_and_profiles(bomb: bytes) -> None:
    """Nobody looks at them, so that they stay packed and do not cost an image its tags."""
    started = time.process_time()
    assert decode(png(2, 2, bomb, pixels=bytes(6)), 32).width == 2
    assert time.process_time() - started < 0.5


TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\1\x01\x12\0\x03\0\0\0\1\0\6" + bytes(6)


@pytest.mark.parametrize(
    "text",
    [
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation='6'/>".replace(b"'", b'"')),
        chunk(
            b"zTXt",
            b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 32\n%s\n" % TURNED.hex().encode()),
        ),
    ],
)
def test_texts_that_tell_the_orientation(text: bytes) -> None:
    """Two kinds of text are looked at: they may say which way is up."""
    decoded = decode(png(4, 2, chunk(b"tEXt", b"Comment\0x"), text, pixels=bytes(10)), 32)
    assert (decoded.width, decoded.height) == (2, 4)


def exif_data(tag: int, kind: int, many: int, value: int = 26) -> bytes:
    """EXIF data of one entry; what follows them begins at 26."""
    return b"II*\0\x08\0\0\0" + struct.pack("<HHHII", 1, tag, kind, many, value) + bytes(4)


def fractions(many: int, tag: int = 0x0112) -> bytes:
    """EXIF data whose one tag has so many fractions, of which Pillow would make objects."""
    return exif_data(tag, 5, many) + b"\1\0\0\0\2\0\0\0" * many


def with_exif(kind: str, exif: bytes) -> bytes:
    """An upright picture of 8 x 4 pixels with EXIF data as they are."""
    image = Image.new("RGB", (8, 4), RED)
    if kind == "JPEG":
        pieces = [b"Exif\0\0" + exif[at : at + 65_000] for at in range(0, len(exif), 65_000)]
        segments = [b"\xff\xe1" + struct.pack(">H", len(piece) + 2) + piece for piece in pieces]
        plain = encoded(image, kind)
        after_jfif = 4 + int.from_bytes(plain[4:6], "big")  # its resolution would spare Pillow the EXIF data
        return plain[:2] + b"".join(segments) + plain[after_jfif:]
    if kind == "AVIF":  # Pillow does not write this tag as it is
        harmless = exif.replace(struct.pack("<H", 0x0112), struct.pack("<H", 0x0110), 1)
        return encoded(image, kind, exif=harmless).replace(harmless, exif)
    if kind == "PNG after its pixels":
        plain = encoded(image, "PNG")
        return plain[:-12] + chunk(b"eXIf", exif) + plain[-12:]
    return encoded(image, kind, exif=exif)


def peak_of(data: bytes) -> tuple[str, int]:
    """What comes of a file, and how much memory that took."""
    tracemalloc.start()
    try:
        return outcome(data), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


WITH_EXIF = ["JPEG", "PNG", "PNG after its pixels", "WEBP", pytest.param("AVIF", marks=needs_avif)]


@pytest.mark.parametrize("kind", WITH_EXIF)
@pytest.mark.parametrize("tag", [0x0112, 0x011A, 0x0128])
def test_exif_is_not_unpacked(kind: str, tag: int) -> None:
    """EXIF data as large as they may be cost copies of the file, not an object for each of their values."""
    data = with_exif(kind, fractions(120_000, tag))
    assert len(data) > 0.9 * MAX_EXIF
    found, peak = peak_of(data)
    assert found == "decoded"
    assert peak < 6 * len(data)  # unpacked: 20 times


@pytest.mark.parametrize("kind", WITH_EXIF[:4])
def test_more_exif_than_any_honest_file(kind: str) -> None:
    """More of them is refused, in whichever format."""
    data = with_exif(kind, fractions(1_000_000))
    found, peak = peak_of(data)
    assert found == "corrupt"
    assert "bytes of EXIF data: at most 1,000,000" in str(refused(data))
    assert peak < 6 * len(data)


@needs_avif
def test_exif_of_avif_has_no_say() -> None:
    """Boxes of its own say how an AVIF is turned; what EXIF data and XMP say of that is not looked at."""
    for exif in (exif_data(0x0112, 3, 1, 6), fractions(1_000_000)):
        data = with_exif("AVIF", exif)
        assert exif in data
        assert (decode(data, 32).width, decode(data, 32).height) == (8, 4)
        assert peak_of(data)[1] < 6 * max(len(data), 100_000)
    turned = Image.Exif()
    turned[0x0112], turned[0x010F] = 6, "maker"
    xmp = b'<x tiff:Orientation="3"/>'
    data = encoded(Image.new("RGB", (8, 4), RED), "AVIF", exif=turned, xmp=xmp)
    assert (decode(data, 32).width, decode(data, 32).height) == (4, 8)


@pytest.mark.parametrize("long_box", [b"", bytes(8)])
@pytest.mark.parametrize("rest", [b"\2\0\0\0" + bytes(4), b"\3\0\0\0" + bytes(6)])
def test_every_shape_of_an_avif_item(long_box: bytes, rest: bytes) -> None:
    """An item's box has a short or a long size, and a short or a long number; another one may stand in it."""
    item = b"infe" + long_box + rest
    assert without_avif_exif(item + b"Exif\0") == item + b"none\0"
    assert without_avif_exif(item + b"av01\0Exif") == item + b"av01\0Exif"
    decoy = b"infe" + item[-8:]
    assert without_avif_exif(decoy + item + b"Exif\0") == decoy + item + b"none\0"


def test_a_flood_of_items() -> None:
    """More items than any grid of tiles has are refused."""
    head = b"\0\0\0\x18ftypavif" + bytes(12)
    assert "a flood of items" in str(refused(head + b"infe" * (MAX_ITEMS + 1)))


def test_exif_of_jpeg_is_overwritten_in_place() -> None:
    """What stands around EXIF data cannot become a segment, as it could if they were taken out."""
    picture = encoded(SMALL, "JPEG")
    inner = b"\xe1\0\x0eExif\0\0" + bytes(6)  # with the byte before, a segment
    data = picture[:2] + b"\xff\xff\xe1\0\x0cExif\0\0MM*\0" + inner + picture[2:]
    plain, exif = without_jpeg_exif(data)
    assert exif == b"MM*\0"
    assert plain == data.replace(b"Exif", bytes(4), 1)
    assert outcome(data) == "decoded"


@pytest.mark.parametrize("compressed", [False, True])
def test_exif_in_a_text(*, compressed: bool) -> None:
    """EXIF data written in hexadecimal cost no more, nor do the lines that they are written in."""
    for text in (fractions(50_000).hex().encode(), b"\n" * 900_000):
        name, profile = b"Raw profile type exif\0", b"\nexif\n  32\n" + text
        packed = chunk(b"zTXt", name + b"\0" + zlib.compress(profile))
        data = png(4, 2, packed if compressed else chunk(b"tEXt", name + profile), pixels=bytes(10))
        found, peak = peak_of(data)
        assert found == "decoded"
        assert peak < 6 * len(profile)


@pytest.mark.parametrize("name", [b"Raw profile type exif\0", b"XML:com.adobe.xmp\0"])
def test_texts_of_megabytes(name: bytes) -> None:
    """A text that is longer than any honest one is dropped like those that nobody looks at."""
    data = png(4, 2, chunk(b"tEXt", name + b"\n" * 8_000_000), pixels=bytes(10))
    found, peak = peak_of(data)
    assert found == "decoded"
    assert peak < 2 * len(data)


@pytest.mark.parametrize(
    ("exif", "turned"),
    [
        (exif_data(0x0112, 3, 1, 6), True),
        (exif_data(0x0112, 4, 1, 6), True),
        (b"Exif\0\0Exif\0\0" + exif_data(0x0112, 3, 1, 6), True),
        (exif_data(0x0112, 3, 1, 9), False),
        (exif_data(0x0112, 5, 1, 6), False),
        (exif_data(0x0112, 3, 3_000_000, 6), False),
        (exif_data(0x010F, 3, 1, 6), False),
        (exif_data(0x0112, 3, 1, 6).replace(b"\1\0", b"\xff\xff", 1), False),
        (exif_data(0x0112, 3, 1, 6)[:20], False),
        (b"?", False),
        (b"", False),
    ],
)
@pytest.mark.parametrize("kind", ["WEBP", "PNG"])
def test_shapes_of_exif(kind: str, exif: bytes, *, turned: bool) -> None:
    """An orientation is read from where it should be; what is odd or damaged neither turns nor refuses."""
    decoded = decode(with_exif(kind, exif), 32)
    assert (decoded.width, decoded.height) == ((4, 8) if turned else (8, 4))


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_xmp_tells_where_exif_does_not(kind: str, quarters: Image.Image) -> None:
    """XMP turns a picture only if its EXIF data say nothing of that."""
    xmp = b"<tiff:Orientation>6</tiff:Orientation>"
    assert decode(encoded(quarters, kind, xmp=xmp), 32).width == 40
    for tag, width in ((0x010F, 40), (0x0112, 60)):
        exif = b"Exif\0\0" + exif_data(tag, 3, 1, 1)
        assert decode(encoded(quarters, kind, xmp=xmp, exif=exif), 32).width == width


@pytest.mark.parametrize("piece", [b"\x01a", b"\xffa" + bytes(254)])
def test_a_flood_of_blocks(piece: bytes) -> None:
    """A GIF with megabytes of comment before its picture is refused."""
    data = encoded(SMALL, "GIF")
    at = 13 + (3 << (data[10] & 7) + 1)
    assert "a flood of small pieces" in str(refused(data[:at] + b"!\xfe" + piece * FEW + b"\0" + data[at:]))


def tiff(*entries: tuple[int, int, int, bytes], big: bool = False) -> bytes:
    """A TIFF of one directory, its values behind it."""
    head = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) if big else b"II*\0" + struct.pack("<I", 8)
    count, entry, room = ("<Q", "<HHQ", 8) if big else ("<H", "<HHI", 4)
    at = len(head) + struct.calcsize(count) + (struct.calcsize(entry) + room) * len(entries) + room
    directory, values = struct.pack(count, len(entries)), b""
    for tag, kind, many, value in entries:
        place = value if len(value) <= room else (at + len(values)).to_bytes(room, "little")
        directory += struct.pack(entry, tag, kind, many) + place.ljust(room, b"\0")
        values += value if len(value) > room else b""
    return head + directory + bytes(room) + values


def grey(width: int, height: int) -> list[tuple[int, int, int, bytes]]:
    sides = [(256, 4, 1, struct.pack("<I", width)), (257, 4, 1, struct.pack("<I", height))]
    return [*sides, (258, 3, 1, b"\x08\0"), (262, 3, 1, b"\1\0"), (277, 3, 1, b"\1\0")]


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([(273, 4, MANY, bytes(4 * MANY)), (278, 4, 1, b"\1")], "values in its directories"),
        ([(273, 1, MANY, bytes(MANY)), (278, 4, 1, b"\1")], "strips or tiles"),
        ([(273, 4, FEW, bytes(4 * FEW)), (278, 4, 1, b"\1")], "strips or tiles"),
        ([(282, 5, MANY, b"\1\0\0\0" * 2 * MANY)], "values in its directories"),
        ([(274, 5, FEW, b"\1\0\0\0" * 2 * FEW)], "fractions in its directories"),
        ([(282, 10, FEW, b"\1\0\0\0" * 2 * FEW)], "fractions in its directories"),
        ([(700 + tag, 3, 1, b"\1") for tag in range(5_000)], "a directory of"),
        ([(322, 4, 1, b"\0\0\1"), (323, 4, 1, b"\0\0\1"), (324, 4, 1, b"\x08")], "pixels in tiles of"),
        ([(322, 4, 1, b"\1"), (322, 4, 1, b"\0\0\1")], "more than once"),
        *(
            ([(322, 4, 1, b"\x10"), (323, kind, many, b"\0\0\1\0" * many)], "not a whole number")
            for kind, many in ((9, 1), (1, 1), (6, 1), (8, 1), (11, 1), (13, 1), (17, 1), (4, 2), (4, 0))
        ),
        ([(322, 16, 1, b"\0\0\1" + bytes(5)), (323, 4, 1, b"\0\0\1")], "pixels in tiles of"),
        ([(259, 3, 1, b"\x08"), (279, 3, 99, b"\xff\xff" * 99)], "strips or tiles of 6,487,965 bytes"),
        ([(259, 3, 1, b"\x08"), (325, 16, 99, struct.pack("<Q", 2**20) * 99)], "strips or tiles of 103,8"),
        ([(259, 3, 1, b"\x08"), (279, 9, 1, b"\0\1")], "not a whole number"),
        ([(279, 4, 1, b"\0\1"), (279, 4, 1, b"\0\1")], "more than once"),
        ([(322, 4, 1, b"\x10")], "tiles of 16 x 0 pixels"),
        ([(323, 4, 1, b"\x10")], "tiles of 0 x 16 pixels"),
        ([(322, 4, 1, b"\x10"), (323, 4, 1, bytes(4))], "tiles of 16 x 0 pixels"),
    ],
)
def test_a_directory_that_explodes(
    entries: list[tuple[int, int, int, bytes]], found: str, *, big: bool
) -> None:
    """A TIFF directory that would become gigabytes of objects is refused before it is unpacked."""
    error = refused(tiff(*grey(100, 100), *entries, big=big))
    assert error.code == "corrupt"
    assert found in str(error)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("bits", [b"\x10\0", b"\x10\0" * 3, b"\x10\0" * 5])
def test_a_tile_of_deep_pixels(bits: bytes, *, big: bool) -> None:
    """A tile is limited by its bytes as well, wherever the file says how many a pixel has."""
    tile = struct.pack("<I", 8_000)
    samples = len(bits) // 2
    plain = [entry for entry in grey(100, 100) if entry[0] not in {258, 277}]
    deep = [(258, 3, samples, bits), (277, 3, 1, bytes([samples, 0]))]
    error = refused(tiff(*plain, *deep, (322, 4, 1, tile), (323, 4, 1, tile), big=big))
    assert f"a tile of {128_000_000 * samples:,} bytes" in str(error)


@pytest.mark.parametrize(("kind", "letter"), [(3, "H"), (4, "I"), (16, "Q")])
@pytest.mark.parametrize("big", [False, True])
def test_every_type_of_whole_number(kind: int, letter: str, *, big: bool) -> None:
    """A TIFF may write its sizes in any of them, those of eight bytes behind its directory."""
    sizes = [(tag, kind, 1, struct.pack("<" + letter, 16)) for tag in (256, 257, 322, 323)]
    rest = [entry for entry in grey(16, 16) if entry[0] > 257]
    data = tiff(*sizes[:2], *rest, *sizes[2:], (324, 4, 1, b"\x08"), (325, 4, 1, b"\0\1"), big=big)
    data += bytes(256)  # its pixels
    assert outcome(data) == "decoded"


def test_a_directory_that_hangs_on_another() -> None:
    """EXIF directories are unpacked as well, so that their values count too; loops end."""
    inner = struct.pack("<HHHII", 1, 282, 5, 1_000_000, 8) + bytes(4)
    data = tiff(*grey(8, 8), (34665, 4, 1, struct.pack("<I", 98)), (273, 4, 1, b"\x08"))
    assert "values in its directories" in str(refused(data + inner))
    looped = tiff(*grey(8, 8), (34665, 4, 1, b"\x08"), (273, 4, 1, b"\x08"))
    assert outcome(looped) in {"decoded", *CODES}


def test_a_refusal_keeps_nothing() -> None:
    """Who keeps an error does not keep the pixels that were decoded before it, nor Pillow's frames."""
    with Image.open(PHOTO) as photo:
        data = encoded(photo, "PNG")
    for refusal in (refused(data[: len(data) // 2]), refused(png(10_000, 10_000)), refused(b"?")):
        assert refusal.__cause__ is None
        assert refusal.__context__ is None
        frames = [frame.name for frame in traceback.extract_tb(refusal.__traceback__)]
        assert frames[:3] == ["refused", "decode", "decode_views"]
        assert frames[3:] in (["decode"], ["open_image"])


FREED = """
import pathlib, sys, threading
from model import decode
data = sys.stdin.buffer.read()
def resident():
    return int(pathlib.Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1000
before = resident()
for _ in range(3):
    thread = threading.Thread(target=decode, args=(data, 32))
    thread.start()
    thread.join()
print(resident() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_memory_is_given_back() -> None:
    """A thread that decoded large images does not keep their memory."""
    data = encoded(Image.new("LA", (5000, 5000)), "PNG", compress_level=1)
    command = [sys.executable, "-c", FREED]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    assert int(done.stdout) < 30


def test_libtiff_keeps_quiet(capfd: pytest.CaptureFixture[str]) -> None:
    """A damaged fax does not write a line per row to the worker's log."""
    data = bytearray(encoded(Image.linear_gradient("L").convert("1"), "TIFF", compression="group4"))
    data[300:1500] = bytes((value * 7 + 3) % 256 for value in data[300:1500])
    outcome(bytes(data))
    assert capfd.readouterr().err == ""


def test_run_lengths_have_a_lower_limit() -> None:
    """Pillow decodes run-length encoded BMP in Python, so that only small ones are taken."""
    sizes = struct.pack("<IiiHHIIiiII", 40, 3000, 2000, 1, 8, 1, 4, 1, 1, 256, 256)
    data = b"BM" + struct.pack("<IHHI", 0, 0, 0, 1078) + sizes + bytes(range(256)) * 4 + b"\0\0\0\1"
    assert "4,000,000 pixels of run-length encoded BMP files" in str(refused(data))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "limit"),
    [("WEBP", "16,000,000"), ("TIFF", "25,000,000"), pytest.param("AVIF", "16,000,000", marks=needs_avif)],
)
def test_formats_that_are_copied_have_a_lower_limit(kind: str, limit: str) -> None:
    """Decoders that keep several copies of the pixels get fewer."""
    options = {"WEBP": {"method": 0}, "AVIF": {"speed": 10}, "TIFF": {"compression": "tiff_lzw"}}[kind]
    data = encoded(Image.new("L", (6000, 5000)), kind, **options)
    assert f"{limit} pixels of {kind} files" in str(refused(data))


@pytest.mark.slow
def test_coefficients_that_are_kept_have_a_lower_limit() -> None:
    """A progressive JPEG keeps all its coefficients, the more of them the less its colours are subsampled."""
    image = Image.new("RGB", (7000, 7000), RED)
    error = refused(encoded(image, "JPEG", progressive=True, subsampling="4:4:4"))
    assert error.code == "too_many_pixels"
    assert "at most 42,666,666 pixels of progressive JPEG files" in str(error)
    assert decode(encoded(image, "JPEG", progressive=True, subsampling="4:2:0"), 32).width == 7000
    baseline = encoded(image, "JPEG", subsampling="4:4:4", exif=b"Exif\0\0" + encoded(SMALL, "JPEG"))
    assert decode(baseline, 32).width == 7000  # the scan of its thumbnail does not count


def test_scans_of_single_colours() -> None:
    """A JPEG that is not progressive keeps its coefficients as well, if its first scan lacks a colour."""
    data = bytearray(encoded(SMALL, "JPEG"))
    assert not check_jpeg_header(bytes(data))
    data[data.index(b"\xff\xda") + 4] = 1
    assert check_jpeg_header(bytes(data))
    assert check_jpeg_header(encoded(SMALL, "JPEG", progressive=True))


def test_a_very_long_image() -> None:
    """Rows cost memory of their own, so that sides have a limit."""
    assert "65,535 pixels a side" in str(refused(png(1, 70_000, pixels=bytes(140_000))))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_bands_look_like_the_whole(mode: str) -> None:
    """Large images are converted band by band, with the same pixels as in one piece."""
    ramp = Image.linear_gradient("L").resize((1501, 1999))
    image = (
        ramp.convert("I").point(lambda value: value * 257).convert("I;16")
        if mode == "I;16"
        else ramp.convert(mode)
    )
    if mode in {"LA", "RGBA"}:
        image.putalpha(ramp.transpose(Image.Transpose.ROTATE_90).resize(image.size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.decoding.pixels._BAND_PIXELS", 10**9)
        whole = np.asarray(squares(image, View(100))[0])
    assert (np.asarray(squares(image, View(100))[0]) == whole).all()


@pytest.mark.parametrize("data", [b"", b"\0", b"hello, world", b"<html>404</html>", b"{}" * 100])
def test_not_an_image(data: bytes) -> None:
    """Text and nothing are told from images, with what would be accepted."""
    error = refused(data)
    assert error.code == "not_an_image"
    assert "send one of jpg, png" in str(error)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypisom\0\0\0\0", "MP4 video"),
        (b"%PDF-1.7\n", "PDF"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"8BPS\0\1", "PSD"),
    ],
)
def test_unsupported_format(data: bytes, name: str) -> None:
    """A known format that is not decoded is refused by its name."""
    error = refused(data)
    assert error.code == "unsupported_format"
    assert str(error).startswith(name)


def test_reduced_decoding_looks_the_same() -> None:
    """A JPEG decoded at a reduced scale differs little from one decoded in full and then resized."""
    with Image.open(PHOTO) as photo:
        full = np.asarray(photo.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
    difference = np.abs(decode(PHOTO.read_bytes(), 64).pixels.astype(int) - full)
    assert difference.mean() < 3


def test_threads_give_equal_pixels() -> None:
    """Decoding from several threads at the same time gives what one thread gives."""
    data = PHOTO.read_bytes()
    expected = decode(data, 224).pixels
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: decode(data, 224).pixels, range(16)))
    assert all((pixels == expected).all() for pixels in results)


CODES = {"not_an_image", "unsupported_format", "truncated", "too_many_pixels", "corrupt"}
HEADS = [
    b"",
    b"\xff\xd8\xff",
    b"II+\0\x08\0\0\0",
    b"RIFF\0\0\0\0WEBPVP8L",
    b"\0\0\0\x18ftypavif",
    b"GIF89a",
    b"II*\0",
    b"BM",
    b"\x89PNG\r\n\x1a\n",
]


@given(st.binary(max_size=200), st.sampled_from(HEADS))
def test_any_bytes_decode_or_are_refused(tail: bytes, head: bytes) -> None:
    """Whatever bytes come, the answer is an image or a BadImageError with a known code."""
    assert outcome(head + tail) in {"decoded", *CODES}


@given(st.data())
def test_a_flipped_byte_never_crashes(data: st.DataObject) -> None:
    """A photo with some bytes overwritten is decoded or refused, and nothing else happens."""
    photo = bytearray(PHOTO.read_bytes()[:4000])
    for _ in range(3):
        photo[data.draw(st.integers(0, len(photo) - 1))] = data.draw(st.integers(0, 255))
    assert outcome(bytes(photo)) in {"decoded", *CODES}
