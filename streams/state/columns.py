"""Columns: arrays that grow, and that other threads may read while they do."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAST = 4  # values a column has room for at first


class Column:
    """A one-dimensional array with room to grow.

    One thread writes. What `view` gave stays as long as somebody holds it: a column that grows moves to a
    new array and leaves the old one alone. Only values that are overwritten show in views.
    """

    __slots__ = ("_array", "size")

    def __init__(self, values: NDArray[Any]) -> None:
        self._array = values
        self.size = len(values)

    @classmethod
    def empty(cls, dtype: type[np.generic]) -> "Column":
        """Make a column without values."""
        column = cls(np.empty(_LEAST, dtype))
        column.size = 0
        return column

    def append(self, value: int) -> None:
        """Add a value."""
        size = self.size
        if size == len(self._array):
            self._grow(size + 1)
        self._array[size] = value
        self.size = size + 1

    def extend(self, values: list[int] | NDArray[Any]) -> None:
        """Add values."""
        end = self.size + len(values)
        if end > len(self._array):
            self._grow(end)
        self._array[self.size : end] = values
        self.size = end

    def __getitem__(self, place: int) -> int:
        return int(self._array[place])

    def __setitem__(self, place: int, value: int) -> None:
        self._array[place] = value

    def view(self) -> NDArray[Any]:
        """The values that there are now; safe in any thread."""
        size = self.size  # before the array: an array is never shorter than a size seen earlier
        return self._array[:size]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        return self._array.nbytes

    def _grow(self, least: int) -> None:
        # Room beyond what came at once, too, lest the next value moves all columns of a table.
        grown = np.empty(max(least, _LEAST) * 5 // 4, self._array.dtype)
        grown[: self.size] = self._array[: self.size]
        self._array = grown
