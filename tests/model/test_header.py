"""Images' headers: size and format without decoding."""

import io

import pytest
from PIL import Image

from model import BadImageError, decode, read_header

FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")


def encoded(kind: str, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    told = {} if kind in {"GIF", "BMP"} else {"exif": exif}
    file = io.BytesIO()
    Image.effect_noise((300, 200), 50).convert("RGB").save(file, kind, **told)
    return file.getvalue()


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("kind", FORMATS)
def test_a_header_says_what_decoding_finds(kind: str, orientation: int) -> None:
    """Size after the EXIF orientation, and the short name of the format."""
    data = encoded(kind, orientation)
    header, image = read_header(data), decode(data, 64)
    assert (header.width, header.height, header.format) == (image.width, image.height, image.format)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP"])
def test_the_beginning_of_a_file_is_enough(kind: str) -> None:
    """Pixels that are not there yet are not missed."""
    data = encoded(kind, 1)
    assert read_header(data[: len(data) // 2]) == read_header(data)


@pytest.mark.parametrize(
    "data", [b"", b"%PDF-1.7", b"<svg/>", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_what_is_no_image_has_no_header(data: bytes) -> None:
    """The error says why."""
    with pytest.raises(BadImageError):
        read_header(data)
