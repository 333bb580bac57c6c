"""Names of tags in other languages; English is what is counted and what everything falls back to.

``tag_names.json`` is built by ``model.convert.names``. It is read when somebody first asks for a language.
"""

from __future__ import annotations

import functools
from pathlib import Path

import msgspec

NAMES = Path(__file__).with_name("tag_names.json")
ENGLISH = "en"
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
        """Read the file that comes with the package; once per process."""
        return cls(msgspec.json.decode(NAMES.read_bytes(), type=NamesFile))

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
