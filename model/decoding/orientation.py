"""Which way is up, read from EXIF data and XMP.

Not by Pillow's `getexif`: it makes objects of a tag's values, however many there are. A photo of 30 MB took a
gigabyte and ten seconds.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from model.decoding.errors import too_much
from model.decoding.headers import EXIF_HEAD, MAX_EXIF, MAX_TEXT
from model.decoding.tiff_directory import exif_orientation

if TYPE_CHECKING:
    from PIL import Image

UPRIGHT = 1
_TURNED = {"TIFF", "HEIC"}
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_PROFILE_LINES = 3  # of a PNG's text above its EXIF data: nothing, their name, their length


def orientation_of(image: Image.Image) -> int:
    """A loaded image's orientation in EXIF's numbers; 1, which is upright, where nothing readable tells.

    EXIF data come before XMP, as in Pillow. What was turned upright while it was loaded, is.

    Raises:
        BadImageError: ``corrupt``: it has more EXIF data than an honest file.
    """
    if image.format in _TURNED:
        return UPRIGHT
    exif = _exif(image.info)
    if len(exif) > MAX_EXIF:
        raise too_much(f"{len(exif):,} bytes of EXIF data", f"{MAX_EXIF:,}")
    told = exif_orientation(exif.removeprefix(EXIF_HEAD).removeprefix(EXIF_HEAD))  # some write it twice
    if told is None and image.format != "AVIF":  # whose own boxes tell, of which Pillow makes EXIF data
        told = _xmp_orientation(image.info)
    return UPRIGHT if told is None else told


def _exif(info: dict[str | tuple[int, int], Any]) -> bytes:
    if "exif" in info:
        return bytes(info["exif"])
    lines = info.get("Raw profile type exif", "").split("\n", _PROFILE_LINES)
    try:
        return bytes.fromhex(lines[-1].replace("\n", "")) if len(lines) > _PROFILE_LINES else b""
    except ValueError:  # damaged EXIF data must not cost the image its tags
        return b""


def _xmp_orientation(info: dict[str | tuple[int, int], Any]) -> int | None:
    xmp = info.get("xmp") or info.get("XML:com.adobe.xmp", "").encode()
    found = _XMP.search(xmp, 0, MAX_TEXT)
    return int(found[1]) if found else None
