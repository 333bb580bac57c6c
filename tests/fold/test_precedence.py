"""Which of an image's events count: a matter of the events, not of when their sources answered."""

import itertools
import random
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import NAMES, RULES, apply, done, edit, record, tagged, upload

from schemas.dead_letters import Fault
from schemas.origins import Origin, TopicPartitionOffset, origin_headers
from schemas.topics import MAX_RECORD_BYTES, OFFSET_KEY
from schemas.uploads import UploadType
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Deferred, Done
from streams.fold.precedence.repeats import MOST_REMEMBERED, REMEMBERED_SECONDS
from streams.state.partition import PartitionState

HOUR_MS = 3_600_000
_OF_THE_WAY = {"o", "ids", "history", "behind"}  # how the state came about


def image(state: PartitionState) -> dict[str, Any]:
    row: dict[str, Any] = orjson.loads(state.rows["images"]["img"])
    return row


def counted(state: PartitionState) -> dict[str, tuple[int, dict[str, int]]]:
    rows = {key: orjson.loads(row) for key, row in state.rows["trends"].items()}
    return {key: (row["n"], row["by"]) for key, row in rows.items()}


def outcome_of(handled: list[Done]) -> object:
    """The image and all that is counted of it, once all events are folded in."""
    state = PartitionState(0)
    for event in handled:
        apply(state, event)
    row = image(state)
    row.setdefault("placed", row["o"])
    people = {name: said for name, said in row.get("people", {}).items() if name not in {"ids", "since_o"}}
    shown = {name: content for name, content in row.items() if name not in _OF_THE_WAY | {"people"}}
    interests = {key: orjson.loads(row)["t"] for key, row in state.rows["interests"].items()}
    return shown, people, counted(state), interests


told = st.fixed_dictionaries(
    {
        "kind": st.sampled_from([UploadType.UPLOADED, UploadType.UPLOADED, UploadType.DELETED]),
        "at": st.integers(1, 4).map(lambda hour: hour * HOUR_MS),
        "version": st.none() | st.integers(1, 3),
        "user_id": st.sampled_from([None, "ann", "bob"]),
        "tags": st.sampled_from([None, [], ["own"], ["own", "zoo"]]),
        "keep_edits": st.sampled_from([None, None, False]),
    }
)


@settings(max_examples=300)
@given(
    st.lists(told, min_size=1, max_size=6),
    st.sampled_from(["edited", "not edited"]),
    st.randoms(use_true_random=False),
)
def test_the_order_in_which_events_are_folded_does_not_matter(
    events: list[dict[str, Any]], people: str, dice: random.Random
) -> None:
    """Law: with and without version, at equal times, deletions among them: one state and one set of counts.

    The log's order stays: of equal events the later one counts, whichever was folded first.
    """
    handled = [
        done(offset, upload(event_id=f"e{offset}", **event), **{f"tag{offset}": 0.9, "koala": 0.8})
        for offset, event in enumerate(events, start=10)
    ]
    if people == "edited" and not any(event["kind"] is UploadType.DELETED for event in events):
        handled += [done(30, edit("edit", at=2 * HOUR_MS, added=["zoo"], removed=["koala"]))]
    last = [event for event in handled if event.record.offset == 30]
    first = [event for event in handled if event not in last]
    wanted = outcome_of(handled)
    for _ in range(4):
        dice.shuffle(first)
        order = [*first]
        for event in last:  # an edit needs the image
            order.insert(dice.randint(1, len(order)), event)
        assert outcome_of(order) == wanted


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_versions_and_times_mixed_have_one_winner(order: tuple[int, ...]) -> None:
    """Version 2 ends version 1, and the event without a version is later than version 2: it is the state."""
    events = [
        done(0, upload(event_id="v2", at=1 * HOUR_MS, version=2), two=0.9),
        done(1, upload(event_id="none", at=2 * HOUR_MS), none=0.9),
        done(2, upload(event_id="v1", at=3 * HOUR_MS, version=1), one=0.9),
    ]
    state = PartitionState(0)
    for number in order:
        apply(state, events[number])
    assert (image(state)["tags"], image(state)["version"]) == (["none"], 2)
    assert [key for key in counted(state) if key.startswith("all:")] == ["all:0:none"]


def test_a_state_that_comes_back_is_told_and_counted() -> None:
    """The tag-update names what went and what came again; people's words in between still hold."""
    state = PartitionState(0)
    apply(state, done(0, upload(event_id="none", at=2 * HOUR_MS, user_id="ann"), sea=0.9, sky=0.8))
    apply(state, done(1, upload(event_id="v1", at=3 * HOUR_MS, version=1), koala=0.9))
    apply(state, done(2, edit("e", added=["zoo"], removed=["sky"])))
    outputs = apply(state, done(3, upload(event_id="v2", at=HOUR_MS, version=2), tree=0.9))
    (update,) = [orjson.loads(each.value or b"") for each in outputs if each.topic == NAMES.tag_updates]
    (resource,) = update["resources"]
    assert (resource["added"], resource["removed"]) == (["sea"], ["koala"])
    assert image(state)["tags"] == ["zoo", "sea"]
    assert "behind" not in image(state)
    assert set(counted(state)) >= {"hour:7200:sea", "hour:7200:zoo"}
    apply(state, done(4, edit("e2", added=["sky"], at=9 * HOUR_MS)))
    assert image(state)["tags"] == ["zoo", "sky", "sea"]


@pytest.mark.parametrize("events", [9, 200], ids=["the ninth", "many"])
def test_a_repeat_is_one_however_many_came_between(events: int) -> None:
    """All events of an image again, without event times of their own: no result, no change, no count."""
    state = PartitionState(0)
    for number in range(events):
        apply(state, done(number, upload(event_id=f"e{number}", at=number), **{f"tag{number}": 0.9}))
    before = state.rows["images"]["img"], counted(state)
    for number in range(events):
        again = upload(event_id=f"e{number}", at=HOUR_MS + number)  # by Kafka's new timestamp
        assert apply(state, done(events + number, again, other=0.9)) == []
    assert (state.rows["images"]["img"], counted(state)) == before


def test_edits_are_remembered_as_long() -> None:
    """The first of ten edits again changes nothing, though its event time is a new one."""
    state = PartitionState(0)
    apply(state, done(0, upload()))
    for number in range(10):
        kind = "removed" if number else "added"
        apply(state, done(1 + number, edit(f"e{number}", at=number, **{kind: ["zoo"]})))
    assert apply(state, done(20, edit("e0", at=9 * HOUR_MS, added=["zoo"]))) == []
    assert image(state)["tags"] == []


def test_what_is_remembered_is_bounded_by_time_and_by_number() -> None:
    """After a week by the partition's clock all but the last few are forgotten; a row stays small."""
    state, many = PartitionState(0), MOST_REMEMBERED + 50
    for number in range(many):
        apply(state, at_time(number, f"e{number}", 1000 * number))
    ids = image(state)["ids"]
    assert len(ids) == MOST_REMEMBERED
    assert len(orjson.dumps(ids)) < 40_000 < MAX_RECORD_BYTES / 100
    assert apply(state, at_time(many, f"e{many - MOST_REMEMBERED}", 10**6)) == []
    assert apply(state, at_time(many + 1, "e0", 10**6)) != [], "the oldest ones are forgotten"
    apply(state, at_time(many + 2, "new", 1000 * (many + REMEMBERED_SECONDS)))
    assert len(image(state)["ids"]) == 8


def at_time(offset: int, event_id: str, timestamp: int) -> Done:
    event = done(offset, upload(event_id=event_id, at=timestamp), koala=0.9)
    return Done(type(event.record)(**{**_fields(event.record), "timestamp": timestamp}), event.outcome)


def _fields(record: object) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}  # type: ignore[attr-defined]


def test_ids_of_an_old_row_are_still_known() -> None:
    """A release before this one kept the last eight, without a time."""
    state = PartitionState(0)
    apply(state, done(0, upload(event_id="e0"), koala=0.9))
    row = image(state)
    state.apply("images", "img", orjson.dumps(row | {"ids": list(row["ids"])}))
    apply(state, done(1, upload(event_id="e1", at=2 * HOUR_MS), koala=0.9))
    assert apply(state, done(2, upload(event_id="e0", at=3 * HOUR_MS), sky=0.9)) == []


def test_one_timestamp_of_the_far_future_ends_no_count() -> None:
    """The partition's clock follows to an hour ahead of ours; what it was then is committed."""
    state, now, future = PartitionState(0), 50 * 24 * HOUR_MS, 4_900_000_000_000
    for offset, timestamp in enumerate([now, future, now + 1000]):
        event = at_time(offset, f"e{offset}", timestamp)
        known = done(offset, upload(f"image-{offset}", at=now), koala=0.9).outcome
        changes = Changes(state.rows)
        fold(changes, Done(event.record, known), RULES, now)
        for table, key, value in changes.encoded():
            state.apply(table, key, value)
    assert orjson.loads(state.rows["meta"][OFFSET_KEY])["mark"] == now + HOUR_MS
    minutes = [n for key, (n, _) in counted(state).items() if key.startswith("minute:")]
    assert minutes == [3]


def test_a_forwarded_record_moves_the_clock_to_when_it_was_published() -> None:
    """Where it was sent on a day later, what came meanwhile is not late."""
    state, day = PartitionState(0), 24 * HOUR_MS
    origin = Origin(TopicPartitionOffset("image.uploads", 3, 7), 5 * day)
    sent_on = record(0, timestamp=6 * day, headers=origin_headers(origin))
    apply(state, Done(sent_on, tagged(upload(at=5 * day), koala=0.9)))
    assert state.stream_time == 5 * day


def test_records_that_were_deleted_unread_are_counted_once() -> None:
    """They are told with the record behind them, also where that has to wait for its source."""
    state = PartitionState(0)
    behind = record(7, skipped=3)
    fault = Fault("http_503", "fetch", True, "SourceBusyError", "status 503")
    apply(state, Done(behind, Deferred(fault, 0, None, upload())))
    apply(state, Done(behind, tagged(upload(), koala=0.9)))
    assert state.skipped == 3
    apply(state, Done(record(9, skipped=1), tagged(upload(event_id="e2"), koala=0.9)))
    assert state.skipped == 4
