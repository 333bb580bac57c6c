import functools

import orjson
import pytest
from support import fakes
from support.fakes import NAMES, done, record, tagged, upload

from schemas.uploads import UploadType
from streams.fold.fold import FoldRules
from streams.fold.outcomes import Deleted, Done
from streams.fold.retention import Retention, expired_rows
from streams.fold.retries import RetryPolicy
from streams.fold.rows import DAY_MS, InterestKey, TrendKey, bucket_start
from streams.state.partition import PartitionState

HOUR_MS = 3_600_000
RETENTION = Retention(minute=1 / 24, hour=2, day=10, interests=5, deleted=3)
apply = functools.partial(fakes.apply, rules=FoldRules(NAMES, RETENTION, RetryPolicy()))


def at_day(day: float, event_id: str, seen: float | None = None, **tags: float) -> Done:
    event = upload(event_id, event_id, at=int(day * DAY_MS), user_id="u")
    kafka_time = int((day if seen is None else seen) * DAY_MS)
    return Done(record(int(event_id), timestamp=kafka_time), tagged(event, **tags))


def expired(state: PartitionState, table: str) -> list[str]:
    return [found.key for found in expired_rows(RETENTION, state) if found.table == table]


def sweep(state: PartitionState) -> None:
    for table, key, _ in expired_rows(RETENTION, state):
        state.apply(table, key, None)


def windows(state: PartitionState) -> set[str]:
    return {TrendKey.decode(key).window for key in state.rows["trends"]}


def test_buckets_past_their_retention_are_found() -> None:
    """Each window has its own; all-time totals stay, and so do buckets that still count."""
    state = PartitionState(0)
    apply(state, at_day(100, "1", koala=0.9))
    apply(state, at_day(104, "2", tree=0.9))
    keys = [TrendKey.decode(key) for key in expired(state, "trends")]
    assert {(key.window, key.tag) for key in keys} == {("minute", "koala"), ("hour", "koala")}


def test_a_bucket_counts_until_its_end_plus_retention() -> None:
    """The bucket of 00:00-01:00 with two days of retention counts until 01:00 of the third day."""
    assert RETENTION.keeps("hour", 0, 2 * DAY_MS + HOUR_MS - 1)
    assert not RETENTION.keeps("hour", 0, 2 * DAY_MS + HOUR_MS)


def test_a_late_event_counts_in_its_own_bucket() -> None:
    """Event time decides, not arrival, as long as the bucket is kept."""
    state = PartitionState(0)
    apply(state, at_day(100, "1", koala=0.9))
    apply(state, at_day(99, "2", seen=100, koala=0.9))
    day = TrendKey("", "day", bucket_start("day", 99 * DAY_MS), "koala").encode()
    assert orjson.loads(state.rows["trends"][day])["n"] == 1


def test_an_event_that_is_too_late_is_counted_as_such() -> None:
    """Buckets that are gone stay gone; the total knows the image, and `late` says what was dropped."""
    state = PartitionState(0)
    apply(state, at_day(100, "1", tree=0.9))
    apply(state, at_day(50, "2", seen=100, koala=0.9))
    koala = {key.window for key in map(TrendKey.decode, state.rows["trends"]) if key.tag == "koala"}
    assert koala == {"all"}
    assert state.late_dropped == 3
    assert InterestKey("", "u", 50).encode() not in state.rows["interests"]


def test_removing_from_a_bucket_that_is_gone_changes_nothing() -> None:
    """An old image is deleted: only what still counts is taken back."""
    state = PartitionState(0)
    apply(state, at_day(100, "1", koala=0.9))
    sweep(state)
    again = upload("1", "9", at=200 * DAY_MS)
    apply(state, Done(record(9, timestamp=200 * DAY_MS), tagged(again, tree=0.9)))
    assert "koala" not in {TrendKey.decode(key).tag for key in state.rows["trends"] if "all" in key}
    assert windows(state) == {"all", "minute", "hour", "day"}


def test_interests_past_their_retention_are_found() -> None:
    """A user's tags of a day go when the day is too long ago."""
    state = PartitionState(0)
    apply(state, at_day(100, "1", koala=0.9))
    apply(state, at_day(107, "2", koala=0.9))
    assert [InterestKey.decode(key).day for key in expired(state, "interests")] == [100]


def deletion(day: float, event_id: str, public_id: str) -> Done:
    event = upload(public_id, event_id, at=int(day * DAY_MS), kind=UploadType.DELETED)
    return Done(record(int(event_id), timestamp=event.at), Deleted(event))


def late(event_id: str, public_id: str, at: float, seen: float) -> Done:
    """An upload that happened before its image was deleted, and comes afterwards."""
    event = upload(public_id, event_id, at=int(at * DAY_MS))
    return Done(record(int(event_id), timestamp=int(seen * DAY_MS)), tagged(event, koala=0.9))


@pytest.mark.parametrize("swept", [True, False])
def test_a_deleted_image_is_remembered_for_a_while(*, swept: bool) -> None:
    """Older events do not bring it back; when it is forgotten they do, whether or not its row was swept."""
    state = PartitionState(0)
    apply(state, at_day(100, "1", koala=0.9))
    apply(state, deletion(101, "2", "1"))
    apply(state, late("3", "1", at=100.5, seen=103.9))
    assert orjson.loads(state.rows["images"]["1"])["deleted"]
    assert expired(state, "images") == []
    apply(state, at_day(104, "4", tree=0.9))
    assert expired(state, "images") == ["1"]
    if swept:
        sweep(state)
        assert state.rows["images"].keys() == {"4"}
    apply(state, late("5", "1", at=100.6, seen=104))
    row = orjson.loads(state.rows["images"]["1"])
    assert (row["tags"], row.get("deleted")) == (["koala"], None)
    assert expired(state, "images") == []


def test_an_image_that_was_never_deleted_is_not_forgotten() -> None:
    """However old it is, and whatever its texts say."""
    state = PartitionState(0)
    apply(state, Done(record(1), tagged(upload('"deleted":true', at=0), koala=0.9)))
    apply(state, at_day(9000, "2", tree=0.9))
    assert expired(state, "images") == []


def test_done_helper_speaks_for_its_record() -> None:
    """The stand-in keeps the offset that it was given."""
    assert done(7, upload(), koala=0.9).record.offset == 7
