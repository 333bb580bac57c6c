"""Numbers in place of names, so that arrays can hold them."""

from collections.abc import Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray


class Names:
    """Numbers for names, in the order in which they come; a name keeps its number."""

    def __init__(self, names: Sequence[str] = ()) -> None:
        self.names = list(names)
        self.ids = {name: number for number, name in enumerate(self.names)}

    def number(self, name: str) -> int:
        """Give a name's number, a new one if need be."""
        number = self.ids.get(name)
        if number is None:
            number = self.ids[name] = len(self.names)
            self.names.append(name)
        return number

    def numbers(self, names: Sequence[str]) -> NDArray[np.int32]:
        """Give the numbers of many names, new ones if need be."""
        numbers = np.fromiter(map(self.ids.get, names, repeat(-1)), np.int32, len(names))
        for place in np.flatnonzero(numbers < 0).tolist():
            numbers[place] = self.number(names[place])
        return numbers
