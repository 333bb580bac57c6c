"""The images that have a tag: those that came at once in segments, those that came one by one behind them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST = 4  # images that there is room for at first


@dataclass(frozen=True)
class Segment:
    """The slots that came at once, by tag, and with which confidence; nothing of it ever changes.

    Attributes:
        slots: By tag, within a tag ascending.
        confidences: Those of the tag on the image.
        begins: By tag, where its slots begin; tags that are not there yet have none.
        ends: By tag, where they end.
    """

    slots: NDArray[np.uint32]
    confidences: NDArray[np.uint16]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]

    @classmethod
    def build(
        cls,
        slots: NDArray[np.uint32],
        confidences: NDArray[np.uint16],
        tags: NDArray[np.integer[Any]],
        sizes: NDArray[np.int64],
    ) -> "Segment":
        """Make a segment of slots and confidences in the order of tags that have so many of them each."""
        begins = np.zeros(int(tags.max(initial=-1)) + 1, np.int64)
        ends = np.zeros_like(begins)
        ends[tags] = np.cumsum(sizes)
        begins[tags] = ends[tags] - sizes
        return cls(slots, confidences, begins, ends)

    def of(self, tag: int) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """A tag's slots and confidences."""
        place = slice(self.begins[tag], self.ends[tag]) if tag < len(self.begins) else slice(0)
        return self.slots[place], self.confidences[place]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        return self.slots.nbytes + self.confidences.nbytes + self.begins.nbytes + self.ends.nbytes


class Postings:
    """The slots that a tag was given to one by one, ascending, and with which confidence.

    One thread writes; `view` may be called in any. See `streams.state.columns.Column`, which this is two of.
    """

    __slots__ = ("_confidences", "_size", "_slots")

    def __init__(self) -> None:
        self._slots = np.empty(_LEAST, np.uint32)
        self._confidences = np.empty(_LEAST, np.uint16)
        self._size = 0

    def append(self, slot: int, confidence: int) -> None:
        """Add a slot, which must be greater than those before it."""
        size = self._size
        if size == len(self._slots):
            self._grow()
        self._slots[size] = slot
        self._confidences[size] = confidence
        self._size = size + 1

    def view(self) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """The slots and confidences that there are now."""
        size = self._size  # before the arrays: they are never shorter than a size seen earlier
        return self._slots[:size], self._confidences[:size]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that they take."""
        return self._slots.nbytes + self._confidences.nbytes

    def _grow(self) -> None:
        room = max(_LEAST, self._size * 5 // 4 + 1)
        slots, confidences = np.empty(room, np.uint32), np.empty(room, np.uint16)
        slots[: self._size], confidences[: self._size] = self.view()
        self._slots, self._confidences = slots, confidences
