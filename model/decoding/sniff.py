"""The formats that a file's first bytes announce, so that a refusal can name what it got."""

from __future__ import annotations

_PREFIXES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"8BPS", "PSD"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\0\0\1\0", "ICO"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL", "JPEG XL"),
    (b"v/1\1", "OpenEXR"),
    (b"\x1aE\xdf\xa3", "Matroska video"),
)
_BRANDS = {
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    b"mif1": "HEIF",  # any codec: the other brands tell
    b"msf1": "HEIF",
}
_BRANDS_WINDOW = 64
_SVG_WINDOW = 512


def named_format(data: bytes) -> str | None:
    """Name the format that the first bytes announce, or None where they announce none.

    Names of formats that Pillow decodes for us are Pillow's own (``JPEG``, ``PNG``, ...).
    """
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":
        return _named_brand(data)
    if b"<svg" in data[:_SVG_WINDOW]:
        return "SVG"
    return next((name for prefix, name in _PREFIXES if data.startswith(prefix)), None)


def _named_brand(data: bytes) -> str:
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, _boxed(data), 4))]
    names = [_BRANDS[brand] for brand in brands if brand in _BRANDS]
    return next((name for name in names if name != "HEIF"), "HEIC" if names else "MP4 video")


def _boxed(data: bytes) -> int:
    return min(int.from_bytes(data[:4], "big"), _BRANDS_WINDOW, len(data))


def lacks_bytes(data: bytes) -> bool:
    """Whether a WebP file is shorter than its own header says; Pillow's message does not tell."""
    return data[:4] == b"RIFF" and int.from_bytes(data[4:8], "little") + 8 > len(data)
