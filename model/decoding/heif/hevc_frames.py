"""How large the frames of HEVC data are, read from their headers: decoders believe them, not the file around.

After ITU H.265, 7.3.1 to 7.3.2, and ISO/IEC 14496-15, 8.3.3 (the box `hvcC`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.decoding.errors import too_much
from model.decoding.heif.bits import HEADER, Bits
from model.decoding.heif.boxes import Fields

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_UNITS = 20_000

_PARAMETERS, _FIRST_OF_OTHERS = 33, 32  # types of units: sequence parameters; below 32 are parts of frames
_UNIT_HEAD = 2
_BEFORE_ARRAYS = 22  # bytes of `hvcC`
_PROFILE, _LEVEL = 88, 8  # bits
_MOST_LAYERS = 8
_GREY, _SUBSAMPLED, _FULL = 0, 1, 3  # chroma formats
_BYTE = 8


class Frames(NamedTuple):
    """What decoding some HEVC data takes.

    Attributes:
        pixels: Of all frames together, in whole blocks.
        deep: Whether they have more than 8 bits.
        rich: Whether their colours are less subsampled than by half in both directions.
    """

    pixels: int
    deep: bool
    rich: bool


def frames_of(config: bytes, data: bytes) -> Frames:
    """Read the headers of an item: of its configuration, and of its data.

    Raises:
        BadImageError: ``corrupt``: there is a flood of units.
        EOFError: A header cannot be read, or there is none.
    """
    largest, many, deep, rich = 0, 0, False, False
    for unit in (*_configured(config), *_units(data)):
        if len(unit) <= _UNIT_HEAD or unit[0] & 1 or unit[1] >> 3:  # a layer that is not decoded
            continue
        kind = unit[0] >> 1 & 63
        if kind == _PARAMETERS:
            pixels, bits, chroma = _sequence(unit[_UNIT_HEAD:])
            largest, deep = max(largest, pixels), deep or bits > _BYTE
            rich |= chroma not in {_GREY, _SUBSAMPLED}
        elif kind < _FIRST_OF_OTHERS:
            many += unit[_UNIT_HEAD] >> 7  # the first part of a frame
    if not largest:
        raise EOFError
    return Frames(largest * max(many, 1), deep, rich)


def _configured(config: bytes) -> Iterator[bytes]:
    fields = Fields(config, _BEFORE_ARRAYS, len(config))
    left = MAX_UNITS
    for _ in range(fields.take(1)):
        fields.take(1)
        for _ in range(fields.take(2)):
            left -= 1
            if left < 0:
                raise too_much("a flood of units of HEVC data", f"{MAX_UNITS:,}")
            yield fields.piece(fields.take(2))


def _units(data: bytes) -> Iterator[bytes]:
    """The beginning of each unit, whose length stands before it in four bytes, as libheif takes it."""
    at = count = 0
    while at + 4 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        count += 1
        if count > MAX_UNITS:
            raise too_much("a flood of units of HEVC data", f"{MAX_UNITS:,}")
        yield data[at + 4 : at + 4 + min(size, HEADER)]
        at += 4 + size


def _sequence(data: bytes) -> tuple[int, int, int]:
    """Pixels of a frame, bits of a pixel's brightness or colour, and how colours are subsampled."""
    bits = Bits(data[:HEADER].replace(b"\0\0\3", b"\0\0"))  # the 3 keeps a start code from appearing
    bits.take(4)
    layers = bits.take(3)
    bits.take(1 + _PROFILE + _LEVEL)
    told = [(bits.take(), bits.take()) for _ in range(_MOST_LAYERS if layers else 0)][:layers]
    for has_profile, has_level in told:
        bits.take(has_profile * _PROFILE + has_level * _LEVEL)
    bits.golomb()
    chroma = bits.golomb()
    if chroma == _FULL:
        bits.take()
    width, height = bits.golomb(), bits.golomb()
    if bits.take():  # only a part of it is shown
        for _ in range(4):
            bits.golomb()
    depth = max(bits.golomb(), bits.golomb()) + _BYTE
    return width * height, depth, chroma
