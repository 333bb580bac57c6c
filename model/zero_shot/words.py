"""Labels in words: what each is called in prompts, and which more general words it implies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from model.evaluation.labels import LabelsError
from model.tagger.vocabulary import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PHOTO_WORDS = Path(__file__).with_name("photo_words.tsv")
"""Words for what people photograph; comes with the package."""
DEFAULT_PROMPTS = ("a photo of {}.", "This is a photo of {}.", "{}")
GENERAL = 0.95
"""Confidence over probability of a word that only stands above others: the specific comes first."""
_LONGEST = 255
_MOST_COLUMNS = 3


class Word(NamedTuple):
    """A label.

    Attributes:
        name: What is reported.
        phrases: What stands in prompts, each as good as the other.
        parents: More general words.
    """

    name: str
    phrases: tuple[str, ...]
    parents: tuple[str, ...]


def read_words(path: Path) -> list[Word]:
    """Read a file of labels, one a line: LABEL, or with tabs LABEL, PHRASES and PARENTS, each split by ``;``.

    Empty lines, and those that begin with ``#``, say nothing.

    Raises:
        LabelsError: The file cannot be read, or a line breaks a rule.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        cure = "name a text file with a label on each line"
        raise LabelsError(f"cannot read {path} ({error.strerror}): {cure}") from error
    except UnicodeDecodeError as error:
        raise LabelsError(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it so"
        ) from error
    words = [
        _word(line, f"{path} line {number}")
        for number, line in enumerate(lines, 1)
        if line.strip() and not line.startswith("#")
    ]
    if not words:
        raise LabelsError(f"{path} has no labels: write one on each line")
    seen: set[str] = set()
    for word in words:
        if word.name in seen:
            raise LabelsError(f"{path} has {word.name!r} twice: labels are unique; merge the two lines")
        seen.add(word.name)
    return words


def prompts_of(word: Word, templates: Sequence[str]) -> list[str]:
    """A label's prompts: each phrase in each template."""
    return [template.replace("{}", phrase) for phrase in word.phrases for template in templates]


def check_templates(templates: Sequence[str]) -> None:
    """Make sure that each template has a place for a label.

    Raises:
        LabelsError: One has none.
    """
    for template in templates:
        if "{}" not in template:
            raise LabelsError(f"--prompt {template!r} has no {{}}: the label's phrase stands there; add it")


def entries_of(words: Sequence[Word], thresholds: Mapping[str, float]) -> list[Entry]:
    """A tag for each label, and one for each more general word: it is as likely as its likeliest label.

    Args:
        words: In the order of the classes.
        thresholds: Of labels that have one.
    """
    own = {word.name: index for index, word in enumerate(words)}
    below: dict[str, list[int]] = {}
    for index, word in enumerate(words):
        for parent in _ancestors(word, {each.name: each.parents for each in words}):
            below.setdefault(parent, []).append(index)
    entries = [
        Entry(
            word.name,
            (own[word.name], *below.get(word.name, [])),
            GENERAL if word.name in below else 1.0,
            thresholds.get(word.name, 0.0),
        )
        for word in words
    ]
    general = [Entry(name, tuple(classes), GENERAL) for name, classes in below.items() if name not in own]
    return entries + general


def _ancestors(word: Word, parents: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Its parents, theirs, and so on; each once, and never itself."""
    found: dict[str, None] = {}
    waiting = list(word.parents)
    while waiting:
        name = waiting.pop()
        if name != word.name and name not in found:
            found[name] = None
            waiting.extend(parents.get(name, ()))
    return list(found)


def _word(line: str, where: str) -> Word:
    columns = [column.strip() for column in line.split("\t")]
    if len(columns) > _MOST_COLUMNS:
        rule = "a line is LABEL, or LABEL, PHRASES and PARENTS with tabs between"
        raise LabelsError(f"{where} has {len(columns)} columns: {rule}; correct it")
    name, phrases, parents = (*columns, "", "")[:_MOST_COLUMNS]
    for each in (name, *_split(parents)):
        if not 1 <= len(each) <= _LONGEST or not each.isprintable():
            rule = f"a label has 1 to {_LONGEST} visible characters"
            raise LabelsError(f"{where}: {each[:40]!r} is no label: {rule}; correct the line")
    return Word(name, _split(phrases) or (name,), _split(parents))


def _split(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(part.strip() for part in text.split(";") if part.strip()))
