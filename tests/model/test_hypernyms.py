"""The laws of general tags: sums, discounts, order and names."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import DEFAULT_ARTIFACT
from model.convert.words import discount_factors, read_choices
from model.tagger.manifest import read_labels
from model.tagger.vocabulary import Entry, Vocabulary, read_entries

CLASSES = 12
SETS = st.frozensets(st.integers(0, CLASSES - 1), min_size=1)
ROWS = st.lists(st.floats(0, 1, width=32), min_size=CLASSES, max_size=CLASSES)


@pytest.fixture(scope="module")
def entries() -> dict[str, Entry]:
    labels = read_labels(DEFAULT_ARTIFACT / "labels.txt")
    return {entry.name: entry for entry in read_entries(DEFAULT_ARTIFACT / "vocabulary.json", labels)}


def shares(weights: list[float]) -> np.ndarray:
    """Scale to a row of probabilities that sum to 1."""
    row = np.array([weights], np.float32) + np.float32(1e-6)
    return row / row.sum()


@given(st.lists(SETS, min_size=2, max_size=8), st.lists(SETS, max_size=4))
def test_a_wider_word_is_never_discounted_less(
    words: list[frozenset[int]], basics: list[frozenset[int]]
) -> None:
    """Whatever the words and the basic level, a word for part of another's classes has no smaller factor."""
    factors = discount_factors({str(number): word for number, word in enumerate(words)}, basics)
    assert all(0 < factor < 1 for factor in factors.values())
    for number, word in enumerate(words):
        for other, wider in enumerate(words):
            if word <= wider:
                assert factors[str(number)] >= factors[str(other)] - 1e-12


def test_shipped_discounts_obey_the_law(entries: dict[str, Entry]) -> None:
    """In the shipped vocabulary no tag's factor exceeds that of a tag for part of its classes."""
    general = sorted(
        (entry for entry in entries.values() if len(entry.classes) > 1), key=lambda e: len(e.classes)
    )
    sets = [(frozenset(entry.classes), entry.discount) for entry in general]
    for number, (classes, discount) in enumerate(sets):
        assert all(discount >= wider for other, wider in sets[number + 1 :] if classes < other)


@given(ROWS, SETS)
def test_a_general_tag_is_as_likely_as_its_classes_together(
    weights: list[float], members: frozenset[int]
) -> None:
    """The probability of a general tag is the sum over its classes, those below the floor left out."""
    probabilities = shares(weights)
    general = Entry("general", tuple(sorted(members)), 0.5)
    vocabulary = Vocabulary([general], CLASSES, sums=True, leaf_floor=0.01, floor=0.0)
    expected = sum(p for index, p in enumerate(probabilities[0].tolist()) if index in members and p >= 0.01)
    found = vocabulary.tags(probabilities)[0]
    assert (found[0].probability if found else 0.0) == pytest.approx(min(expected, 1.0), abs=1e-5)
    assert all(tag.confidence == pytest.approx(tag.probability * 0.5) for tag in found)


@given(ROWS, SETS, SETS)
def test_a_wider_tag_is_never_less_likely(
    weights: list[float], one: frozenset[int], other: frozenset[int]
) -> None:
    """Before the discount, a tag for more classes is at least as likely, for sums and for maxima."""
    narrow, wide = Entry("narrow", tuple(one)), Entry("wide", tuple(one | other))
    for sums in (True, False):
        vocabulary = Vocabulary([narrow, wide], CLASSES, sums=sums, leaf_floor=0.0, floor=0.0)
        found = {tag.name: tag.probability for tag in vocabulary.tags(shares(weights))[0]}
        assert found.get("wide", 0.0) >= found.get("narrow", 0.0) - 1e-6


@given(st.lists(ROWS, min_size=1, max_size=4))
def test_best_first(rows: list[list[float]]) -> None:
    """Tags come by falling confidence, between the floor and 1, one list for each image."""
    entries = [Entry(f"class {i}", (i,)) for i in range(CLASSES)]
    entries += [Entry(f"first {n}", tuple(range(n)), 1 / n) for n in range(2, CLASSES)]
    vocabulary = Vocabulary(entries, CLASSES, sums=True, leaf_floor=0.01, floor=0.02)
    found = vocabulary.tags(np.concatenate([shares(row) for row in rows]))
    assert len(found) == len(rows)
    for tags in found:
        assert all(0.02 <= tag.confidence <= 1 for tag in tags)
        assert all(first.confidence >= second.confidence for first, second in pairwise(tags))


def test_the_more_specific_of_equals_comes_first() -> None:
    """Of two tags with the same confidence the one for fewer classes comes first."""
    entries = [Entry("pair", (0, 1)), Entry("single", (0,))]
    vocabulary = Vocabulary(entries, 2, sums=True, leaf_floor=0.01, floor=0.01)
    tags = vocabulary.tags(np.array([[1.0, 0.0]], np.float32))[0]
    assert [tag.name for tag in tags] == ["single", "pair"]


def test_a_tail_of_tiny_chances_is_no_tag() -> None:
    """A thousand chances below the floor do not add up to a tag."""
    everything = Entry("everything", tuple(range(1000)))
    vocabulary = Vocabulary([everything], 1000, sums=True, leaf_floor=0.01, floor=0.01)
    assert vocabulary.tags(np.full((1, 1000), 0.001, np.float32)) == [[]]


def test_names(entries: dict[str, Entry]) -> None:
    """Every class has a tag; names are lower case, unique, short, and never two words for one thing."""
    assert {index for entry in entries.values() for index in entry.classes} == set(range(1000))
    for name in entries:
        assert name == name.lower().strip()
        assert len(name) <= 40
        assert not re.search(r"[/,]| or ", name)


def test_homonyms_stay_apart(entries: dict[str, Entry]) -> None:
    """The crane that flies and the crane that lifts are two tags; so are the kite and the food dish."""
    assert entries["crane (bird)"].classes == (134,)
    assert entries["construction crane"].classes == (517,)
    assert "crane" not in entries
    assert 134 in entries["bird"].classes
    assert 517 not in entries["bird"].classes
    assert entries["kite (bird of prey)"].classes == (21,)


def test_nothing_useless(entries: dict[str, Entry]) -> None:
    """Words that say nothing about a photo are no tags."""
    useless = {
        "entity",
        "object",
        "whole",
        "matter",
        "artifact",
        "unit",
        "instrumentality",
        "natural elevation",
    }
    assert not useless & entries.keys()
    assert max(len(entry.classes) for entry in entries.values()) < 500


def test_photos_overrule_wordnet(entries: dict[str, Entry]) -> None:
    """Where WordNet and photos of a class disagree, photos win: a car is no container, a cup no alcohol."""
    assert 817 in entries["car"].classes
    assert 817 not in entries["container"].classes
    assert 968 in entries["crockery"].classes
    assert 968 not in entries["food"].classes


def test_a_path_falls_from_koala_to_animal(entries: dict[str, Entry]) -> None:
    """From koala to animal each tag stands for more classes and has a smaller factor."""
    path = [entries[name] for name in ("koala", "marsupial", "mammal", "animal")]
    assert all(set(below.classes) < set(above.classes) for below, above in pairwise(path))
    assert all(below.discount > above.discount for below, above in pairwise(path))


def test_choices_are_used(entries: dict[str, Entry]) -> None:
    """Names that are chosen by hand for classes appear in the shipped vocabulary."""
    assert set(read_choices().classes.values()) <= entries.keys()


@given(ROWS, st.floats(0, 1, width=32))
def test_decreasing_parents_less_raises_only_them(weights: list[float], strength: float) -> None:
    """A weaker discount raises no confidence above the probability, and lowers none."""
    entries = [Entry("pair", (0, 1), 0.5), Entry("single", (0,))]

    def found(decrease_parents: float) -> dict[str, tuple[float, float]]:
        vocabulary = Vocabulary(
            entries, CLASSES, sums=True, leaf_floor=0.0, floor=0.0, decrease_parents=decrease_parents
        )
        return {tag.name: (tag.confidence, tag.probability) for tag in vocabulary.tags(shares(weights))[0]}

    full, some, none = found(1.0), found(strength), found(0.0)
    for name in full:
        assert full[name][0] <= some[name][0] + 1e-6 <= none[name][0] + 2e-6
        assert none[name][0] == pytest.approx(full[name][1], abs=1e-6)
        assert full[name][1] == some[name][1]


def test_a_tag_with_a_threshold_of_its_own() -> None:
    """A tag is not reported where its probability is less than its own threshold; others are."""
    entries = [Entry("doubtful", (0,), threshold=0.6), Entry("plain", (0,), 0.9)]
    vocabulary = Vocabulary(entries, 2, sums=True, leaf_floor=0.0, floor=0.01)
    rows = np.array([[0.5, 0.5], [0.7, 0.3]], np.float32)
    assert [[tag.name for tag in tags] for tags in vocabulary.tags(rows)] == [
        ["plain"],
        ["doubtful", "plain"],
    ]


def test_no_tag_repeats_another(entries: dict[str, Entry]) -> None:
    """Two tags for the same classes are an everyday word and the exact one, never two general words."""
    same: dict[tuple[int, ...], list[Entry]] = {}
    for entry in entries.values():
        same.setdefault(entry.classes, []).append(entry)
    for group in same.values():
        assert len(group) <= 2
        assert sum(entry.discount == 1.0 for entry in group) <= 1 or len(group) == 1
