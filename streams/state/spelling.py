"""Spellings of one name: composed or not, in upper or lower case. Images keep theirs; questions mean all."""

import threading
import unicodedata
from collections.abc import Sequence


def folded(name: str) -> str:
    """What spellings of one name have in common."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


class Spellings:
    """Names that are not spelled as they are folded, by how that is."""

    def __init__(self) -> None:
        self._odd: dict[str, dict[str, None]] = {}

    def add(self, name: str) -> None:
        """Take note of a name."""
        plain = folded(name)
        if plain != name:
            self._odd.setdefault(plain, {})[name] = None

    def remove(self, name: str) -> None:
        """Forget a name."""
        plain = folded(name)
        found = self._odd.get(plain)
        if found is not None:
            found.pop(name, None)
            if not found:
                del self._odd[plain]

    def of(self, name: str) -> tuple[str, ...]:
        """The spellings that may be known: the name itself first."""
        plain = folded(name)
        return tuple(dict.fromkeys((name, plain, *self._odd.get(plain, ()))))


class GrowingSpellings:
    """Those of a list of names that only grows; it is looked at when somebody asks. For any thread."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._seen = 0
        self._spellings = Spellings()
        self._lock = threading.Lock()

    def of(self, name: str) -> tuple[str, ...]:
        """The spellings that may be known: the name itself first."""
        with self._lock:
            end = len(self._names)
            for number in range(self._seen, end):
                self._spellings.add(self._names[number])
            self._seen = end
            return self._spellings.of(name)
