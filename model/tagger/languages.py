"""Names of tags in other languages; English is what is counted and what everything falls back to.

``tag_names.json`` is built by ``model.convert.names``; ``general_names.tsv`` has what that finds no source
for, in German and French. Both are read when somebody first asks for a language.
"""

from __future__ import annotations

import csv
import functools
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

NAMES = Path(__file__).with_name("tag_names.json")
GENERAL = Path(__file__).with_name("general_names.tsv")
ENGLISH = "en"
_READ_THROUGH = ("de", "fr", "es", "it", "nl", "pt")  # by people: in doubt a name is one of these languages
_ENGLISH_TOO = frozenset({"basket", "boot", "fly", "flute", "kayak", "moped", "papillon", "rifle"})
"""Tags without names in other languages, which are names of other things there."""
_SAME = {
    "nb": "no",
    "zh-cn": "zh",
    "zh-sg": "zh",
    "zh-tw": "zh-hant",
    "zh-hk": "zh-hant",
    "zh-mo": "zh-hant",
}


class NamesFile(msgspec.Struct, frozen=True):
    """What ``tag_names.json`` holds: for each tag its name in each language, empty where it has none."""

    source: str
    languages: list[str]
    names: dict[str, list[str]]


class TagNames:
    """Looks names up."""

    def __init__(self, file: NamesFile) -> None:
        self.languages = (ENGLISH, *file.languages)
        self._columns = {language.lower(): column for column, language in enumerate(file.languages)}
        self._names = file.names

    @classmethod
    @functools.cache
    def load(cls) -> TagNames:
        """Read the files that come with the package; once per process."""
        file = msgspec.json.decode(NAMES.read_bytes(), type=NamesFile)
        for tag, language, name in _general():
            row = file.names.setdefault(tag, [""] * len(file.languages))
            column = file.languages.index(language)
            row[column] = row[column] or name
        return cls(file)

    def knows(self, language: str) -> bool:
        """Whether there are names in a language; `de-AT` is known where `de` is."""
        return self._column(language) is not None

    def name(self, tag: str, language: str) -> str | None:
        """A tag's name, or None where it has none in that language or the language is unknown."""
        column = self._column(language)
        if column is None or column < 0:
            return tag if column is not None else None
        row = self._names.get(tag)
        return (row[column] or None) if row else None

    def meaning(self, name: str) -> str | None:
        """The tag that goes by a name in some language, whatever its case.

        None for a tag itself: English comes first, and what nobody knows stays as it is.
        """
        lowered = name.strip().casefold()
        if lowered in self._names or lowered in _ENGLISH_TOO:
            return None
        return self._meanings.get(lowered)

    def meant(self, names: Iterable[str], is_tag: Callable[[str], bool]) -> tuple[str, ...]:
        """Tags by what somebody calls them, each once: that of the name, else that of its meaning."""
        return tuple(dict.fromkeys(name if is_tag(name) else self.meaning(name) or name for name in names))

    def beginning(self, prefix: str) -> list[str]:
        """The tags that go by a name that begins so in some language, sorted."""
        lowered = prefix.casefold()
        return sorted({tag for name, tag in self._meanings.items() if name.startswith(lowered)})

    @functools.cached_property
    def _meanings(self) -> dict[str, str]:
        """By name, in lower case, the tag that most languages mean by it. Takes some milliseconds."""
        votes: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for tag, row in self._names.items():
            for name in filter(None, row):
                votes[name.casefold()][tag] += 1
        found = {name: max(sorted(tags), key=tags.__getitem__) for name, tags in votes.items()}
        for language in reversed(_READ_THROUGH):
            column = self._columns[language]
            found |= {row[column].casefold(): tag for tag, row in self._names.items() if row[column]}
        return found

    def _column(self, language: str) -> int | None:
        """The column of a language or of what it is a variety of; -1 for English."""
        code = language.strip().replace("_", "-").lower()
        while code:
            code = _SAME.get(code, code)
            if code == ENGLISH:
                return -1
            if code in self._columns:
                return self._columns[code]
            code = code.rpartition("-")[0]
        return None


def _general() -> Iterator[tuple[str, str, str]]:
    """Tag, language and name of each entry."""
    with GENERAL.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            tag = row.pop("tag")
            yield from ((tag, language, name) for language, name in row.items())
