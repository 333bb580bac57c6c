"""Events about stored bytes: assets that rows keep, and uploads that nobody is to look at."""

from typing import Any

import orjson
import pytest
from support.fakes import NAMES, RULES, apply, done, edit, record, upload

from schemas.assets import Asset
from schemas.dead_letters import Fault, read_fault
from schemas.uploads import Upload, UploadType
from streams.fold.outcomes import Deferred, Deleted, Done, Output, Stored
from streams.fold.retagging import second_look
from streams.state.partition import PartitionState

ASSET = Asset(asset_id="a" * 32, object="demo/1", format="jpg", bytes=10, version=7)
OTHER = Asset(asset_id="a" * 32, object="demo/2", format="png", bytes=20, version=8)
UPDATE, DELETED = UploadType.UPDATED, UploadType.DELETED
HOUR = 3_600_000
URL = "http://h/1.jpg"


@pytest.fixture
def state() -> PartitionState:
    return PartitionState(0)


def event(event_id: str, *, hour: int = 2, url: str | None = None, **fields: Any) -> Upload:  # noqa: ANN401 - any field
    """An event that asks for no add-on; an update unless it says otherwise."""
    kind = fields.pop("kind", UPDATE)
    made = upload(event_id=event_id, at=hour * HOUR, kind=kind, categorization=[], **fields)
    made.data.url = url
    return made


def store(state: PartitionState, offset: int, made: Upload) -> list[Output]:
    return apply(state, Done(record(offset), Stored(made, read_at=1_000)))


def row(state: PartitionState, key: str = "img") -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(state.rows["images"][key])
    return found


def sent(outputs: list[Output], topic: str) -> list[Any]:
    return [orjson.loads(output.value or b"") for output in outputs if output.topic == topic]


def counts(state: PartitionState) -> dict[str, int]:
    rows = state.rows["trends"].items()
    return {key.split(":")[2]: orjson.loads(row)["n"] for key, row in rows if key.startswith("all:")}


def test_an_asset_is_kept_and_passed_on(state: PartitionState) -> None:
    """What an upload tells of its bytes is in the image's row, in its result and in its tag-update."""
    outputs = apply(state, done(0, upload(asset=ASSET), koala=0.9))
    told = {"asset_id": "a" * 32, "object": "demo/1", "format": "jpg", "bytes": 10, "version": 7}
    assert row(state)["asset"] == told
    assert sent(outputs, NAMES.categorizations)[0]["asset"] == told
    (update,) = sent(outputs, NAMES.tag_updates)
    assert update["asset"] == told
    assert "categorized" not in update


def test_events_without_an_asset_are_as_ever(state: PartitionState) -> None:
    """Neither rows nor records of other publishers' events name an asset."""
    outputs = apply(state, done(0, upload(), koala=0.9))
    assert "asset" not in row(state)
    for output in outputs:
        assert not {"asset", "categorized", "notification_url"} & orjson.loads(output.value or b"").keys()
    assert sent(apply(state, done(1, upload(event_id="d", at=2 * HOUR, kind=DELETED))), NAMES.tag_updates)


def test_an_upload_without_add_ons_is_stored_and_told(state: PartitionState) -> None:
    """Its tags are its own ones, no result comes, and a tag-update tells of it even without any tag."""
    outputs = store(state, 0, event("e", url=URL, kind=UploadType.UPLOADED, asset=ASSET))
    assert sent(outputs, NAMES.categorizations) == []
    (update,) = sent(outputs, NAMES.tag_updates)
    assert (update["tags"], update["categorized"], update["asset"]["object"]) == ([], False, "demo/1")
    assert update["resources"][0]["added"] == []
    assert row(state)["scores"] == {}
    outputs = store(state, 1, event("f", url=URL, kind=UploadType.UPLOADED, hour=3, tags=["zoo"]))
    assert sent(outputs, NAMES.tag_updates)[0]["resources"][0]["added"] == ["zoo"]
    assert counts(state) == {"zoo": 1}


def test_an_update_without_add_ons_leaves_what_they_said(state: PartitionState) -> None:
    """The asset changes; tags, confidences, owner and counts stay, and so does what people said."""
    apply(state, done(0, upload(asset=ASSET, user_id="ann", tags=["zoo"]), koala=0.9, tree=0.8))
    apply(state, done(1, edit("p", removed=["tree"])))
    before, counted = row(state), counts(state)
    outputs = store(state, 2, event("u", hour=1, asset=OTHER, notification_url="http://h/n"))
    after = row(state)
    assert after["asset"]["object"] == "demo/2"
    for name in ("tags", "by", "scores", "model", "rules", "asked", "url", "user", "own", "people", "at"):
        assert after[name] == before[name], name
    assert counts(state) == counted == {"zoo": 1, "koala": 1}
    (update,) = sent(outputs, NAMES.tag_updates)
    assert (update["tags"], update["notification_url"]) == (["zoo", "koala"], "http://h/n")
    assert update["cause"]["type"] == "image.update"


def test_an_update_keeps_the_asset_as_long_as_the_bytes_are_the_same(state: PartitionState) -> None:
    """An update without an asset leaves it; other bytes, or a new upload, end it."""
    apply(state, done(0, upload(asset=ASSET), koala=0.9))
    update = upload(event_id="u", at=2 * HOUR, kind=UPDATE)
    update.data.url = None
    outputs = apply(state, done(1, update, sea=0.9))
    assert row(state)["asset"]["object"] == "demo/1"
    assert sent(outputs, NAMES.categorizations)[0]["asset"]["object"] == "demo/1"
    store(state, 2, event("v", url="http://h/2.jpg", hour=3))
    assert "asset" not in row(state)
    assert row(state)["tags"] == [], "what add-ons said was of other bytes"
    store(state, 3, event("w", url=URL, hour=4, asset=ASSET))
    apply(state, done(4, upload(event_id="x", at=5 * HOUR), koala=0.9))
    assert "asset" not in row(state)


def test_a_deletion_forgets_the_asset_and_tells_it(state: PartitionState) -> None:
    """Whoever cleans up behind a deletion learns what was there, also where it had no tags."""
    store(state, 0, event("e", url=URL, kind=UploadType.UPLOADED, asset=ASSET))
    outputs = apply(state, Done(record(1), Deleted(upload(event_id="d", at=3 * HOUR, kind=DELETED))))
    assert "asset" not in row(state)
    (update,) = sent(outputs, NAMES.tag_updates)
    assert update["asset"]["object"] == "demo/1"
    assert update["cause"]["type"] == "image.deleted"
    again = apply(state, Done(record(2), Deleted(upload(event_id="d2", at=4 * HOUR, kind=DELETED))))
    assert sent(again, NAMES.tag_updates) == []


def test_a_repeat_and_a_late_event_tell_nothing(state: PartitionState) -> None:
    """An event that was folded before, or that is older than the image, leaves no record."""
    store(state, 0, event("e", url=URL, kind=UploadType.UPLOADED, asset=ASSET, hour=5))
    assert store(state, 1, event("e", url=URL, kind=UploadType.UPLOADED, asset=ASSET, hour=5)) == []
    assert store(state, 2, event("late", asset=OTHER, hour=4)) == []
    assert row(state)["asset"]["object"] == "demo/1"


@pytest.mark.parametrize("deleted", [True, False])
def test_an_update_of_an_image_that_is_not_there_is_a_dead_letter(
    state: PartitionState, *, deleted: bool
) -> None:
    """It cannot bring back what was deleted, nor make an image without bytes."""
    if deleted:
        store(state, 0, event("e", url=URL, kind=UploadType.UPLOADED))
        apply(state, Done(record(1), Deleted(upload(event_id="d", at=3 * HOUR, kind=DELETED))))
    (letter,) = store(state, 2, event("u", hour=4, asset=ASSET))
    assert letter.topic == NAMES.dead_letters
    assert read_fault(letter.headers).reason == "unknown_image"


def test_an_update_waits_where_the_upload_does(state: PartitionState) -> None:
    """While the image's upload waits for its source, an update of it waits as well."""
    fault = Fault("timeout", "fetch", True, "SourceBusyError", "no answer")
    first = upload(event_id="e")
    apply(state, Done(record(0), Deferred(fault, 1_000, None, first)))
    assert store(state, 1, event("u", asset=ASSET)) == []
    assert sorted(state.rows["retries"]) == ["0", "1"]


def test_a_retag_passes_over_what_nobody_was_to_look_at(state: PartitionState) -> None:
    """An image without add-ons needs no second look, whatever models there are."""
    store(state, 0, event("e", url=URL, kind=UploadType.UPLOADED, asset=ASSET))
    assert second_look(row(state), {}, ("imagga_tagging",), always=True) is None


def test_the_tags_of_a_raw_asset_are_told_but_not_counted(state: PartitionState) -> None:
    """They lie in its asset: a tag-update names them, and trends are of images alone."""
    paper = Asset(asset_id="b" * 32, resource_type="raw", public_id="paper", tags=["paper"])
    other = Asset(asset_id="b" * 32, resource_type="raw", public_id="paper", tags=["signed"])
    outputs = store(state, 0, event("e", url=URL, kind=UploadType.UPLOADED, asset=paper))
    outputs += store(state, 1, event("u", asset=other, hour=3))
    first, second = sent(outputs, NAMES.tag_updates)
    assert first["resources"][0] == {
        "public_id": "img",
        "added": ["paper"],
        "removed": [],
        "updated": [],
        "resource_type": "raw",
        "type": "upload",
    }
    assert second["tags"] == ["signed"]
    assert second["resources"][0]["removed"] == ["paper"]
    assert counts(state) == {}
    assert RULES.names == NAMES
