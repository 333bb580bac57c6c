import random
from collections import Counter

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import NAMES, RULES, done, record, upload

from schemas.dead_letters import Fault, read_fault
from schemas.topics import TABLES
from schemas.uploads import UploadType
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done, Output, Rejected

HOUR_MS = 3_600_000
Rows = dict[str, dict[str, bytes]]


def apply(rows: Rows, *events: Done) -> list[Output]:
    """Fold events as one transaction and commit it to `rows`."""
    changes = Changes(rows)
    for event in events:
        fold(changes, event, RULES)
    for table, key, value in changes.encoded():
        if value is None:
            rows[table].pop(key, None)
        else:
            rows[table][key] = value
    return changes.outputs


def empty() -> Rows:
    return {table: {} for table in TABLES}


def counts(rows: Rows, window: str = "all") -> dict[str, int]:
    found = {key: orjson.loads(row)["n"] for key, row in rows["trends"].items()}
    return {key.split(":", 2)[2]: count for key, count in found.items() if key.startswith(window)}


def sent(outputs: list[Output], topic: str) -> list[dict[str, object]]:
    return [orjson.loads(output.value or b"") for output in outputs if output.topic == topic]


def test_tags_strictly_above_the_threshold_are_assigned() -> None:
    """A confidence equal to the threshold assigns nothing; the tag-update names what was added."""
    rows = empty()
    outputs = apply(rows, done(0, upload(auto_tagging=0.5), koala=0.9, mammal=0.5, tree=0.1))
    (result,) = sent(outputs, NAMES.categorizations)
    (update,) = sent(outputs, NAMES.tag_updates)
    assert result["tags"] == ["koala"] == update["tags"]
    assert update["resources"][0]["added"] == ["koala"]  # type: ignore[index]
    assert result["info"]["categorization"]["imagga_tagging"]["data"][1] == {  # type: ignore[index]
        "tag": "mammal",
        "confidence": 0.5,
    }


def test_without_a_threshold_nothing_is_assigned() -> None:
    """A request without `auto_tagging` gets its categorization and no tags."""
    rows = empty()
    outputs = apply(rows, done(0, upload(auto_tagging=None), koala=0.9))
    assert sent(outputs, NAMES.categorizations)[0]["tags"] == []
    assert sent(outputs, NAMES.tag_updates) == []
    assert rows["trends"] == {}


def test_retagging_takes_old_tags_out_and_puts_new_ones_in() -> None:
    """The second upload of an image replaces its machine tags, in the counts as well."""
    rows = empty()
    apply(rows, done(0, upload(event_id="a"), koala=0.9, tree=0.8))
    outputs = apply(rows, done(1, upload(event_id="b", at=2 * HOUR_MS), koala=0.9, sky=0.7))
    (update,) = sent(outputs, NAMES.tag_updates)
    assert update["resources"][0]["added"] == ["sky"]  # type: ignore[index]
    assert update["resources"][0]["removed"] == ["tree"]  # type: ignore[index]
    assert counts(rows) == {"koala": 1, "sky": 1}
    assert counts(rows, "hour:7200:") == {"koala": 1, "sky": 1}
    assert counts(rows, "hour:3600:") == {}


def test_own_tags_stay_when_the_machine_changes_its_mind() -> None:
    """Tags that came with the image survive a re-tag that does not mention them."""
    rows = empty()
    apply(rows, done(0, upload(event_id="a", tags=["holiday"]), koala=0.9))
    apply(rows, done(1, upload(event_id="b", at=2 * HOUR_MS), sky=0.7))
    assert orjson.loads(rows["images"]["img"])["tags"] == ["holiday", "sky"]


def test_the_same_event_twice_changes_nothing() -> None:
    """Source and id are the idempotency key: the repeat leaves no trace at all."""
    rows = empty()
    apply(rows, done(0, upload(), koala=0.9))
    before = {table: dict(content) for table, content in rows.items()}
    assert apply(rows, done(1, upload(), sky=0.9)) == []
    assert rows == before


def test_a_late_older_event_leaves_state_and_counts_alone() -> None:
    """An older event time arrives later: it gets its result, and nothing else changes."""
    rows = empty()
    apply(rows, done(0, upload(event_id="new", at=5 * HOUR_MS), koala=0.9))
    outputs = apply(rows, done(1, upload(event_id="old", at=4 * HOUR_MS), sky=0.9))
    assert [output.topic for output in outputs] == [NAMES.categorizations]
    assert counts(rows) == {"koala": 1}


def test_a_higher_version_wins_over_a_later_time() -> None:
    """Versions order before event times where both events have one."""
    rows = empty()
    apply(rows, done(0, upload(event_id="v2", version=2, at=HOUR_MS), koala=0.9))
    apply(rows, done(1, upload(event_id="v1", version=1, at=9 * HOUR_MS), sky=0.9))
    assert counts(rows) == {"koala": 1}


def test_a_delete_withdraws_the_image_and_stays_deleted() -> None:
    """After a delete no count remembers the image, and an older upload does not bring it back."""
    rows = empty()
    apply(rows, done(0, upload(event_id="a"), koala=0.9))
    outputs = apply(rows, done(1, upload(event_id="d", at=3 * HOUR_MS, kind=UploadType.DELETED)))
    assert sent(outputs, NAMES.tag_updates)[0]["resources"][0]["removed"] == ["koala"]  # type: ignore[index]
    apply(rows, done(2, upload(event_id="late", at=2 * HOUR_MS), koala=0.9))
    assert rows["trends"] == {}


def test_a_dead_letter_keeps_the_record_and_says_why() -> None:
    """Key, value and headers of the original are untouched; ours follow."""
    fault = Fault("http_404", "fetch", False, "SourceGoneError", "status 404")
    original = record(7, b"{bad", headers=[("trace", b"1")])
    (letter,) = apply(empty(), Done(original, Rejected(fault)))
    assert (letter.topic, letter.key, letter.value) == (NAMES.dead_letters, b"img", b"{bad")
    assert letter.headers[0] == ("trace", b"1")
    assert read_fault(letter.headers) == fault
    assert dict(letter.headers)["__connect.errors.offset"] == b"7"


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c"]),  # image
        st.integers(0, 30),  # event id
        st.integers(0, 9),  # hour
        st.sets(st.sampled_from(["koala", "tree", "sky", "sea"])),
        st.booleans(),  # delete
    ),
    max_size=60,
)


@given(EVENTS, st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_counts_equal_the_images_however_events_are_batched(events: list, dice: random.Random) -> None:
    """Law: after any history, cut into any transactions, counts are what the image rows add up to.

    And the fold of all tag-updates gives each image's tags.
    """
    rows = empty()
    history = []
    for offset, (image, event_id, hour, tags, delete) in enumerate(events):
        kind = UploadType.DELETED if delete else UploadType.UPLOADED
        event = upload(image, f"{image}{event_id}", at=hour * HOUR_MS, kind=kind)
        history.append(done(offset, event, **dict.fromkeys(tags, 0.9)))
    outputs: list[Output] = []
    while history:
        size = dice.randint(1, 7)
        outputs += apply(rows, *history[:size])
        history = history[size:]
    images = {key: orjson.loads(row) for key, row in rows["images"].items()}
    everything = Counter(tag for row in images.values() for tag in row["tags"])
    assert counts(rows) == everything
    for hour in range(10):
        at_hour = Counter(
            tag for row in images.values() if row["at"] == hour * HOUR_MS for tag in row["tags"]
        )
        assert counts(rows, f"hour:{hour * 3600}:") == at_hour
    followed: dict[str, set[str]] = {}
    for update in sent(outputs, NAMES.tag_updates):
        (change,) = update["resources"]  # type: ignore[misc]
        followed.setdefault(change["public_id"], set()).update(change["added"])
        followed[change["public_id"]] -= set(change["removed"])
    assert {key: tags for key, tags in followed.items() if tags} == {
        key: set(row["tags"]) for key, row in images.items() if row["tags"]
    }
