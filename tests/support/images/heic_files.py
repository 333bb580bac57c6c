"""HEIC files for tests and benchmarks: as encoders write them, and as none would."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

import pillow_heif

from model.decoding.heif.boxes import Boxes
from model.decoding.heif.items import Items

if TYPE_CHECKING:
    from PIL import Image

TRANSPARENCY = b"urn:mpeg:hevc:2015:auxid:1\0"


class Item(NamedTuple):
    """An item of a file: its type, its bytes, and the boxes of its properties."""

    kind: bytes
    data: bytes
    properties: tuple[bytes, ...] = ()


def box(kind: bytes, *contents: bytes) -> bytes:
    """A box."""
    joined = b"".join(contents)
    return struct.pack(">I", 8 + len(joined)) + kind + joined


def saved(image: Image.Image, quality: int = 60, **options: object) -> bytes:
    """A file as libheif and x265 write it."""
    file = BytesIO()
    pillow_heif.from_pillow(image).save(file, quality=quality, **options)
    return file.getvalue()


def saved_deep(image: Image.Image, chroma: int = 420) -> bytes:
    """A file of 10 bits."""
    pixels = b"".join(bytes((value, value)) for value in image.convert("RGB").tobytes())
    file = BytesIO()
    pillow_heif.from_bytes("RGB;16", image.size, pixels).save(file, quality=60, chroma=chroma)
    return file.getvalue()


def size_told(width: int, height: int) -> bytes:
    """The property that tells an item's size."""
    return box(b"ispe", struct.pack(">III", 0, width, height))


def coded(data: bytes, told: tuple[int, int], *more: bytes) -> Item:
    """The first picture of a file as an item, with the size that it is told to have."""
    boxes = Boxes(data)
    at, end = next(boxes.find(0, len(data), b"meta"))
    items = Items(boxes, at + 4, end)
    first = min(item for item, kind in items.kinds if kind == b"hvc1")
    config = next(it for it in items.properties()[first] if it.kind == b"hvcC")
    properties = (size_told(*told), box(b"hvcC", data[config.at : config.end]), *more)
    return Item(b"hvc1", items.data(first), properties)


def layout(rows: int, columns: int, width: int, height: int) -> Item:
    """A grid, without its tiles."""
    data = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    return Item(b"grid", data, (size_told(width, height),))


def heif(
    items: list[Item], *references: tuple[bytes, int, list[int]], primary: int = 1, brand: bytes = b"heic"
) -> bytes:
    """A file of items, numbered from 1.

    Args:
        items: What is in it.
        references: Each its kind, the item that it comes from, and the items that it leads to.
        primary: The item that is the picture.
        brand: Of the file.
    """
    ids = range(1, len(items) + 1)
    told = [box(b"infe", struct.pack(">IHH4s", 2 << 24, it, 0, items[it - 1].kind), b"\0") for it in ids]
    led = [
        box(kind, struct.pack(f">HH{len(to)}H", item, len(to), *to)) for kind, item, to in references if to
    ]
    known = list(dict.fromkeys(each for item in items for each in item.properties))
    uses = [
        struct.pack(">HB", it, len(items[it - 1].properties))
        + bytes(known.index(each) + 1 for each in items[it - 1].properties)
        for it in ids
    ]

    def meta(start: int) -> bytes:
        places, at = [], start
        for it in ids:
            size = len(items[it - 1].data)
            places.append(struct.pack(">HHHII", it, 0, 1, at, size))
            at += size
        return box(
            b"meta",
            bytes(4),
            box(b"hdlr", bytes(8), b"pict", bytes(13)),
            box(b"pitm", bytes(4), struct.pack(">H", primary)),
            box(b"iloc", b"\0\0\0\0\x44\0", struct.pack(">H", len(ids)), *places),
            box(b"iinf", bytes(4), struct.pack(">H", len(ids)), *told),
            *([box(b"iref", bytes(4), *led)] if led else []),
            box(b"iprp", box(b"ipco", *known), box(b"ipma", bytes(4), struct.pack(">I", len(ids)), *uses)),
        )

    head = box(b"ftyp", brand, bytes(4), b"mif1", b"heic")
    before = len(head) + len(meta(0)) + 8
    return head + meta(before) + box(b"mdat", *(item.data for item in items))
