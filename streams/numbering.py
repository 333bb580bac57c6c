"""Numbers in place of names, so that arrays can hold them."""

from collections.abc import Sequence


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
