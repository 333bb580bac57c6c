"""What becomes of an image of which one add-on could not say anything."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson
import pytest
from support.fakes import NAMES, RULES, record, tagged_by, upload

from schemas.results import ModelInfo
from schemas.topics import TABLES
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done, Output, Tagged
from streams.fold.retagging import second_look

SAID = {"imagga_tagging": {"koala": 0.9, "tree": 0.4}, "scene_tagging": {"outdoor": 0.8, "tree": 0.7}}
ALONE = {"imagga_tagging": {"panda": 0.95}}
FAILED = {"scene_tagging": "RuntimeError: out of memory"}
Tables = dict[str, dict[str, bytes]]


def tagged(
    event_id: str, at: int, said: dict[str, dict[str, float]], failed: dict[str, str], version: str = "1"
) -> Tagged:
    event = msgspec.structs.replace(upload("img", event_id, at=at), add_ons=(*said, *failed))
    return tagged_by(event, said, {name: ModelInfo(name, version) for name in event.add_ons}, failed)


class Images:
    """An image's row, folded."""

    def __init__(self) -> None:
        self.tables: Tables = {table: {} for table in TABLES}

    def fold(self, offset: int, outcome: Tagged) -> list[Output]:
        changes = Changes(self.tables)
        fold(changes, Done(record(offset), outcome), RULES)
        self.tables["images"]["img"] = {
            key: value for table, key, value in changes.encoded() if table == "images" and value is not None
        }["img"]
        return changes.outputs

    @property
    def row(self) -> Any:  # noqa: ANN401 - a row
        return orjson.loads(self.tables["images"]["img"])


@pytest.fixture
def images() -> Images:
    return Images()


def result(outputs: list[Output]) -> Any:  # noqa: ANN401 - JSON
    (found,) = [orjson.loads(out.value or b"") for out in outputs if out.topic == NAMES.categorizations]
    return found


def test_the_result_says_who_failed_and_why(images: Images) -> None:
    """The other add-on's tags are reported, assigned and counted as ever; each names its model."""
    found = result(images.fold(0, tagged("e1", 1_000, ALONE, FAILED)))
    assert found["info"]["categorization"] == {
        "imagga_tagging": {
            "status": "complete",
            "data": [{"tag": "panda", "confidence": 0.95}],
            "model": {"name": "imagga_tagging", "version": "1"},
        },
        "scene_tagging": {
            "status": "failed",
            "data": [],
            "model": {"name": "scene_tagging", "version": "1"},
            "error": "RuntimeError: out of memory",
        },
    }
    assert found["tags"] == ["panda"]
    assert images.row["failed"] == FAILED
    assert "scene_tagging" not in images.row["scores"]


def test_what_a_failed_add_on_said_before_holds(images: Images) -> None:
    """A model that is out of memory takes no tag from an image, and keeps the model that gave it."""
    images.fold(0, tagged("e1", 1_000, SAID, {}))
    assert images.row["tags"] == ["koala", "outdoor", "tree"]
    outputs = images.fold(1, tagged("e2", 2_000, ALONE, FAILED, version="2"))
    assert images.row["tags"] == ["panda", "outdoor", "tree"]
    assert images.row["by"] == [["imagga_tagging"], ["scene_tagging"], ["scene_tagging"]]
    assert images.row["scores"]["scene_tagging"] == [["outdoor", 0.8], ["tree", 0.7]]
    assert images.row["model"] == ["imagga_tagging", "2"]
    assert images.row["models"] == {"scene_tagging": ["scene_tagging", "1"]}
    assert result(outputs)["tags"] == ["panda", "outdoor", "tree"]
    images.fold(2, tagged("e3", 3_000, {"scene_tagging": {"night": 0.9}, **ALONE}, {}))
    assert images.row["tags"] == ["panda", "night"]
    assert "failed" not in images.row


def test_a_retag_looks_again_where_one_failed(images: Images) -> None:
    """Also where the models are the same as before: this is how a failure is made good."""
    offered = {name: ModelInfo(name, "1") for name in SAID}
    images.fold(0, tagged("e1", 1_000, SAID, {}))
    assert second_look(images.row, offered, ("imagga_tagging",)) is None
    images.fold(1, tagged("e2", 2_000, ALONE, FAILED))
    look = second_look(images.row, offered, ("imagga_tagging",))
    assert look is not None
    assert set(look.add_ons) == set(SAID)
