"""Making a vocabulary out of WordNet, on a few of its lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from model.convert.wordnet import Synset, ancestors, read_nouns
from model.convert.words import build_vocabulary, write_vocabulary
from model.tagger.vocabulary import read_entries

if TYPE_CHECKING:
    from pathlib import Path

LINES = """\
  1 This software and database is being provided to you, the LICENSEE, by
00001740 03 n 01 entity 0 000 | that which is perceived
00015388 03 n 02 animal 0 animate_being 0 001 @ 00001740 n 0000 | a living organism
01861778 05 n 02 mammal 0 mammalian 0 001 @ 00015388 n 0000 | any warm-blooded vertebrate
01873850 05 n 01 metatherian 0 001 @ 01861778 n 0000 | primitive pouched mammals
01874434 05 n 02 marsupial 0 pouched_mammal 0 001 @ 01873850 n 0000 | mammals whose females have a pouch
01877812 05 n 02 wallaby 0 brush_kangaroo 0 001 @ 01874434 n 0000 | any of various small kangaroos
01882714 05 n 03 koala 0 koala_bear 0 kangaroo_bear 0 001 @ 01874434 n 0000 | sluggish tailless marsupial
02124075 05 n 01 Egyptian_cat 0 001 @ 01861778 n 0000 | a domestic cat of Egypt
01440764 05 n 02 tench 0 Tinca_tinca 0 001 @ 00015388 n 0000 | freshwater dace-like fish
04389033 06 n 01 tank 0 001 @ 00001740 n 0000 | an enclosed armored military vehicle
"""
COUNTS = "animal%1:03:00:: 1 87\nmammal%1:05:00:: 1 3\nentity%1:03:00:: 1 11\n"
WNIDS = ["n01877812", "n01882714", "n02124075", "n01440764", "n04389033"]
NAMES = ["wallaby", "koala", "Egyptian Mau", "tench", "tank"]


@pytest.fixture
def nouns(tmp_path: Path) -> dict[str, Synset]:
    (tmp_path / "data.noun").write_text(LINES, encoding="ascii")
    (tmp_path / "cntlist.rev").write_text(COUNTS, encoding="ascii")
    return read_nouns(tmp_path)


def test_reading(nouns: dict[str, Synset]) -> None:
    """Words, parents and counts are read; the licence at the top is not taken for a noun."""
    assert len(nouns) == 10
    assert nouns["n00015388"] == Synset(("animal", "animate being"), ("n00001740",), 87)
    path = {"n01874434", "n01873850", "n01861778", "n00015388", "n00001740"}
    assert ancestors(nouns, "n01882714") == path


def test_general_words(nouns: dict[str, Synset]) -> None:
    """Of words for the same classes one is kept; stop words, and words for everything, are left out."""
    entries = {entry.name: entry for entry in build_vocabulary(nouns, WNIDS, NAMES)}
    assert set(entries) == {
        "wallaby",
        "koala",
        "egyptian mau",
        "tench",
        "tank",
        "marsupial",
        "mammal",
        "animal",
    }
    assert entries["marsupial"].classes == (0, 1)
    assert entries["animal"].classes == (0, 1, 2, 3)
    factors = [entries[name].discount for name in ("koala", "marsupial", "mammal", "animal")]
    assert factors == sorted(factors, reverse=True)
    assert factors[0] == 1.0


def test_classes_of_one_name_are_one_tag(nouns: dict[str, Synset]) -> None:
    """Two classes with the same name share a tag; so do a class and a general word."""
    names = ["wallaby", "wallaby", "Mammal", "tench", "tank"]
    entries = {entry.name: entry for entry in build_vocabulary(nouns, WNIDS, names)}
    assert entries["wallaby"].classes == (0, 1)
    assert entries["mammal"].classes == (0, 1, 2)


def test_a_vocabulary_survives_its_file(nouns: dict[str, Synset], tmp_path: Path) -> None:
    """What is written is what the tagger reads."""
    entries = build_vocabulary(nouns, WNIDS, NAMES)
    write_vocabulary(entries, tmp_path / "vocabulary.json")
    assert read_entries(tmp_path / "vocabulary.json", NAMES) == entries
