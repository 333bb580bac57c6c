"""The labels of everyday photos are whole: benchmarks/everyday.py and docs/evaluation.md rest on them."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from benchmarks.everyday import JUDGED, OBJECTS, PHOTOS
from model import CombinedTagger

ROOT = Path(__file__).parents[3]


def rows() -> list[dict[str, str]]:
    with PHOTOS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_photo_is_labelled_once_and_by_known_tags() -> None:
    """What is there or unsure is judged, what is wrong is not; a vehicle's kind is a vehicle."""
    assert len({row["sha256"] for row in rows()}) == len(rows())
    known = set(CombinedTagger.load().tag_names)
    for row in rows():
        there, unsure = set(row["there"].split()), set(row["unsure"].split())
        wrong = set(filter(None, row["wrong"].split("; ")))
        assert there | unsure <= set(JUDGED)
        assert not there & unsure
        assert wrong <= known - set(JUDGED), row
        assert re.fullmatch(r"[0-9a-f]{64}", row["sha256"])
        assert "vehicle" in there or not there & set(OBJECTS[2:])
        assert "person" in there or "people" not in there


def test_there_are_as_many_as_the_page_says() -> None:
    """With and without persons; every package is named with its version."""
    persons = sum("person" in row["there"].split() for row in rows())
    page = (ROOT / "docs" / "evaluation.md").read_text("utf-8")
    assert f"{len(rows())} photos" in page
    assert f"{persons} of them with persons" in page
    assert all(f"`{row['package']}`" in page for row in rows())
