"""Names of tags in other languages: what is known, what stands in, and how the file was made."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest

from model import CombinedTagger, Tagger
from model.convert.names import face_marks, keyword_like, small_initials
from model.objects.objects import ObjectTagger
from model.scenes.scenes import SceneTagger
from model.tagger.languages import GENERAL, NAMES, TagNames
from schemas.results import ReportedTag, ScoredTag
from streams.fold.outputs import reported_tag, split_languages


@pytest.fixture(scope="module")
def names() -> TagNames:
    return TagNames.load()


@pytest.mark.parametrize(
    ("tag", "language", "name"),
    [
        ("koala", "de", "Koala"),
        ("dog", "fr", "chien"),
        ("lighthouse", "es", "faro"),
        ("animal", "de", "Tier"),
        ("insect", "pt", "inseto"),
        ("church", "zh", "教堂"),
        ("dog", "DE-at", "Hund"),
        ("dog", "pt_BR", "cachorro"),
        ("dog", "nb", "hund"),
        ("dog", "zh-TW", "狗"),
        ("ungulate", "en-GB", "ungulate"),
        ("ungulate", "de", "Huftier"),
        ("mammal", "de", "Säugetier"),
        ("marsupial", "fr", "marsupial"),
        ("sky", "fr", "ciel"),
        ("ungulate", "es", None),
        ("my own tag", "de", None),
        ("dog", "tlh", None),
        ("dog", "", None),
    ],
)
def test_names(names: TagNames, tag: str, language: str, name: str | None) -> None:
    """A variety of a language is understood as that language; English is the tag itself."""
    assert names.name(tag, language) == name


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("Hund", "dog"),
        ("chien", "dog"),
        ("SÄUGETIER", "mammal"),
        ("mammifère", "mammal"),
        ("狗", "dog"),
        ("Tier", "animal"),  # a tiger in Afrikaans: languages that were read through come first
        ("dog", None),
        ("boot", None),  # a boat in Dutch
        ("nothing of that kind", None),
    ],
)
def test_what_a_name_means(names: TagNames, name: str, tag: str | None) -> None:
    """The tag that goes by it in some language; no other for a tag itself."""
    assert names.meaning(name) == tag


def test_no_tag_means_another(names: TagNames) -> None:
    """Whatever the default taggers give is searched for as it is."""
    given = {*CombinedTagger.load().tag_names, *SceneTagger.load().tag_names}
    assert {tag: names.meaning(tag) for tag in given if names.meaning(tag)} == {}


def test_every_general_word_has_its_german_and_french_name(names: TagNames) -> None:
    """Words above classes, scenes and colours; no two tags go by one name in either language."""
    general = {entry.name for entry in Tagger.load().vocabulary.entries if len(entry.classes) > 1}
    general |= {*CombinedTagger.load().tag_names, *SceneTagger.load().tag_names} - {*Tagger.load().tag_names}
    assert {tag for tag in general if not names.name(tag, "de") or not names.name(tag, "fr")} == set()
    with GENERAL.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert {row["tag"] for row in rows} <= general
    assert len({row["tag"] for row in rows}) == len(rows)
    for language in ("de", "fr"):
        shared = Counter(row[language].casefold() for row in rows)
        assert [name for name, times in shared.items() if times > 1] == []


def test_tags_whose_names_begin_so(names: TagNames) -> None:
    """In any language, whatever the case."""
    assert names.beginning("säug") == ["mammal"]
    assert {"marsupial"} <= set(names.beginning("Beutel"))


def test_face_of_a_lion(names: TagNames) -> None:
    """Where a language only has a word for the emoji's face, the animal has no name."""
    assert names.name("lion", "de") == "Löwe"
    assert names.name("lion", "fr") is None
    assert names.name("lion", "ja") is None


def test_the_file_is_whole() -> None:
    """Every row has a name for each language or none; every tag is one that a tagger gives."""
    file = json.loads(NAMES.read_text(encoding="utf-8"))
    given = {*Tagger.load().tag_names, *SceneTagger.load().tag_names, *ObjectTagger.load().tag_names}
    assert len(file["languages"]) == len(set(file["languages"])) >= 90
    assert file["names"].keys() <= given
    for row in file["names"].values():
        assert len(row) == len(file["languages"])
        assert all(name == name.strip() and len(name) <= 40 for name in row)
    assert NAMES.stat().st_size < 500_000


def test_asked_languages() -> None:
    """Text with commas and lists are the same; each language once; unknown ones are told apart."""
    assert split_languages(None) == ([], [])
    assert split_languages(" de, en,,de ,tlh") == (["de", "en"], ["tlh"])
    assert split_languages(["fr", "x-klingon"]) == (["fr"], ["x-klingon"])


def test_what_is_missing_stays_english_and_is_marked() -> None:
    """A tag without a name in a language has its English one there, and the language is listed."""
    assert reported_tag(ScoredTag("koala", 0.9), None, []) == ReportedTag("koala", 0.9)
    assert reported_tag(ScoredTag("koala", 0.9), 0.95, ["de", "en"]) == ReportedTag(
        "koala", 0.9, 0.95, {"de": "Koala", "en": "koala"}
    )
    assert reported_tag(ScoredTag("ungulate", 0.5), None, ["es", "en"]) == ReportedTag(
        "ungulate", 0.5, None, {"es": "ungulate", "en": "ungulate"}, ["es"]
    )


def emoji(**entries: str) -> dict[str, tuple[str, set[str]]]:
    """Short names and keywords, written as name: keyword keyword."""
    split = {key: text.partition(": ") for key, text in entries.items()}
    return {key: (name, set(words.split())) for key, (name, _, words) in split.items()}


def test_keywords_that_mark_the_same_things() -> None:
    """A general word is the keyword that stands at the same things; without agreement there is none."""
    english = emoji(**{f"f{n}": f"fruit {n}: fruit red" for n in range(9)}, a="ant: insect", b="bee: insect")
    german = emoji(**{f"f{n}": f"Frucht {n}: Obst rot" for n in range(9)}, a="Ameise: rot", b="Biene: rot")
    assert keyword_like("fruit", english, german) == "Obst"
    assert keyword_like("insect", english, german) == ""
    assert keyword_like("fruit", english, {key: ("x", {key}) for key in german}) == ""


def test_faces_and_initials() -> None:
    """What the names of faces share is found at either end; German keeps its capitals."""
    assert face_marks(["tête de chien", "tête de singe", "tête de vache"]) == ("tête de ", "")
    assert face_marks(["犬の顔", "猫の顔", "牛の顔"]) == ("", "の顔")
    assert face_marks(["dog", "cat", "cow"]) == ("", "")
    assert small_initials(emoji(a="chien: x", b="chat: x"))
    assert not small_initials(emoji(a="Hund: x", b="Katze: x"))


def test_nothing_is_read_before_it_is_asked_for() -> None:
    """Importing the module reads no file: uploads without a language cost nothing."""
    assert Path(NAMES).exists()
    TagNames.load.cache_clear()
    assert split_languages(None) == ([], [])
    assert TagNames.load.cache_info().currsize == 0
