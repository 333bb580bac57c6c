"""The directory of a TIFF file or of EXIF data, read without its values: Pillow would make an object of each.

After TIFF 6.0, the BigTIFF extension and Exif 2.3; header variants as Pillow takes them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from model.errors import BadImageError, too_much

MAX_ENTRIES = 4_096
MAX_VALUES = 250_000
MAX_RATIONALS = 4_096
"""Values that are fractions: Pillow makes several objects of each, in a hundred times a number's time."""

MAX_RAW_STRIPS = 32_768
MAX_PADDED_PIXELS = 100_000_000
"""Pixels of all tiles together: tiles may reach beyond the image, and are decoded whole."""

_WIDTH, _LENGTH, _COMPRESSION, _STRIPS, _ORIENTATION = 256, 257, 259, 273, 274
_TILE_WIDTH, _TILE_LENGTH, _TILES = 322, 323, 324
_LOOKED_AT = {_WIDTH, _LENGTH, _COMPRESSION, _STRIPS, _TILE_WIDTH, _TILE_LENGTH, _TILES}
_DIRECTORIES = {34665, 34853, 40965}  # EXIF, GPS, interoperability
_MOST_DIRECTORIES = 8
_OPAQUE = {1, 2, 7}  # bytes, text, undefined: one object, however long
_RATIONALS = {5, 10}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_ORDERS = {b"II": "<", b"MM": ">"}
_BIG = 43
_RAW = 1


class _Entry(NamedTuple):
    tag: int
    kind: int
    many: int
    value: int


def check_tiff(data: bytes) -> None:
    """Refuse a TIFF whose directory would unpack to far more than it shows.

    Raises:
        BadImageError: ``corrupt``.
    """
    directories = _directories(data)
    values = sum(entry.many for entries in directories for entry in entries if entry.kind not in _OPAQUE)
    if values > MAX_VALUES:
        raise too_much(f"{values:,} values in its directories", f"{MAX_VALUES:,}")
    rationals = sum(entry.many for entries in directories for entry in entries if entry.kind in _RATIONALS)
    if rationals > MAX_RATIONALS:
        raise too_much(f"{rationals:,} fractions in its directories", f"{MAX_RATIONALS:,}")
    relevant = [entry for entry in directories[0] if entry.tag in _LOOKED_AT]
    tags = {entry.tag: entry for entry in relevant}
    if len(tags) < len(relevant):  # Pillow takes the last one, libtiff the first
        raise too_much("a size, a compression or strips more than once", "one of each")
    raw = _COMPRESSION not in tags or tags[_COMPRESSION].value == _RAW
    pieces = max((tags[tag].many for tag in (_STRIPS, _TILES) if tag in tags), default=0)
    if pieces > (limit := MAX_RAW_STRIPS if raw else MAX_VALUES):
        raise too_much(f"{pieces:,} strips or tiles", f"{limit:,}")
    _check_tiles(tags)


def exif_orientation(exif: bytes) -> int | None:
    """Give the orientation that EXIF data tell, None where they tell none; nothing else is unpacked."""
    order = _ORDERS.get(exif[:2])
    if order is None:
        return None
    try:
        entries = _directory(exif, _number(exif, order, 4, 4), order, big=False)
    except BadImageError:  # damaged EXIF data must not cost the image its tags
        return None
    told = (it.value for it in entries if it.tag == _ORIENTATION and it.many == 1 and it.kind in _INTEGERS)
    return next(told, None)


def _check_tiles(tags: dict[int, _Entry]) -> None:
    sides = [tags[tag].value if tag in tags else 0 for tag in (_WIDTH, _TILE_WIDTH, _LENGTH, _TILE_LENGTH)]
    width, tile_width, length, tile_length = sides
    if tile_width and tile_length:
        padded = -(-width // tile_width) * tile_width * -(-length // tile_length) * tile_length
        if padded > MAX_PADDED_PIXELS:
            found = f"{padded:,} pixels in tiles of {tile_width} x {tile_length}"
            raise too_much(found, f"{MAX_PADDED_PIXELS:,}")


def _directories(data: bytes) -> list[list[_Entry]]:
    """Read the first directory and those that Pillow unpacks with it."""
    order = "<" if data.startswith(b"II") else ">"
    big = data[2:3] == bytes([_BIG])
    found: list[list[_Entry]] = []
    waiting = [_number(data, order, *((8, 8) if big else (4, 4)))]
    while waiting and len(found) < _MOST_DIRECTORIES:
        entries = _directory(data, waiting.pop(0), order, big=big)
        found.append(entries)
        waiting += [entry.value for entry in entries if entry.tag in _DIRECTORIES]
    return found


def _directory(data: bytes, at: int, order: str, *, big: bool) -> list[_Entry]:
    layout = struct.Struct(order + ("HHQ8s" if big else "HHI4s"))
    width = 8 if big else 2
    count = _number(data, order, at, width)
    if count > MAX_ENTRIES:
        raise too_much(f"a directory of {count:,} entries", f"{MAX_ENTRIES:,}")
    start = at + width
    count = min(count, max(len(data) - start, 0) // layout.size)
    entries = layout.iter_unpack(data[start : start + count * layout.size])
    return [_Entry(tag, kind, many, _first(value, kind, order)) for tag, kind, many, value in entries]


def _first(value: bytes, kind: int, order: str) -> int:
    """Give an entry's value where it is one integer inside the entry; where it is not, some number."""
    letter = _INTEGERS.get(kind, "B")
    return int(struct.unpack_from(order + letter, value.ljust(8, b"\0"))[0])


def _number(data: bytes, order: str, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little" if order == "<" else "big")
