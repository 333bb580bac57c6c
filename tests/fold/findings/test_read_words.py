"""The words that stand in an image, in its row and in the result."""

import dataclasses

import msgspec
import orjson
from support.fakes import NAMES, record, tagged_by, upload

from schemas.results import ModelInfo, ReadWord
from schemas.uploads import UploadType
from streams.fold.images import deleted_row, rederived_row, retagged_row, stored_row, uploaded_row
from streams.fold.outcomes import Rederived, Tagged
from streams.fold.outputs import categorization_output
from streams.fold.rules.applying import Rules

MODELS = {name: ModelInfo(name, "1") for name in ("imagga_tagging", "text_tagging")}
SALE = [ReadWord("SALE", 0.9876)]


def looked(words: list[ReadWord] | None) -> Tagged:
    """An image that was looked at; without words the add-on that reads has failed."""
    event = msgspec.structs.replace(upload(auto_tagging=0.5), add_ons=tuple(MODELS))
    said = {"imagga_tagging": {"koala": 0.9}} | ({} if words is None else {"text_tagging": {}})
    failed = {"text_tagging": "RuntimeError"} if words is None else {}
    found = tagged_by(event, said, MODELS, failed)
    return found if words is None else dataclasses.replace(found, words={"text_tagging": words})


ROW = uploaded_row(None, looked(SALE), 0)


def test_they_are_beside_the_tags() -> None:
    """Of the add-on's own entry; where it found none, that is told, and the row has no such field."""
    assert (ROW["words"], ROW["tags"]) == ({"text_tagging": [["SALE", 0.9876]]}, ["koala"])
    told = orjson.loads(categorization_output(looked(SALE), ROW, record({}), NAMES).value or b"")
    entry = told["info"]["categorization"]["text_tagging"]
    assert (entry["status"], entry["data"]) == ("complete", [])
    assert entry["words"] == [{"word": "SALE", "confidence": 0.9876}]
    assert "words" not in told["info"]["categorization"]["imagga_tagging"]
    row = uploaded_row(ROW, looked([]), 1)
    assert "words" not in row
    told = orjson.loads(categorization_output(looked([]), row, record({}), NAMES).value or b"")
    assert told["info"]["categorization"]["text_tagging"]["words"] == []


def test_they_are_those_of_the_present_bytes() -> None:
    """Rules have no say; what was read last holds where reading fails; new bytes and deletions end them."""
    assert rederived_row(ROW, Rederived(upload(), Rules()), 1)["words"] == ROW["words"]
    assert retagged_row(ROW, looked(None), 1)["words"] == ROW["words"]
    assert "words" not in retagged_row(ROW, looked([]), 1)
    update = upload(kind=UploadType.UPDATED)
    assert stored_row(ROW, update, 1)["words"] == ROW["words"]
    assert "words" not in stored_row(ROW | {"url": "http://h/other.jpg"}, update, 1)
    assert "words" not in deleted_row(ROW, upload(kind=UploadType.DELETED), 1)
