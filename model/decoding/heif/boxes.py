"""Boxes in boxes, and the numbers in them: how AVIF and HEIC files are made.

After ISO/IEC 14496-12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from model.decoding.errors import too_much

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BOXES = 50_000


class Fields:
    """Numbers one after the other.

    Raises:
        EOFError: In its methods: there are no more.
    """

    def __init__(self, data: bytes, at: int, end: int) -> None:
        self._data, self._at, self._end = data, at, end

    def take(self, size: int) -> int:
        """The next number, of so many bytes."""
        return int.from_bytes(self.piece(size), "big")

    def piece(self, size: int) -> bytes:
        """The next so many bytes."""
        self._at += size
        if self._at > min(self._end, len(self._data)):
            raise EOFError
        return self._data[self._at - size : self._at]


class Boxes:
    """A file of boxes, of which only so many are looked at.

    Raises:
        BadImageError: In its methods, ``corrupt``: there are more.
        EOFError: In its methods: a box cannot be read.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self._left = MAX_BOXES

    def fields(self, at: int, end: int) -> Fields:
        """The numbers in a part of it."""
        return Fields(self.data, at, end)

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
