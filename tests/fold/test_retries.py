from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import NAMES, RULES, apply, done, edit, record, tagged, upload

from schemas.dead_letters import Fault, read_fault
from schemas.uploads import Record, Upload, UploadType
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Deferred, Deleted, Done, Parked
from streams.fold.retention import expired_rows
from streams.fold.retries import RetryPolicy, record_of, waits_before
from streams.fold.rows import AWAITED, DAY_MS, ImageKey
from streams.state.partition import PartitionState
from streams.units.retrying import RetrySchedule
from streams.units.waiting_room import Load

FAULT = Fault("http_503", "fetch", True, "SourceBusyError", "status 503")


def busy(original: Record, at: int, retry_after: float | None = None) -> Done:
    return Done(original, Deferred(FAULT, at, retry_after))


def busy_upload(original: Record, waiting: Upload) -> Done:
    return Done(original, Deferred(FAULT, 0, None, waiting))


@given(
    st.binary(max_size=50) | st.none(), st.binary(max_size=200), st.lists(st.tuples(st.text(), st.binary()))
)
def test_the_record_comes_back_as_it_was(
    key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]
) -> None:
    """Law: whatever the bytes, a record that waited is the record that was published."""
    state = PartitionState(0)
    original = record(5, value, key, headers=headers)
    apply(state, busy(original, 1000))
    assert record_of(state.rows["retries"]["5"], 0) == original


def test_waits_grow_to_a_limit_and_differ() -> None:
    """Each wait is about twice the one before; events of one outage do not come back together."""
    policy = RetryPolicy(first=1, longest=60)
    waits = [policy.wait(0, attempt) for attempt in range(1, 12)]
    assert all(0.5 <= wait <= 60 for wait in waits)
    assert waits[5] > waits[0]
    assert len({policy.wait(offset, 1) for offset in range(100)}) > 50
    assert policy.wait(7, 3) == policy.wait(7, 3)


def test_a_busy_source_costs_no_dead_letter_and_no_count() -> None:
    """The event waits in `retries`; when it works out, its row is gone and its tags are counted."""
    state = PartitionState(0)
    assert apply(state, busy(record(3), 1000)) == []
    assert apply(state, busy(record(3), 2000)) == []
    assert orjson.loads(state.rows["retries"]["3"])["attempt"] == 2
    outputs = apply(state, done(3, upload(), koala=0.9))
    assert state.rows["retries"] == {}
    assert NAMES.categorizations in {output.topic for output in outputs}


def test_a_host_that_is_left_alone_costs_no_attempt() -> None:
    """Waits grow with how often a source was asked, not with how often it was not."""
    state = PartitionState(0)
    apply(state, busy(record(1), 0))
    for reason in ("circuit_open", "memory_busy"):
        fault = Fault(reason, "fetch", True, "SourceBusyError", "not now")
        apply(state, Done(record(1), Deferred(fault, 1000, 5.0)))
        row = orjson.loads(state.rows["retries"]["1"])
        assert (row["attempt"], row["due"], row["reason"]) == (1, 6000, reason)
    apply(state, busy(record(1), 2000))
    assert orjson.loads(state.rows["retries"]["1"])["attempt"] == 2


def test_an_upload_aside_is_kept_until_it_is_done() -> None:
    """Its row is due at once, for whoever loads the partition; a failure makes it a retry like others."""
    state = PartitionState(0)
    assert apply(state, Done(record(3), Parked(1000, upload()))) == []
    row = orjson.loads(state.rows["retries"]["3"])
    assert (row["due"], row["attempt"], row["reason"]) == (1000, 0, "slow")
    assert record_of(state.rows["retries"]["3"], 0) == record(3, headers=[])
    apply(state, busy(record(3), 2000))
    assert orjson.loads(state.rows["retries"]["3"])["attempt"] == 1
    assert len(apply(state, done(3, upload(), koala=0.9))) == 2
    assert state.rows["retries"] == {}


def test_uploads_that_came_before_are_found_among_the_retries() -> None:
    """Of the same image, and of earlier offsets only: no two records wait for each other."""
    state = PartitionState(0)
    image = ImageKey.of(upload()).encode()
    assert not waits_before(state.rows, image, 9)
    for offset in (3, 5):
        apply(state, Done(record(offset), Parked(1000, upload())))
    assert [waits_before(state.rows, image, offset) for offset in (3, 4, 5, 6)] == [False, True, True, True]
    assert not waits_before(state.rows, ImageKey.of(upload("other")).encode(), 9)
    for offset in (3, 5):
        apply(state, done(offset, upload(), koala=0.9))
    assert not waits_before(state.rows, image, 9)


def test_a_source_that_asks_for_time_gets_it() -> None:
    """Retry-After is honoured where it is longer than our own wait, up to an hour."""
    state = PartitionState(0)
    apply(state, busy(record(1), 0, retry_after=120))
    assert orjson.loads(state.rows["retries"]["1"])["due"] == 120_000
    apply(state, busy(record(2), 0, retry_after=1e9))
    assert orjson.loads(state.rows["retries"]["2"])["due"] == 3_600_000


def test_a_spent_budget_gives_a_retryable_dead_letter() -> None:
    """After a day of waiting people decide; the letter says that trying again may help."""
    state = PartitionState(0)
    for attempt in range(25):
        assert apply(state, busy(record(3), attempt, retry_after=3600)) == []
    (letter,) = apply(state, busy(record(3), 25, retry_after=3600))
    assert letter.topic == NAMES.dead_letters
    assert read_fault(letter.headers) == FAULT
    assert state.rows["retries"] == {}


@pytest.mark.parametrize(("policy", "most"), [(RetryPolicy(), 900), (RetryPolicy(budget=60), 60)])
def test_waiting_is_shorter_while_many_wait(policy: RetryPolicy, most: float) -> None:
    """A quarter of an hour, unless the whole budget is even less; the letter is as usual."""
    rules = FoldRules(NAMES, RULES.retention, policy)
    for wait, given_up in ((most, False), (most + 0.001, True)):
        state = PartitionState(0)
        waiting = Deferred(FAULT, 0, wait)
        assert apply(state, Done(record(3), waiting), rules) == []
        letters = apply(state, Done(record(3), waiting, over_limit=True), rules)
        assert [read_fault(letter.headers) for letter in letters] == [FAULT] * given_up
        assert len(state.rows["retries"]) == (not given_up)


@pytest.mark.parametrize("aside", [True, False])
def test_no_event_begins_to_wait_where_too_many_do(*, aside: bool) -> None:
    """One that went aside in time has its turn, but does not wait for another either."""
    state = PartitionState(0)
    if aside:
        apply(state, Done(record(3), Parked(1000, upload()), over_limit=True))
    (letter,) = apply(state, Done(record(3), Deferred(FAULT, 0, None, upload()), over_limit=True))
    assert read_fault(letter.headers) == FAULT
    assert state.rows["retries"] == {}
    assert not any(key.startswith(AWAITED) for key in state.rows["meta"])


def test_a_fault_of_ours_is_given_up_soon() -> None:
    """It may pass; when it has come four times, people decide. Busy sources in between do not count."""
    state = PartitionState(0)
    fault = Fault("internal_error", "decode", True, "MemoryError", "")
    ours = Done(record(3), Deferred(fault, 0, None))
    for event in (ours, busy(record(3), 0), busy(record(3), 0), ours, busy(record(3), 0), ours):
        assert apply(state, event) == []
    (letter,) = apply(state, ours)
    assert read_fault(letter.headers) == fault


@pytest.mark.parametrize(
    "reason", ["internal_error", "memory_busy", "decoding_busy", "upload_waits", "unknown_image"]
)
def test_what_is_no_sources_fault_waits_though_many_do(reason: str) -> None:
    """Other people's hosts end no patience with faults that have nothing to do with them; memory does."""
    state = PartitionState(0)
    fault = Fault(reason, "decode", True, "E", "m")
    assert apply(state, Done(record(3), Deferred(fault, 0, None), over_limit=True)) == []
    assert "3" in state.rows["retries"]
    (letter,) = apply(state, Done(record(4), Deferred(fault, 0, None), over_hard_limit=True))
    assert read_fault(letter.headers) == fault


def test_only_what_came_over_the_network_proves_anything() -> None:
    """Of images in the events themselves, or in folders, no host and no network can be told."""
    urls = {"http://h/1.jpg": True, "s3://b/1.jpg": True, "data:,x": False, "FILE:///x": False}
    for url, afar in urls.items():
        assert replace(tagged(upload()), url=url).is_from_afar == afar


def test_rows_of_an_earlier_version_wait_on() -> None:
    """They tell neither how long they have waited nor of faults of ours."""
    state = PartitionState(0)
    apply(state, busy(record(3), 0))
    row = orjson.loads(state.rows["retries"]["3"])
    state.apply("retries", "3", orjson.dumps({name: row[name] for name in row.keys() - {"waited", "faults"}}))
    assert apply(state, busy(record(3), 1000)) == []
    assert orjson.loads(state.rows["retries"]["3"])["attempt"] == 2


def test_a_schedule_knows_the_size_of_its_rows() -> None:
    """Each counts as it is now; one that is gone does not."""
    schedule = RetrySchedule()
    short, long = b'{"due":1}', b'{"due":1,"value":"abc"}'
    for key, row in (("a", short), ("b", long), ("a", long), ("b", None), ("c", None)):
        schedule.note(key, row, 0)
    assert schedule.load == Load(1, len(long))


def test_a_clock_that_jumps_ahead_spends_no_budget() -> None:
    """What counts is how long the event waited, not what the clocks of two workers say."""
    state = PartitionState(0)
    apply(state, busy(record(3), 0))
    assert apply(state, busy(record(3), 10**12)) == []


def test_a_clock_that_was_set_back_makes_nobody_wait() -> None:
    """A row of a worker whose clock was ahead is due after its own wait at the latest."""
    schedule = RetrySchedule()
    schedule.note("a", b'{"due":90000000,"wait":500}', 1000)
    assert schedule.take_due(1499) is None
    assert schedule.take_due(1500) == "a"


@pytest.mark.parametrize("days", [1, 40])
def test_a_retry_never_brings_a_deleted_image_back(days: int) -> None:
    """However long ago both happened: a deletion is remembered as long as an upload of its image waits."""
    state, now = PartitionState(0), 50 * DAY_MS
    old = upload(event_id="old", at=now - days * DAY_MS)
    deletion = upload(event_id="gone", at=old.at + 1000, kind=UploadType.DELETED)
    apply(state, busy_upload(record(1, timestamp=now), old))
    apply(state, Done(record(2, timestamp=now), Deleted(deletion)))
    assert expired_rows(RULES.retention, state) == []
    apply(state, Done(record(1, timestamp=now), tagged(old, koala=0.9)))
    assert orjson.loads(state.rows["images"]["img"])["deleted"]
    assert not any("koala" in key for key in state.rows["trends"])
    assert [row.key for row in expired_rows(RULES.retention, state)] == ([] if days == 1 else ["img"])


def test_a_retry_never_overtakes_a_newer_event() -> None:
    """The image was uploaded anew while the old event waited: the old one gets its result, no more."""
    state = PartitionState(0)
    old, new = upload(event_id="old", at=1_000_000), upload(event_id="new", at=2_000_000)
    apply(state, busy(record(1), 0))
    apply(state, done(2, new, sky=0.9))
    outputs = apply(state, done(1, old, koala=0.9))
    assert orjson.loads(state.rows["images"]["img"])["tags"] == ["sky"]
    assert [output.topic for output in outputs] == [NAMES.categorizations]


@pytest.mark.parametrize("version", [None, 3])
@pytest.mark.parametrize("between", [[], ["edit"], ["stale"], ["edit", "stale"]], ids=str)
def test_of_equal_times_the_place_in_the_log_decides(version: int | None, between: list[str]) -> None:
    """As if the source had not been busy: whatever else came to the image meanwhile."""
    events = {
        "edit": (3, edit("edit", added=["zoo"])),
        "stale": (4, upload(event_id="stale", at=5, version=version and 1)),
    }
    for first, second in ((1, 2), (2, 1)):
        state = PartitionState(0)
        apply(state, busy(record(first), 0))
        apply(state, done(second, upload(event_id=f"e{second}", at=1_000_000, version=version), sky=0.9))
        for name in between:
            offset, event = events[name]
            apply(state, done(offset, event))
        apply(state, done(first, upload(event_id=f"e{first}", at=1_000_000, version=version), koala=0.9))
        tags = set(orjson.loads(state.rows["images"]["img"])["tags"]) - {"zoo"}
        assert tags == ({"sky"} if second > first else {"koala"})


def test_a_deletion_of_the_same_time_is_not_undone_by_a_retry() -> None:
    """Events that carry whole seconds often have the same time."""
    state = PartitionState(0)
    apply(state, busy(record(1), 0))
    apply(state, done(2, upload(event_id="no", at=1_000_000, kind=UploadType.DELETED)))
    apply(state, done(1, upload(event_id="yes", at=1_000_000), koala=0.9))
    row = orjson.loads(state.rows["images"]["img"])
    assert (row["deleted"], row["tags"], row["o"]) == (True, [], 2)


def test_the_schedule_gives_each_row_once_when_it_is_due() -> None:
    """A row that was put off again is due later; one that is gone is never due."""
    schedule = RetrySchedule()
    schedule.note("a", b'{"due":100}', 0)
    schedule.note("b", b'{"due":50}', 0)
    schedule.note("c", b'{"due":60}', 0)
    schedule.note("c", None, 0)
    assert schedule.take_due(10) is None
    assert schedule.take_due(99) == "b"
    assert schedule.take_due(99) is None
    schedule.note("a", b'{"due":300}', 99)
    assert schedule.take_due(299) is None
    assert schedule.take_due(300) == "a"
    assert schedule.load.number == 2


def test_a_schedule_knows_who_has_waited_longest() -> None:
    """Whether or not it was taken up meanwhile; nobody, once all are gone."""
    schedule = RetrySchedule()
    schedule.note("a", b'{"due":9000,"since":3000}', 5000)
    schedule.note("b", b'{"due":2000,"since":2000}', 5000)
    assert schedule.take_due(5000) == "b"
    assert schedule.oldest_since == 2000
    schedule.note("b", None, 5000)
    assert schedule.oldest_since == 3000
    schedule.note("a", None, 5000)
    assert schedule.oldest_since is None
