"""What decoding a HEIC file's picture takes, read without decoding: its items, and their frames.

After ISO/IEC 23008-12, as libheif takes it. Only the primary item is decoded, with what it is made of and its
transparency; previews, depth maps, gain maps and the other pictures of a burst are not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from model.decoding.errors import BadImageError, too_much
from model.decoding.heif.boxes import Boxes
from model.decoding.heif.hevc_frames import Frames, frames_of
from model.decoding.heif.items import Items, grid_area

if TYPE_CHECKING:
    from collections.abc import Iterator

    from model.decoding.heif.boxes import Fields

MAX_TILES = 2_000
"""Pictures that the primary item is made of, each as often as it is named; phones write 800."""

_CODED, _GRID, _SAME = b"hvc1", b"grid", b"iden"
_MADE_OF, _AUXILIARY = b"dimg", b"auxl"
_TRANSPARENCY = (b"urn:mpeg:hevc:2015:auxid:1", b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha")
_DEEPEST = 3  # a grid of pictures that are turned is honest; grids of grids of grids are not
_CURE = "send it as jpg, or as HEIC with HEVC"

References = dict[tuple[bytes, int], list[int]]  # by kind and the item that they come from


class Work(NamedTuple):
    """What decoding a file's picture takes.

    Attributes:
        pixels: Of all frames, or of the picture if those are more.
        deep: Whether pixels have more than 8 bits.
        rich: Whether colours are subsampled less than by half in both directions.
        transparent: Whether it has transparency.
    """

    pixels: int
    deep: bool
    rich: bool
    transparent: bool


def work(data: bytes) -> Work:
    """Read what decoding a file's primary item takes.

    Raises:
        BadImageError: ``corrupt``: its boxes cannot be read, or there is a flood of something; ``truncated``:
            bytes are missing; ``unsupported_format``: it is no HEVC.
    """
    try:
        return _work(data)
    except EOFError:
        raise BadImageError("corrupt", "the image has boxes that cannot be read: save it again") from None


def _work(data: bytes) -> Work:
    boxes = Boxes(data)
    places = [(kind, at, end) for kind, at, end in boxes.within(0, len(data)) if kind in {b"meta", b"moov"}]
    metas = [(at + 4, end) for kind, at, end in places if kind == b"meta"]
    if places and not metas:
        raise BadImageError("unsupported_format", f"HEIF films without a picture are not decoded: {_CURE}")
    if len(metas) != 1:
        raise EOFError
    return _Picture(boxes, Items(boxes, *metas[0])).work()


class _Picture:
    def __init__(self, boxes: Boxes, items: Items) -> None:
        self._items, self._boxes = items, boxes
        self._left = MAX_TILES
        self._kinds = dict(items.kinds)
        if len(self._kinds) < len(items.kinds):
            raise too_much("items of several types each", "one of each")
        self._told = items.properties()
        self._references = _references(boxes, *items.found.get(b"iref", (0, 0)))
        self._coded: dict[int, Frames] = {}
        self._transparent: dict[int, list[int]] = {}
        for (kind, item), owners in self._references.items():
            if kind == _AUXILIARY and self._is_transparency(item):
                for owner in owners:
                    self._transparent.setdefault(owner, []).append(item)

    def work(self) -> Work:
        """Go through what the primary item is made of."""
        at, end = self._items.found.get(b"pitm", (0, 0))
        fields = self._boxes.fields(at, end)
        version, _ = fields.take(1), fields.take(3)
        primary = fields.take(4 if version else 2)
        made_of = list(self._frames(primary, 0))
        if not made_of:
            raise EOFError
        return Work(
            max(sum(it.pixels for it in made_of), self._area(primary)),
            any(it.deep for it in made_of),
            any(it.rich for it in made_of),
            bool(self._transparent.get(primary)),
        )

    def _frames(self, item: int, depth: int) -> Iterator[Frames]:
        """Those of an item, and of all that it is made of, as often as it is."""
        kind = self._kinds.get(item)
        self._left -= 1
        if self._left < 0:
            raise too_much("a flood of tiles", f"{MAX_TILES:,}")
        if kind is None or depth > _DEEPEST:
            raise EOFError
        if kind == _CODED:
            yield self._decoded(item)
        elif kind in {_GRID, _SAME}:
            for part in self._references.get((_MADE_OF, item), ()):
                yield from self._frames(part, depth + 1)
        else:
            coding = kind.decode("ascii", "replace")
            raise BadImageError(
                "unsupported_format", f"HEIF pictures coded as {coding!r} are not decoded: {_CURE}"
            )
        for other in self._transparent.get(item, ()):
            yield from self._frames(other, depth + 1)

    def _decoded(self, item: int) -> Frames:
        if item not in self._coded:
            config = next((it for it in self._told.get(item, ()) if it.kind == b"hvcC"), None)
            if config is None:
                raise EOFError
            if not self._items.is_whole(item):
                fault = f"{len(self._boxes.data):,} bytes of image data end before its picture does"
                raise BadImageError("truncated", f"{fault}: upload the file again")
            told = self._boxes.data[config.at : config.end]
            self._coded[item] = frames_of(told, self._items.data(item))
        return self._coded[item]

    def _area(self, item: int) -> int:
        grid = grid_area(self._items.data(item)) if self._kinds[item] == _GRID else 0
        return max(grid, *(self._items.area(it) for it in self._told.get(item, ())), 0)

    def _is_transparency(self, item: int) -> bool:
        return any(
            it.kind == b"auxC" and self._boxes.data[it.at + 4 : it.end].startswith(_TRANSPARENCY)
            for it in self._told.get(item, ())
        )


def _references(boxes: Boxes, at: int, end: int) -> References:
    found: References = {}
    if at == end:
        return found
    version = boxes.fields(at, end).take(1)
    width = 4 if version else 2
    for kind, start, stop in boxes.within(at + 4, end):
        fields: Fields = boxes.fields(start, stop)
        item, many = fields.take(width), fields.take(2)
        found.setdefault((kind, item), []).extend(fields.take(width) for _ in range(many))
    return found
