"""Each tag of an image says where it is from: source, model, version, rules, confidence, causing event."""

import orjson
import pytest
from support.fakes import RULES, done, edit, record, tagged_by, upload

from schemas.answers.images import TagChange, TagOrigin
from schemas.results import Cause, ModelInfo
from schemas.uploads import Upload, UploadType
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done, Rederived
from streams.fold.rules.applying import Rules
from streams.state.images.origins import assigned_tags, tag_changes, tag_edits
from streams.state.images.rows import ImageRow, find_image
from streams.state.partition import PartitionState

HOUR_MS = 3_600_000
MODEL = ModelInfo("m", "1")


def row_after(*events: Done) -> ImageRow:
    """Fold events of one image; return its row as the API reads it."""
    state = PartitionState(0)
    for event in events:
        changes = Changes(state.rows)
        fold(changes, event, RULES)
        for table, key, value in changes.encoded():
            state.apply(table, key, value)
    found = find_image({0: state}, "", "img")
    assert found is not None
    return found[1]


def origins(row: ImageRow) -> dict[str, list[TagOrigin]]:
    return {tag.tag: tag.origins for tag in assigned_tags(row)}


def cause(event: Upload) -> Cause:
    return Cause(event.source, event.id, event.type.value)


def test_every_source_of_a_tag_is_told() -> None:
    """The application, a person and an add-on may all have given it; each with what is known of it."""
    told = upload(event_id="told", tags=["koala"])
    said = edit("said", added=["koala"], by="ann")
    assert origins(row_after(done(0, told, koala=0.9), done(1, said))) == {
        "koala": [
            TagOrigin("people", cause(said), by="ann"),
            TagOrigin("own", cause(told)),
            TagOrigin("imagga_tagging", cause(told), 0.9, MODEL, Rules().hash),
        ]
    }


def test_causes_are_those_of_the_present_state() -> None:
    """A re-tag is the cause of what add-ons say; what came with the image keeps the event that told it."""
    told = upload(event_id="told", tags=["holiday"], auto_tagging=0.5)
    again = upload(event_id="again", at=2 * HOUR_MS, auto_tagging=0.5)
    retag = upload(event_id="run/1", kind=UploadType.RETAGGED)
    rules = Rules(threshold=0.1)
    events = (done(0, told, koala=0.9), done(1, again, koala=0.8))
    assert origins(row_after(*events))["holiday"] == [TagOrigin("own", cause(told))]
    row = row_after(*events, Done(record(2), Rederived(retag, rules)))
    assert origins(row) == {
        "holiday": [TagOrigin("own", cause(told))],
        "koala": [TagOrigin("imagga_tagging", cause(retag), 0.8, MODEL, rules.hash)],
    }


def test_what_people_said_is_told_removals_too() -> None:
    """Oldest first; an edit that a deletion ended is gone, and whoever did not say who they are is nobody."""
    events = [
        done(0, upload(), koala=0.9, tree=0.8),
        done(1, edit("b", removed=["tree"], at=5 * HOUR_MS)),
        done(2, edit("a", added=["zoo"], at=4 * HOUR_MS, by="ann")),
    ]
    row = row_after(*events)
    assert [(said.tag, said.added, said.by, said.cause.id) for said in tag_edits(row)] == [
        ("zoo", True, "ann", "a"),
        ("tree", False, None, "b"),
    ]
    assert row.history[-1].by == "ann"
    gone = done(3, upload(event_id="gone", at=6 * HOUR_MS, kind=UploadType.DELETED))
    assert tag_edits(row_after(*events, gone)) == []


SCENES = ModelInfo("scenes", "2")


def by_two(offset: int, event: Upload, koala: dict[str, float], scene: dict[str, float]) -> Done:
    """An upload at which two add-ons looked, each with a model of its own."""
    said = {"imagga_tagging": koala, "scene_tagging": scene}
    return Done(record(offset), tagged_by(event, said, {"imagga_tagging": MODEL, "scene_tagging": SCENES}))


def last_change(*events: Done) -> TagChange:
    return tag_changes(row_after(*events))[-1]


def test_history_tells_which_tagger_gave_a_tag() -> None:
    """Each add-on that looked has its model, and each tag those who gave it: it may be several."""
    event = upload(tags=["holiday", "sky"], event_id="both")
    found = last_change(by_two(0, event, {"koala": 0.9, "tree": 0.8}, {"sky": 0.7, "tree": 0.6}))
    assert found.cause == cause(event)
    assert found.taggers == {"imagga_tagging": MODEL, "scene_tagging": SCENES}
    assert found.added == ["holiday", "sky", "koala", "tree"]
    assert found.added_by == {
        "own": ["holiday", "sky"],
        "imagga_tagging": ["koala", "tree"],
        "scene_tagging": ["sky", "tree"],
    }


def test_history_tells_of_one_tagger_in_few_bytes() -> None:
    """The usual row has nothing that goes without saying."""
    row = row_after(done(0, upload(), koala=0.9, tree=0.8))
    assert row.history[0].places == {}
    (found,) = tag_changes(row)
    assert (found.model, found.taggers) == (MODEL, {"imagga_tagging": MODEL})
    assert found.added_by == {"imagga_tagging": ["koala", "tree"]}


def test_history_tells_whose_new_look_gave_a_tag() -> None:
    """An add-on that found nothing new looked as well."""
    retag = upload(event_id="run/1", kind=UploadType.RETAGGED)
    found = last_change(done(0, upload(), koala=0.9), by_two(1, retag, {"koala": 0.9}, {"sky": 0.7}))
    assert (found.cause, found.taggers) == (cause(retag), {"imagga_tagging": MODEL, "scene_tagging": SCENES})
    assert (found.added, found.added_by) == (["sky"], {"scene_tagging": ["sky"]})


def test_history_tells_of_people_and_of_deletions() -> None:
    """No tagger has looked; what an edit lets in again is also from whoever gave it before."""
    events = [
        done(0, upload(), koala=0.9),
        done(1, edit("away", removed=["koala"], at=3 * HOUR_MS)),
        done(2, edit("back", added=["koala", "zoo"], at=4 * HOUR_MS, by="ann")),
    ]
    found = last_change(*events)
    assert (found.model, found.taggers, found.by) == (None, {}, "ann")
    assert found.added_by == {"people": ["koala", "zoo"], "imagga_tagging": ["koala"]}
    found = last_change(*events[:1], done(1, edit("more", added=["zoo"])))
    assert found.added_by == {"people": ["zoo"]}
    gone = last_change(*events, done(3, upload(event_id="gone", at=6 * HOUR_MS, kind=UploadType.DELETED)))
    assert (gone.model, gone.taggers, gone.added_by, gone.rules) == (None, {}, {}, None)


@pytest.mark.parametrize("model", [["m", "1"], None])
def test_history_from_before_taggers_were_kept_can_be_read(model: list[str] | None) -> None:
    """Whose model it was, and who gave which tag, is not known; that a person did, is."""
    change = {"at": 1, "cause": ["s", "i", "image.uploaded"], "model": model, "rules": None}
    row = {"at": 1, "cause": ["s", "i", "image.uploaded"], "tags": ["koala"], "by": [["imagga_tagging"]]}
    state = PartitionState(0)
    history = [change | {"added": ["koala"], "removed": ["zoo"]}]
    state.apply("images", "img", orjson.dumps(row | {"history": history}))
    found = find_image({0: state}, "", "img")
    assert found is not None
    (told,) = tag_changes(found[1])
    assert (told.model, told.added, told.removed) == (MODEL if model else None, ["koala"], ["zoo"])
    assert (told.taggers, told.added_by) == ({}, {} if model else {"people": ["koala"]})


def test_rows_from_before_origins_were_kept_can_be_read() -> None:
    """What is not known of them is left out."""
    row = {"at": 1, "cause": ["s", "i", "image.uploaded"], "tags": ["koala"], "by": [["imagga_tagging"]]}
    state = PartitionState(0)
    state.apply("images", "img", orjson.dumps(row))
    found = find_image({0: state}, "", "img")
    assert found is not None
    assert origins(found[1]) == {"koala": [TagOrigin("imagga_tagging", Cause("s", "i", "image.uploaded"))]}
