"""A file's items: where their bytes are, of which type they are, and what is said of them.

After ISO/IEC 14496-12 (locations) and 23008-12 (properties, grids), as libavif and libheif take them. They
look each item up among all others, and keep whatever is listed: lists have limits.
"""

from __future__ import annotations

from typing import NamedTuple

from model.decoding.errors import too_much
from model.decoding.headers import MAX_ITEMS
from model.decoding.heif.boxes import Boxes, Fields

MAX_EXTENTS = 20_000
MAX_PROPERTIES = 100_000
MAX_REFERENCES = 100_000
"""Bytes of references between items."""

MAX_SPREAD = 1_000_000
"""Bytes of pictures beyond twice the file: items may share them, and libavif copies what is in pieces."""

_SINGLE = {b"iloc", b"iinf", b"iprp", b"idat", b"iref", b"pitm"}
_LONG_IDS = {b"iloc": 2, b"infe": 3}  # the version since which an item's number has four bytes
_OUTSIDE, _INSIDE = 0, 1  # where an item's data are: in the file, or in the box `idat`

Place = tuple[int, list[tuple[int, int]]]


class Property(NamedTuple):
    """What is said of an item: the kind of its box, and where the box's contents begin and end."""

    kind: bytes
    at: int
    end: int


class Items:
    """The items that a `meta` box lists.

    Attributes:
        places: By item the construction method, and offsets and sizes of the pieces of its data.
        kinds: Pairs of items and their types.
        found: Where the contents of each box in the `meta` box begin and end.

    Raises:
        BadImageError: ``corrupt``: there is a flood of something.
        EOFError: The boxes cannot be read.
    """

    def __init__(self, boxes: Boxes, at: int, end: int) -> None:
        found: dict[bytes, tuple[int, int]] = {}
        for kind, start, stop in boxes.within(at, end):
            if kind in found and kind in _SINGLE:
                raise too_much("several lists of its items", "one")
            found[kind] = start, stop
        first, last = found.get(b"iref", (0, 0))
        if last - first > MAX_REFERENCES:
            raise too_much(f"{last - first:,} bytes of references", f"{MAX_REFERENCES:,}")
        self.found = found
        self.places = _places(boxes.fields(*found[b"iloc"])) if b"iloc" in found else {}
        self.kinds = _kinds(boxes, *found.get(b"iinf", (0, 0)))
        self._boxes = boxes
        self._inside = boxes.data[slice(*found.get(b"idat", (0, 0)))]
        self._check_spread()

    def _check_spread(self) -> None:
        left = 2 * len(self._boxes.data) + MAX_SPREAD
        for method, extents in self.places.values():
            most = len(self._source(method))
            left -= sum(min(size, max(most - offset, 0)) for offset, size in extents)
            if left < 0:
                found = "items that share much of their data"
                raise too_much(found, f"{MAX_SPREAD:,} bytes beyond twice the file")

    def _source(self, method: int) -> bytes:
        return self._inside if method == _INSIDE else self._boxes.data

    def data(self, item: int) -> bytes:
        """An item's bytes, as far as there are some."""
        method, extents = self.places.get(item, (_OUTSIDE, []))
        source = self._source(method)
        return b"".join(source[offset : offset + size] for offset, size in extents)

    def is_whole(self, item: int) -> bool:
        """Whether all of an item's bytes are there, and it has some."""
        method, extents = self.places.get(item, (_OUTSIDE, []))
        most = len(self._source(method))
        return any(size for _, size in extents) and all(offset + size <= most for offset, size in extents)

    def properties(self) -> dict[int, list[Property]]:
        """What is said of each item."""
        return _properties(self._boxes, *self.found.get(b"iprp", (0, 0)))

    def area(self, told: Property) -> int:
        """The pixels that a property of the kind `ispe` says."""
        return area(self._boxes.fields(told.at + 4, told.end), 4) if told.kind == b"ispe" else 0


def area(fields: Fields, size: int) -> int:
    """Width times height, in numbers of so many bytes."""
    return fields.take(size) * fields.take(size)


def grid_area(data: bytes) -> int:
    """The pixels that a grid says it has."""
    fields = Fields(data, 0, len(data))
    flags = fields.take(2) & 1
    fields.take(2)
    return area(fields, 4 if flags else 2)


def _places(fields: Fields) -> dict[int, Place]:
    version, _, sizes, more = fields.take(1), fields.take(3), fields.take(1), fields.take(1)
    long = 4 if version >= _LONG_IDS[b"iloc"] else 2
    many = fields.take(long)
    if many > MAX_ITEMS:
        raise too_much("a flood of items", f"{MAX_ITEMS:,}")
    places: dict[int, Place] = {}
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


def _kinds(boxes: Boxes, at: int, end: int) -> set[tuple[int, bytes]]:
    found = set()
    for start, stop in boxes.find(at + (8 if boxes.data[at : at + 1] > b"\0" else 6), end, b"infe"):
        fields = boxes.fields(start, stop)
        version, _ = fields.take(1), fields.take(3)
        item, _ = fields.take(4 if version >= _LONG_IDS[b"infe"] else 2), fields.take(2)
        found.add((item, fields.take(4).to_bytes(4, "big")))
    return found


def _properties(boxes: Boxes, at: int, end: int) -> dict[int, list[Property]]:
    known: list[Property | None] = [None]
    for start, stop in boxes.find(at, end, b"ipco"):
        known += [Property(*box) for box in boxes.within(start, stop)]
    found: dict[int, list[Property]] = {}
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
                if index < len(known) and (told := known[index]) is not None:
                    found.setdefault(item, []).append(told)
    return found
