"""Numbers in place of names, so that arrays can hold them."""

from collections.abc import Hashable, Iterable, Sequence
from itertools import count, repeat
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_SHORT = 2**16  # numpy sorts numbers of 16 bits ten times faster than longer ones
Name = TypeVar("Name", bound=Hashable)


class Numbering(Generic[Name]):
    """Numbers for names, in the order in which they come; a name keeps its number."""

    def __init__(self, names: Iterable[Name] = ()) -> None:
        self.names = list(names)
        self.ids = {name: number for number, name in enumerate(self.names)}

    def number(self, name: Name) -> int:
        """A name's number, a new one if need be."""
        number = self.ids.get(name)
        if number is None:
            number = self.ids[name] = len(self.names)
            self.names.append(name)
        return number

    def numbers(self, names: Sequence[Name]) -> NDArray[np.int32]:
        """The numbers of many names, new ones if need be."""
        numbers = np.fromiter(map(self.ids.get, names, repeat(-1)), np.int32, len(names))
        places = np.flatnonzero(numbers < 0)
        if len(places):
            missing = [names[place] for place in places.tolist()]
            fresh = [*dict.fromkeys(missing)]
            self.ids.update(zip(fresh, count(len(self.names))))
            self.names += fresh
            numbers[places] = [*map(self.ids.__getitem__, missing)]
        return numbers


class Names(Numbering[str]):
    """Numbers for names that are texts."""


def order_of(numbers: NDArray[np.int32], bound: int) -> NDArray[np.intp]:
    """The stable order of numbers from 0 up to a bound."""
    return np.argsort(numbers.astype(np.uint16) if bound <= _SHORT else numbers, kind="stable")
