"""The directory of a TIFF file or of EXIF data, read without its values: Pillow would make an object of each.

After TIFF 6.0, the BigTIFF extension and Exif 2.3; header variants as Pillow takes them.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from model.decoding.errors import BadImageError, too_much

MAX_ENTRIES = 4_096
MAX_VALUES = 250_000
MAX_RATIONALS = 4_096
"""Values that are fractions: Pillow makes several objects of each, in a hundred times a number's time."""

MAX_RAW_STRIPS = 32_768
MAX_PADDED_PIXELS = 100_000_000
"""Pixels of all tiles together: tiles may reach beyond the image, and are decoded whole."""

MAX_TILE_BYTES = 100_000_000
"""Bytes of one tile, which is unpacked in one piece, where the image itself has fewer."""

MAX_SPREAD = 1_000_000
"""Bytes of all strips and tiles beyond twice the file: they may share them, and each is unpacked anew."""

BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, EXTRA, FORMAT = 258, 259, 262, 277, 284, 338, 339
_WIDTH, _LENGTH, _STRIPS, _ORIENTATION = 256, 257, 273, 274
_TILE_WIDTH, _TILE_LENGTH, _TILES = 322, 323, 324
_STRIP_BYTES, _TILE_BYTES = 279, 325
_SINGLE = {_WIDTH, _LENGTH, COMPRESSION, SAMPLES, _TILE_WIDTH, _TILE_LENGTH}
_SIZES = {_STRIP_BYTES, _TILE_BYTES}
_LOOKED_AT = {*_SINGLE, *_SIZES, BITS, _STRIPS, _TILES}
_DIRECTORIES = {34665, 34853, 40965}  # EXIF, GPS, interoperability
_MOST_DIRECTORIES = 8
_OPAQUE = {1, 2, 7}  # bytes, text, undefined: one object, however long
_RATIONALS = {5, 10}
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q"}
_ORDERS = {b"II": "<", b"MM": ">"}
_WHOLE = {3, 4, 16}
_BIG = 43
_RAW = 1


class _Entry(NamedTuple):
    """`value`: its first; `total`: of all of them, where they are sizes."""

    tag: int
    kind: int
    many: int
    value: int
    total: int


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
    _check_numbers(relevant)
    raw = COMPRESSION not in tags or tags[COMPRESSION].value == _RAW
    pieces = max((tags[tag].many for tag in (_STRIPS, _TILES) if tag in tags), default=0)
    if pieces > (limit := MAX_RAW_STRIPS if raw else MAX_VALUES):
        raise too_much(f"{pieces:,} strips or tiles", f"{limit:,}")
    if not raw and (size := max((tags[tag].total for tag in _SIZES & tags.keys()), default=0)) > (
        limit := 2 * len(data) + MAX_SPREAD
    ):
        raise too_much(f"strips or tiles of {size:,} bytes", f"{limit:,}")
    _check_tiles({tag: entry.value for tag, entry in tags.items()})


def first_values(data: bytes) -> dict[int, int]:
    """The first value of each entry of a TIFF's first directory."""
    return {entry.tag: entry.value for entry in _directories(data)[0]}


def exif_orientation(exif: bytes) -> int | None:
    """The orientation that EXIF data tell, None where they tell none; nothing else is unpacked."""
    order = _ORDERS.get(exif[:2])
    if order is None:
        return None
    try:
        entries = _directory(exif, _number(exif, order, 4, 4), order, big=False)
    except BadImageError:  # damaged EXIF data must not cost the image its tags
        return None
    told = (it.value for it in entries if it.tag == _ORIENTATION and it.many == 1 and it.kind in _INTEGERS)
    return next(told, None)


def _check_numbers(entries: list[_Entry]) -> None:
    """Refuse sizes that libtiff would read, from signed numbers for example, and that are not read here."""
    for entry in entries:
        odd = entry.kind not in _WHOLE and entry.tag in {*_SINGLE, *_SIZES, BITS}
        if odd or (entry.many != 1 and entry.tag in _SINGLE):
            found = f"{entry.many:,} of type {entry.kind} as its tag {entry.tag}"
            raise BadImageError("corrupt", f"the image has {found}, not a whole number: save it again")


def _check_tiles(values: dict[int, int]) -> None:
    across, down = values.get(_TILE_WIDTH), values.get(_TILE_LENGTH)
    if across is None and down is None:
        return
    if not across or not down:
        raise too_much(f"tiles of {across or 0} x {down or 0} pixels", "whole ones")
    width, length = values.get(_WIDTH, 0), values.get(_LENGTH, 0)
    padded = -(-width // across) * across * -(-length // down) * down
    if padded > MAX_PADDED_PIXELS:
        found = f"{padded:,} pixels in tiles of {across} x {down}"
        raise too_much(found, f"{MAX_PADDED_PIXELS:,}")
    pixel = values.get(SAMPLES, 1) * values.get(BITS, 1)
    if (size := across * down * pixel // 8) > max(MAX_TILE_BYTES, width * length * pixel // 8):
        raise too_much(f"a tile of {size:,} bytes", f"{MAX_TILE_BYTES:,}")


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
    return [_read(data, order, entry) for entry in entries]


def _read(data: bytes, order: str, entry: tuple[int, int, int, bytes]) -> _Entry:
    """Read an entry: the first of its values if they are integers, and for sizes the sum of all of them."""
    tag, kind, many, value = entry
    letter = _INTEGERS.get(kind, "B")
    width = struct.calcsize(order + letter)
    if width * many > len(value):  # they stand elsewhere
        at = _number(value, order, 0, len(value))
        value = data[at : at + width * min(many, MAX_VALUES)] if tag in _SIZES else data[at : at + 8]
    first = int(struct.unpack_from(order + letter, value.ljust(8, b"\0"))[0])
    total = 0
    if tag in _SIZES:
        held = min(many, len(value) // width)
        total = sum(struct.unpack_from(f"{order}{held}{letter}", value))
    return _Entry(tag, kind, many, first, total)


def _number(data: bytes, order: str, at: int, width: int) -> int:
    return int.from_bytes(data[at : at + width], "little" if order == "<" else "big")
