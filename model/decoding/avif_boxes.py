"""What an AVIF file holds, read without decoding: the data of its pictures, and how large it says they are.

After ISO/IEC 14496-12 (boxes, locations of items, sample tables) and 23008-12 (sizes of items, grids), as
libavif takes them. It looks each item up among all others, and keeps whatever is listed: lists have limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.decoding.errors import too_much
from model.decoding.headers import MAX_ITEMS

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOXES = 50_000
MAX_EXTENTS = 20_000
MAX_PROPERTIES = 100_000
MAX_REFERENCES = 100_000
"""Bytes of references between items."""

MAX_SAMPLES = 100_000
"""Frames of an animation; libavif lists them all."""

MAX_SPREAD = 1_000_000
"""Bytes of pictures beyond twice the file: items may share them, and libavif copies what is in pieces."""

_SINGLE = {b"iloc", b"iinf", b"iprp", b"idat", b"iref"}
_LONG_IDS = {b"iloc": 2, b"infe": 3}  # the version since which an item's number has four bytes
_OUTSIDE, _INSIDE = 0, 1  # where an item's data are: in the file, or in the box `idat`


class Picture(NamedTuple):
    """An item, or the first sample of a track.

    Attributes:
        pixels: As the file says.
        data: AV1, empty for a grid.
    """

    pixels: int
    data: bytes


class _Fields:
    """Numbers one after the other."""

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def take(self, size: int) -> int:
        self._at += size
        if self._at > min(self._end, len(self._data)):
            raise EOFError
        return int.from_bytes(self._data[self._at - size : self._at], "big")


class _Boxes:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = MAX_BOXES

    def fields(self, at: int, end: int) -> _Fields:
        return _Fields(self.data, at, end)

    def within(self, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
        """Each box's kind, and where its contents begin and end."""
        while at + 8 <= end:
            self._left -= 1
            if self._left < 0:
                raise too_much("a flood of boxes", f"{MAX_BOXES:,}")
            size, kind, head = self.fields(at, end).take(4), self.data[at + 4 : at + 8], 8
            if size == 1:
                size, head = self.fields(at + 8, end).take(8), 16
            size = size or end - at
            if size < head:
                raise EOFError
            yield kind, at + head, min(at + size, end)
            at += size

    def find(self, at: int, end: int, *path: bytes) -> Iterator[tuple[int, int]]:
        """Where boxes with this path begin and end."""
        for kind, start, stop in self.within(at, end):
            if kind == path[0]:
                yield from self.find(start, stop, *path[1:]) if path[1:] else [(start, stop)]


def pictures(data: bytes) -> tuple[list[Picture], list[Picture]]:
    """A file's items and the beginnings of its tracks: libavif decodes ones or the others.

    Raises:
        BadImageError: ``corrupt``: there is a flood of something.
        EOFError: The boxes cannot be read.
    """
    boxes = _Boxes(data)
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


def _items(boxes: _Boxes, at: int, end: int) -> Iterator[Picture]:
    found: dict[bytes, tuple[int, int]] = {}
    for kind, start, stop in boxes.within(at, end):
        if kind in found and kind in _SINGLE:
            raise too_much("several lists of its items", "one")
        found[kind] = start, stop
    first, last = found.get(b"iref", (0, 0))
    if last - first > MAX_REFERENCES:
        raise too_much(f"{last - first:,} bytes of references", f"{MAX_REFERENCES:,}")
    inside = boxes.data[slice(*found.get(b"idat", (0, 0)))]
    places = _places(boxes.fields(*found[b"iloc"])) if b"iloc" in found else {}
    kinds = _kinds(boxes, *found.get(b"iinf", (0, 0)))
    sizes = _sizes(boxes, *found.get(b"iprp", (0, 0)))
    left = 2 * len(boxes.data) + MAX_SPREAD
    for item, (method, extents) in places.items():
        source = inside if method == _INSIDE else boxes.data
        left -= sum(min(size, max(len(source) - offset, 0)) for offset, size in extents)
        if left < 0:
            raise too_much(
                "items that share much of their data", f"{MAX_SPREAD:,} bytes beyond twice the file"
            )
        pieces = b"".join(source[offset : offset + size] for offset, size in extents)
        if (item, b"av01") in kinds:
            yield Picture(sizes.get(item, 0), pieces)
        if (item, b"grid") in kinds:
            yield Picture(max(sizes.get(item, 0), _grid(pieces)), b"")


def _places(fields: _Fields) -> dict[int, tuple[int, list[tuple[int, int]]]]:
    """Each item's construction method, and offsets and sizes of the pieces of its data."""
    version, _, sizes, more = fields.take(1), fields.take(3), fields.take(1), fields.take(1)
    long = 4 if version >= _LONG_IDS[b"iloc"] else 2
    many = fields.take(long)
    if many > MAX_ITEMS:
        raise too_much("a flood of items", f"{MAX_ITEMS:,}")
    places: dict[int, tuple[int, list[tuple[int, int]]]] = {}
    left = MAX_EXTENTS
    for _ in range(many):
        item, method = fields.take(long), fields.take(2) if version else _OUTSIDE
        if item in places or method > _INSIDE:
            raise EOFError
        base, count = (fields.take(2), fields.take(more >> 4))[1], fields.take(2)
        left -= count
        if left < 0:
            raise too_much("items in a flood of pieces", f"{MAX_EXTENTS:,}")
        extents = []
        for _ in range(count):
            fields.take(more & 15 if version else 0)
            extents.append((base + fields.take(sizes >> 4), fields.take(sizes & 15)))
        places[item] = method, extents
    return places


def _kinds(boxes: _Boxes, at: int, end: int) -> set[tuple[int, bytes]]:
    """Pairs of items and their types."""
    found = set()
    for start, stop in boxes.find(at + (8 if boxes.data[at : at + 1] > b"\0" else 6), end, b"infe"):
        fields = boxes.fields(start, stop)
        version, _ = fields.take(1), fields.take(3)
        item, _ = fields.take(4 if version >= _LONG_IDS[b"infe"] else 2), fields.take(2)
        found.add((item, fields.take(4).to_bytes(4, "big")))
    return found


def _sizes(boxes: _Boxes, at: int, end: int) -> dict[int, int]:
    """The most pixels that properties say an item has."""
    properties = [0]
    for start, stop in boxes.find(at, end, b"ipco"):
        properties += [
            _area(boxes.fields(first + 4, last), 4) if kind == b"ispe" else 0
            for kind, first, last in boxes.within(start, stop)
        ]
    sizes: dict[int, int] = {}
    left = MAX_PROPERTIES
    for start, stop in boxes.find(at, end, b"ipma"):
        fields = boxes.fields(start, stop)
        version, flags = fields.take(1), fields.take(3)
        long = flags & 1
        for _ in range(fields.take(4)):
            item, count = fields.take(4 if version else 2), fields.take(1)
            left -= count + 3
            if left < 0:
                raise too_much("items with a flood of properties", f"{MAX_PROPERTIES:,}")
            for _ in range(count):
                index = fields.take(1 + long) & (0x7FFF if long else 0x7F)
                if index < len(properties):
                    sizes[item] = max(sizes.get(item, 0), properties[index])
    return sizes


def _grid(data: bytes) -> int:
    fields = _Fields(data, 0, len(data))
    flags = fields.take(2) & 1
    fields.take(2)
    return _area(fields, 4 if flags else 2)


def _area(fields: _Fields, size: int) -> int:
    return fields.take(size) * fields.take(size)


def _track(boxes: _Boxes, at: int, end: int) -> Iterator[Picture]:
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


def _most_per_chunk(fields: _Fields) -> int:
    many = fields.take(4)
    if many > MAX_SAMPLES:
        raise too_much("a flood of frames", f"{MAX_SAMPLES:,}")
    rows = [(fields.take(4), fields.take(4), fields.take(4)) for _ in range(many)]
    return max((samples for _, samples, _ in rows), default=0)
