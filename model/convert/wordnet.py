"""Read the nouns of WordNet 3.0, whose offsets are ImageNet's class ids (``n02084071`` is offset 02084071).

The format of ``data.noun`` is documented in wndb(5WN), that of sense keys in senseidx(5WN).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class Synset:
    """A meaning: its words, the first one the most usual, and the more general meanings above it.

    ``count`` is how often its words were seen with this meaning in WordNet's tagged texts.
    """

    words: tuple[str, ...]
    parents: tuple[str, ...]
    count: int


def read_nouns(folder: Path) -> dict[str, Synset]:
    """Read ``data.noun`` and ``cntlist.rev`` into synsets by ImageNet id."""
    counts = _read_counts(folder / "cntlist.rev")
    lines = (folder / "data.noun").read_text(encoding="ascii").splitlines()
    return dict(_parse(line, counts) for line in lines if not line.startswith(" "))


def ancestors(nouns: dict[str, Synset], wnid: str) -> set[str]:
    """Collect everything above a synset, along every path."""
    found: set[str] = set()
    waiting = list(nouns[wnid].parents)
    while waiting:
        current = waiting.pop()
        if current not in found:
            found.add(current)
            waiting.extend(nouns[current].parents)
    return found


def _read_counts(path: Path) -> dict[str, int]:
    rows = (line.split() for line in path.read_text(encoding="ascii").splitlines())
    return {key: int(count) for key, _sense, count in rows}


def _parse(line: str, counts: dict[str, int]) -> tuple[str, Synset]:
    fields = iter(line.partition("|")[0].split())
    offset, file_number, _kind = next(fields), next(fields), next(fields)
    pairs = [(next(fields), next(fields)) for _ in range(int(next(fields), 16))]
    total = sum(counts.get(_sense_key(word, file_number, lex_id), 0) for word, lex_id in pairs)
    parents = tuple(f"n{target}" for symbol, target in _pointers(fields) if symbol in {"@", "@i"})
    return f"n{offset}", Synset(tuple(word.replace("_", " ") for word, _ in pairs), parents, total)


def _sense_key(word: str, file_number: str, lex_id: str) -> str:
    return f"{word.lower()}%1:{file_number}:{int(lex_id, 16):02d}::"


def _pointers(fields: Iterator[str]) -> Iterator[tuple[str, str]]:
    for _ in range(int(next(fields))):
        symbol, target, _kind, _words = next(fields), next(fields), next(fields), next(fields)
        yield symbol, target
