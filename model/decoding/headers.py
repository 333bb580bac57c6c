"""The structure of files, read without decoding: what would cost Pillow's parsers too much is seen here.

After ITU T.81 (JPEG), the PNG specification, and ISO/IEC 14496-12 (AVIF's boxes). The readers follow Pillow
where it is more lenient than the standards, since what it skips costs time as well.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import TYPE_CHECKING

from model.decoding.errors import too_much

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_SEGMENTS = 2_000
MAX_JPEG_HEADER = 8_000_000
MAX_JUNK = 65_536
MAX_EXIF = 1_000_000
MAX_CHUNKS = 20_000
MAX_TEXT = 1_000_000
MAX_ITEMS = 10_000
EXIF_HEAD = b"Exif\0\0"

_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd8\xff]")
_BARE = {0xC8, 0xD9, *range(0xF0, 0xFE)}  # no segment follows
_EOI, _SOS, _APP1 = 0xD9, 0xDA, 0xE1
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = {0xC2, 0xC6, 0xCA, 0xCE}
_FEW_SCANS = 12

_CHUNK = struct.Struct(">I4s")
_TEXTS = {b"iCCP", b"iTXt", b"tEXt", b"zTXt"}
_ORIENTATIONS = (b"Raw profile type exif\0", b"XML:com.adobe.xmp\0")

_ITEM = re.compile(rb"infe")
_TO_ITEM_TYPE = (8, 10, 16, 18)  # from the box's name: short or long id, short or long size of the box


def check_jpeg_header(data: bytes) -> bool:
    """Refuse a JPEG with a flood of segments, of filling or of EXIF data before its first scan.

    Returns:
        Whether it takes several scans: it is progressive, or its first scan lacks a colour.

    Raises:
        BadImageError: ``corrupt``.
    """
    junk = exif = at = colours = 0
    several = False
    for marker, start, end in _segments(data):
        junk += start - at
        at = end
        if marker == _APP1 and data.startswith(EXIF_HEAD, start + 4):
            exif += end - start
        if marker in _FRAMES:
            colours = max(colours, *data[start + 9 : start + 10], 0)
            several |= marker in _PROGRESSIVE
        if marker == _SOS:
            several |= data[start + 4 : start + 5] < bytes([colours])
            break
    else:
        junk += len(data) - at
    if junk > MAX_JUNK:
        raise too_much(f"{junk:,} bytes between its segments", f"{MAX_JUNK:,}")
    if exif > MAX_EXIF:
        raise too_much(f"{exif:,} bytes of EXIF data", f"{MAX_EXIF:,}")
    if at - junk > MAX_JPEG_HEADER:
        raise too_much(f"a header of {at:,} bytes", f"{MAX_JPEG_HEADER:,}")
    return several


def without_jpeg_exif(data: bytes) -> tuple[bytes, bytes]:
    """Overwrite the name of a JPEG's EXIF segments, and return their data.

    Pillow would unpack them in search of a resolution. They stay where they are: what was around a segment
    that is taken out could become one.
    """
    places: list[int] = []
    exif: list[bytes] = []
    for marker, start, end in _segments(data):
        if marker == _SOS:
            break
        if marker == _APP1 and data.startswith(EXIF_HEAD, start + 4):
            places.append(start + 4)
            exif.append(data[start + 4 + len(EXIF_HEAD) : end])
    return _overwritten(data, places, bytes(len(EXIF_HEAD))), b"".join(exif)


def without_avif_exif(data: bytes) -> bytes:
    """Overwrite the type of an AVIF's EXIF items, which Pillow would unpack.

    Nothing is lost: which way is up is told by boxes of its own, `irot` and `imir`, whatever EXIF data say.

    Raises:
        BadImageError: ``corrupt``: there is a flood of items.
    """
    if data.count(_ITEM.pattern) > MAX_ITEMS:
        raise too_much("a flood of items", f"{MAX_ITEMS:,}")
    types = {item.end() + gap for item in _ITEM.finditer(data) for gap in _TO_ITEM_TYPE}
    return _overwritten(data, [at for at in sorted(types) if data.startswith(b"Exif", at)], b"none")


def _overwritten(data: bytes, places: list[int], text: bytes) -> bytes:
    if not places:
        return data
    changed = bytearray(data)
    for at in places:
        changed[at : at + len(text)] = text
    return bytes(changed)


def jpeg_scans(data: bytes) -> int:
    """Count the scans of a JPEG file that has several.

    Their markers are counted first, which is fast and from above: what follows the picture's end (a second
    picture, a film) may hold some by chance. Only where there are many, the segments are gone through.

    Raises:
        BadImageError: ``corrupt``: there is a flood of segments.
    """
    most = data.count(b"\xff\xda")
    if most <= _FEW_SCANS:
        return most
    scans = 0
    for marker, _, _ in _segments(data):
        if marker == _EOI and scans:
            break
        scans += marker == _SOS
    return scans


def _segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Each marker, where it begins, and where its segment ends."""
    at = count = 0
    while found := _MARKER.search(data, at):
        marker, at = found[0][1], found.end()
        if marker not in _BARE:
            at += max(int.from_bytes(data[at : at + 2], "big"), 2)
        count += 1
        if count > MAX_SEGMENTS:
            raise too_much("a flood of segments", f"{MAX_SEGMENTS:,}")
        yield marker, found.start(), at


def without_texts(data: bytes) -> bytes:
    """Drop a PNG's texts and colour profile: nobody looks at them, and unpacked they may be bombs.

    The first text that may tell the orientation stays, of each kind, unless it is longer than any honest one,
    packed or unpacked.

    Raises:
        BadImageError: ``corrupt``: there is a flood of chunks.
    """
    kept: list[memoryview] = []
    view, start, wanted = memoryview(data), 0, set(_ORIENTATIONS)
    for kind, at, end in _chunks(data):
        if kind not in _TEXTS:
            continue
        key = next((key for key in wanted if data.startswith(key, at + 8)), None)
        if key and end - at <= MAX_TEXT and _unpacks(kind, data[at + 8 + len(key) : end - 4]):
            wanted.remove(key)
            continue
        kept.append(view[start:at])
        start = end
    return b"".join([*kept, view[start:]]) if kept else data


def _unpacks(kind: bytes, text: bytes) -> bool:
    """Whether what stands behind a text's name unpacks, to no more than Pillow takes."""
    if kind == b"tEXt":
        return True
    if kind == b"iTXt":
        packed, text = text[:1] != b"\0", text[2:].split(b"\0", 2)[-1]
        if not packed:
            return True
    else:
        text = text[1:]
    unpacker = zlib.decompressobj()
    try:
        unpacker.decompress(text, MAX_TEXT)
    except zlib.error:
        return False
    return unpacker.eof


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's kind, where it begins, and where it ends."""
    at, count = 8, 0
    while at + 12 <= len(data):
        length, kind = _CHUNK.unpack_from(data, at)
        end = at + 12 + length
        count += 1
        if count > MAX_CHUNKS:
            raise too_much("a flood of chunks", f"{MAX_CHUNKS:,}")
        if end > len(data):
            return
        yield kind, at, end
        at = end
        if kind == b"IEND":
            return
