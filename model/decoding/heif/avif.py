"""What an AVIF file holds, read without decoding: the data of its pictures, and how large it says they are.

After ISO/IEC 14496-12 (boxes, locations of items, sample tables) and 23008-12 (sizes of items, grids), as
libavif takes them. It looks each item up among all others, and keeps whatever is listed: lists have limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.decoding.errors import too_much
from model.decoding.heif.boxes import Boxes
from model.decoding.heif.items import Items, grid_area

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.decoding.heif.boxes import Fields

MAX_SAMPLES = 100_000
"""Frames of an animation; libavif lists them all."""


class Picture(NamedTuple):
    """An item, or the first sample of a track.

    Attributes:
        pixels: As the file says.
        data: AV1, empty for a grid.
    """

    pixels: int
    data: bytes


def pictures(data: bytes) -> tuple[list[Picture], list[Picture]]:
    """A file's items and the beginnings of its tracks: libavif decodes ones or the others.

    Raises:
        BadImageError: ``corrupt``: there is a flood of something.
        EOFError: The boxes cannot be read.
    """
    boxes = Boxes(data)
    items: list[Picture] = []
    tracks: list[Picture] = []
    for kind, at, end in boxes.within(0, len(data)):
        if kind == b"meta":
            items += _items(boxes, at + 4, end)
        elif kind == b"moov":
            for start, stop in boxes.find(at, end, b"trak"):
                tracks += _track(boxes, start, stop)
                for first, last in boxes.find(start, stop, b"meta"):  # read by libavif, but not decoded
                    list(_items(boxes, first + 4, last))
    return items, tracks


def _items(boxes: Boxes, at: int, end: int) -> Iterator[Picture]:
    items = Items(boxes, at, end)
    told = items.properties()
    for item in items.places:
        pixels = max((items.area(it) for it in told.get(item, ())), default=0)
        if (item, b"av01") in items.kinds:
            yield Picture(pixels, items.data(item))
        if (item, b"grid") in items.kinds:
            yield Picture(max(pixels, grid_area(items.data(item))), b"")


def _track(boxes: Boxes, at: int, end: int) -> Iterator[Picture]:
    pixels = 0
    for start, stop in boxes.find(at, end, b"tkhd"):
        sides = boxes.fields(start + (88 if boxes.data[start] else 76), stop)
        pixels = max(pixels, (sides.take(4) >> 16) * (sides.take(4) >> 16))
    for table in boxes.find(at, end, b"mdia", b"minf", b"stbl"):
        offsets, sizes, coded = [], [], False
        chunks = most = 0
        for kind, start, stop in boxes.within(*table):
            if kind == b"stsd":
                coded |= b"av01" in boxes.data[start:stop]
            elif kind == b"stsc":
                most = max(most, _most_per_chunk(boxes.fields(start + 4, stop)))
            elif kind in {b"stco", b"co64"} and (many := boxes.fields(start + 4, stop).take(4)):
                chunks += many
                offsets.append(boxes.fields(start + 8, stop).take(4 if kind == b"stco" else 8))
            elif kind == b"stsz":
                same = boxes.fields(start + 4, stop).take(4)
                sizes.append(same or boxes.fields(start + 12, stop).take(4))
        if chunks * most > MAX_SAMPLES:
            raise too_much("a flood of frames", f"{MAX_SAMPLES:,}")
        if coded:
            for offset in offsets:
                yield Picture(pixels, boxes.data[offset : offset + max(sizes, default=0)])


def _most_per_chunk(fields: Fields) -> int:
    many = fields.take(4)
    if many > MAX_SAMPLES:
        raise too_much("a flood of frames", f"{MAX_SAMPLES:,}")
    rows = [(fields.take(4), fields.take(4), fields.take(4)) for _ in range(many)]
    return max((samples for _, samples, _ in rows), default=0)
