"""Words of lines that were read: what is told of them, and what is not. Pure."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from model.tagger.vocabulary import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

MOST_WORDS = 32
"""Of an image."""
MOST_CHARACTERS = 32
"""Of a word; longer ones are left out."""
_LEAST_CHARACTERS = 2  # letters and digits: a single one is found in many a window and wheel
_LEAST_SURE = 0.7  # of a line: below it most is misread
_NOTHING = 0  # the class of no character


class Line(NamedTuple):
    """A line that was read, and how sure that is."""

    text: str
    confidence: float


def read(scores: NDArray[np.float32], characters: Sequence[str]) -> Line:
    """A line, by the scores of each character at each place; repeats of a character are one.

    Args:
        scores: Shape (places, classes), 0 to 1.
        characters: That of each class; the first stands for none.
    """
    best = scores.argmax(axis=1)
    is_new = np.concatenate([[True], best[1:] != best[:-1]]) & (best != _NOTHING)
    if not is_new.any():
        return Line("", 0.0)
    sure = float(scores.max(axis=1)[is_new].mean())
    return Line("".join(characters[place] for place in best[is_new]), sure)


def words(lines: Iterable[Line]) -> list[Tag]:
    """The words of lines that are surely read, each once, in their order; 32 of 32 characters at most."""
    found: dict[str, Tag] = {}
    for line in lines:
        if line.confidence < _LEAST_SURE:
            continue
        for part in unicodedata.normalize("NFC", line.text).split():
            word = _bare(part)
            if _is_word(word) and word not in found:
                found[word] = Tag(word, line.confidence, line.confidence)
                if len(found) == MOST_WORDS:
                    return [*found.values()]
    return [*found.values()]


def _bare(part: str) -> str:
    """A word without the punctuation around it."""
    inner = [place for place, character in enumerate(part) if character.isalnum()]
    return part[inner[0] : inner[-1] + 1] if inner else ""


def _is_word(text: str) -> bool:
    alike = sum(map(str.isalnum, text))
    return alike >= _LEAST_CHARACTERS and len(text) <= MOST_CHARACTERS and text.isprintable()
