"""What decoding makes of good, odd and hostile image files."""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from model import BadImageError, decode

PHOTO = Path(__file__).parents[1] / "streams" / "photos" / "koala.jpg"
RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def refused(data: bytes) -> BadImageError:
    with pytest.raises(BadImageError) as caught:
        decode(data, 32)
    return caught.value


@pytest.fixture
def quarters() -> Image.Image:
    """60 x 40 pixels: red at the top left, green at the top right, blue below."""
    image = Image.new("RGB", (60, 40), BLUE)
    image.paste(RED, (0, 0, 30, 20))
    image.paste(GREEN, (30, 0, 60, 20))
    return image


@pytest.mark.parametrize(
    ("kind", "name"),
    [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("GIF", "gif"), ("BMP", "bmp"), ("TIFF", "tiff")],
)
def test_formats(quarters: Image.Image, kind: str, name: str) -> None:
    """Six formats are decoded to a square of RGB, and told by Cloudinary's names."""
    decoded = decode(encoded(quarters, kind), 32)
    assert (decoded.format, decoded.width, decoded.height) == (name, 60, 40)
    assert decoded.pixels.shape == (32, 32, 3)
    assert decoded.pixels.dtype == np.uint8
    assert np.allclose(decoded.pixels[4, 4], RED, atol=24)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
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


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_costs_nothing(quarters: Image.Image) -> None:
    """EXIF data that cannot be read does not cost an image its tags."""
    data = encoded(quarters, "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert decode(data, 32).width == 60


def header_of_png(width: int, height: int) -> bytes:
    """A PNG that announces a size and then holds next to nothing."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("side", [7_100, 10_000, 40_000, 2_000_000])
def test_bomb(side: int) -> None:
    """An image of more than 50 megapixels is refused by its header, before its pixels get memory."""
    error = refused(header_of_png(side, side))
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


@pytest.mark.parametrize("data", [b"", b"\0", b"hello, world", b"<html>404</html>", b"{}" * 100])
def test_not_an_image(data: bytes) -> None:
    """Text and nothing are told from images, with what would be accepted."""
    error = refused(data)
    assert error.code == "not_an_image"
    assert "send one of jpg, png" in str(error)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
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
HEADS = [b"", b"\xff\xd8\xff", b"GIF89a", b"II*\0", b"BM", b"\x89PNG\r\n\x1a\n"]


def outcome(data: bytes) -> str:
    try:
        decode(data, 32)
    except BadImageError as error:
        return error.code
    return "decoded"


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
