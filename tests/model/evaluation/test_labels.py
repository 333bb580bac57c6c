"""The labels of docs/evaluation.md fit the shipped vocabulary and their list of sources."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from model import Tagger
from model.evaluation.labels import indexes_of, read_rows

HERE = Path(__file__).parent


def sources(name: str) -> set[str]:
    with (HERE / "sources.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"] for row in csv.DictReader(file) if row["set"] == name}


@pytest.mark.parametrize("name", ["tune", "eval"])
def test_labels_are_in_the_vocabulary_and_have_a_source(name: str) -> None:
    """Each tag is one that the models give, and the package of each photo is on record."""
    rows = read_rows(HERE / f"{name}.csv")
    names = Tagger.load().tag_names
    assert indexes_of((tag for tags in rows.values() for tag in tags), names, ignore_unknown=False)
    assert rows.keys() == sources(name)


def test_the_sets_share_no_photo() -> None:
    """What was fitted on is not judged by."""
    assert not sources("tune") & sources("eval")
