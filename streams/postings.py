"""The images that have a tag, in the order in which they came."""

import numpy as np
from numpy.typing import NDArray

_LEAST = 4  # images that there is room for at first


class Postings:
    """The slots that a tag was ever given to, ascending, and with which confidence.

    One thread writes; `view` may be called in any. See `streams.columns.Column`, which this is two of.
    """

    __slots__ = ("_confidences", "_size", "_slots")

    def __init__(self, slots: NDArray[np.uint32], confidences: NDArray[np.uint16]) -> None:
        self._slots = slots
        self._confidences = confidences
        self._size = len(slots)

    @classmethod
    def empty(cls) -> "Postings":
        """Make those of a new tag."""
        postings = cls(np.empty(_LEAST, np.uint32), np.empty(_LEAST, np.uint16))
        postings._size = 0
        return postings

    def append(self, slot: int, confidence: int) -> None:
        """Add a slot, which must be greater than those before it."""
        size = self._size
        if size == len(self._slots):
            self._grow(size + 1)
        self._slots[size] = slot
        self._confidences[size] = confidence
        self._size = size + 1

    def extend(self, slots: NDArray[np.uint32], confidences: NDArray[np.uint16]) -> None:
        """Add slots, ascending and greater than those before them."""
        begin, end = self._size, self._size + len(slots)
        if end > len(self._slots):
            self._grow(end)
        self._slots[begin:end] = slots
        self._confidences[begin:end] = confidences
        self._size = end

    def view(self) -> tuple[NDArray[np.uint32], NDArray[np.uint16]]:
        """Give the slots and confidences that there are now."""
        size = self._size  # before the arrays: they are never shorter than a size seen earlier
        return self._slots[:size], self._confidences[:size]

    @property
    def nbytes(self) -> int:
        """Give the memory that they take."""
        return self._slots.nbytes + self._confidences.nbytes

    def _grow(self, least: int) -> None:
        room = max(least, _LEAST, self._size * 5 // 4 + 1)
        slots, confidences = np.empty(room, np.uint32), np.empty(room, np.uint16)
        slots[: self._size], confidences[: self._size] = self.view()
        self._slots, self._confidences = slots, confidences
