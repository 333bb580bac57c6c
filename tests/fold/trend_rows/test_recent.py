"""What was lately counted of a tag waits in one row until there is enough of it for the tag's buckets."""

import dataclasses
from typing import Any, NamedTuple

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import RULES, done, edit, record, upload
from support.judge.recent import settled

from schemas.topics import TopicNames
from schemas.uploads import UploadType
from streams.fold.budgets.usage import remove_expired
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done
from streams.fold.retention import Retention, expired_rows
from streams.fold.rows import DAY_MS, WINDOWS, TrendKey
from streams.fold.streams.filling import Filling
from streams.fold.trend_rows.count_rows import CountRowCache
from streams.fold.trend_rows.recent import MOST_UPLOADERS, MOST_USES, is_recent
from streams.fold.trend_rows.uploaders import count_uploaders
from streams.state.partition import PartitionState
from streams.state.trends.buckets import Bucket
from streams.state.trends.index import TrendIndex

MINUTE_MS, HOUR_MS = 60_000, 3_600_000
RETENTION = Retention(minute=1 / 24, hour=2, day=10, interests=5, deleted=3)
AT_ONCE = dataclasses.replace(RULES, retention=RETENTION)
GATHERED = dataclasses.replace(AT_ONCE, gather=True)


class Event(NamedTuple):
    """What happens to one of few images."""

    image: int
    kind: str
    tags: frozenset[str]
    user: str | None
    at: int
    seen: int


EVENTS = st.lists(
    st.builds(
        Event,
        st.integers(0, 3),
        st.sampled_from(["upload", "upload", "upload", "delete", "edit"]),
        st.frozensets(st.sampled_from(["koala", "tree", "sea"]), max_size=3),
        st.sampled_from([None, "ann", "bob", "cyd"]),
        st.sampled_from([0, 1, MINUTE_MS, 3 * MINUTE_MS, HOUR_MS, DAY_MS, 3 * DAY_MS]),
        st.sampled_from([0, MINUTE_MS, HOUR_MS, DAY_MS, 4 * DAY_MS, 12 * DAY_MS]),
    ),
    max_size=40,
)


class World:
    """A partition whose events are folded and committed one by one."""

    def __init__(self, rules: FoldRules) -> None:
        self.state = PartitionState(0)
        self.rules = rules
        self.clock = 100 * DAY_MS
        self._cache = CountRowCache()
        self._next = 0

    def commit(self, *events: Done, rules: FoldRules | None = None, filling: Filling | None = None) -> int:
        """Fold events in one transaction, and what a sweep finds; give how many rows of counts change."""
        changes = Changes(self.state.rows, self._cache)
        for expired in expired_rows(self.rules.retention, self.state):
            remove_expired(changes, self.rules.retention, *expired)
        for event in events:
            fold(changes, event, rules or self.rules)
        if filling is not None:
            filling.take().apply(changes, self.rules.retention)
        rows = list(changes.encoded())
        for row in rows:
            self.state.apply(*row)
        return sum(table == "trends" for table, _, _ in rows)

    def play(self, event: Event) -> None:
        """Commit an event; what cannot be is a dead letter in any world."""
        self.clock = max(self.clock, 100 * DAY_MS + event.seen)
        name, at = f"image{event.image}", self.clock - event.at
        if event.kind == "edit":
            came = edit(f"e{self._next}", at=at, public_id=name, added=sorted(event.tags), removed=["sky"])
        else:
            kind = UploadType.DELETED if event.kind == "delete" else UploadType.UPLOADED
            came = upload(name, f"e{self._next}", at=at, kind=kind, user_id=event.user)
        told = done(self._next, came, **dict.fromkeys(sorted(event.tags), 0.9))
        self.commit(dataclasses.replace(told, record=record(self._next, timestamp=self.clock)))
        self._next += 1

    def upload(self, number: int, user: str, past: int = 0, **tags: float) -> Done:
        event = upload(f"i{number}", f"e{number}", at=self.clock - past, user_id=user)
        return dataclasses.replace(done(number, event, **tags), record=record(number, timestamp=self.clock))

    @property
    def recent(self) -> list[str]:
        return [key for key in self.state.rows["trends"] if is_recent(key)]

    def rows(self) -> dict[str, Any]:
        """The rows of buckets that are kept, as if nothing waited."""
        rows = settled({key: orjson.loads(row) for key, row in self.state.rows["trends"].items()})
        places = {key: TrendKey.decode(key) for key in rows}
        return {
            key: row
            for key, row in rows.items()
            if RETENTION.keeps(places[key].window, places[key].start, self.clock)
        }

    def counts(self) -> dict[str, Any]:
        """What they say but for the uploaders."""
        return {
            key: {name: value for name, value in row.items() if name not in {"o", "u"}}
            for key, row in self.rows().items()
        }

    def uploaders(self) -> dict[str, int]:
        return {key: count_uploaders([row["u"]]) if "u" in row else 0 for key, row in self.rows().items()}

    def meta(self) -> dict[str, Any]:
        return {key: orjson.loads(row) for key, row in self.state.rows["meta"].items()}


@settings(max_examples=150, deadline=None)
@given(EVENTS)
def test_nothing_is_counted_otherwise_for_waiting(events: list[Event]) -> None:
    """Whatever comes, rows and what waits are together what is counted where nothing waits.

    Also which counts came too late, and how many tags a tenant has. Sketches never forget, but with a
    bucket's last image its row goes, and with it the sketch; what waits remembers longer.
    """
    waiting, at_once = World(GATHERED), World(AT_ONCE)
    for event in events:
        waiting.play(event)
        at_once.play(event)
        assert waiting.counts() == at_once.counts()
        assert waiting.meta() == at_once.meta()
        seen = waiting.uploaders()
        assert all(seen[key] >= uploaders for key, uploaders in at_once.uploaders().items())
    assert not at_once.recent


@settings(max_examples=100, deadline=None)
@given(EVENTS, st.integers(0, 40))
def test_rows_of_before_are_added_to(events: list[Event], older: int) -> None:
    """Buckets that earlier versions wrote stay as they are, and what is counted since comes on top."""
    mixed, at_once = World(AT_ONCE), World(AT_ONCE)
    for number, event in enumerate(events):
        mixed.rules = AT_ONCE if number < older else GATHERED
        mixed.play(event)
        at_once.play(event)
    assert mixed.counts() == at_once.counts()


@settings(max_examples=100, deadline=None)
@given(EVENTS)
def test_questions_have_the_same_answers(events: list[Event]) -> None:
    """By rows as they change, and by all of them as they are loaded: counts, uploaders, first and last."""
    waiting, at_once = World(GATHERED), World(AT_ONCE)
    followed = TrendIndex({0: waiting.state})
    waiting.state.indexes.append(followed)
    waiting.state._heard.add("trends")
    for event in events:
        waiting.play(event)
        at_once.play(event)
    loaded, expected = TrendIndex({0: waiting.state}), TrendIndex({0: at_once.state})
    for index, state in ((loaded, waiting.state), (expected, at_once.state)):
        loading = index.loading(0)
        loading.take([*state.rows["trends"]], [*state.rows["trends"].values()])
        loading.sort()
        for _ in loading.finish():
            pass
    must = answers(expected, at_once)
    assert answers(followed, at_once) == must
    assert answers(loaded, at_once) == must
    for index in (followed, loaded):
        for key, uploaders in waiting.uploaders().items():
            place = TrendKey.decode(key)
            assert index.tenant().uploaders(place.tag, [Bucket(place.window, place.start)]) == uploaders


def answers(index: TrendIndex, world: World) -> dict[str, Any]:
    trends = index.tenant()
    found: dict[str, Any] = {"names": trends.names("", None, 10)}
    for key in world.counts():
        place = TrendKey.decode(key)
        bucket = [Bucket(place.window, place.start)]
        found[key] = (
            trends.count(place.tag, bucket),
            trends.by_add_on(place.tag, bucket),
            trends.seen(place.tag),
        )
    return found


def test_a_use_of_a_tag_is_one_row() -> None:
    """Four windows, one row; it goes to the buckets when it has uploaders enough."""
    world = World(GATHERED)
    for number in range(MOST_UPLOADERS - 1):
        assert world.commit(world.upload(number, f"user{number}", koala=0.9)) == 1
    assert [*world.state.rows["trends"]] == ["recent:0:koala"]
    assert world.commit(world.upload(99, "the last", koala=0.9)) == 1 + len(WINDOWS)
    assert {TrendKey.decode(key).window for key in world.state.rows["trends"]} == {*WINDOWS}


def test_uses_of_many_minutes_do_not_wait() -> None:
    """A row has those of a few minutes at most, however few uploaders they have."""
    world = World(GATHERED)
    for number in range(MOST_USES):
        world.commit(world.upload(number, "ann", number * MINUTE_MS, koala=0.9))
    assert world.recent
    world.commit(world.upload(99, "ann", 30 * MINUTE_MS, koala=0.9))
    assert not world.recent


def test_a_row_has_an_uploader_who_empties_a_camera_once() -> None:
    """One after the other they take no room."""
    world = World(GATHERED)
    for number in range(3 * MOST_UPLOADERS):
        world.commit(world.upload(number, "ann", koala=0.9))
    (row,) = world.state.rows["trends"].values()
    assert len(row) < 200
    assert world.uploaders()["all:0:koala"] == 1


def test_what_came_too_late_for_a_bucket_does_not_wait_for_it() -> None:
    """An image of three days ago waits to be counted in its day and in all, and nowhere else."""
    world = World(GATHERED)
    world.commit(world.upload(0, "ann", 3 * DAY_MS, koala=0.9))
    index = TrendIndex({0: world.state})
    index.changed(0, "trends", "recent:0:koala", None, world.state.rows["trends"]["recent:0:koala"])
    at = (world.clock - 3 * DAY_MS) // 1000
    counts = [index.tenant().count("koala", [Bucket(window, at)]) for window in WINDOWS[1:]]
    assert counts == [0, 0, 1]
    assert world.meta()["@offset"]["late"] == 2


def test_what_is_withdrawn_leaves_nothing() -> None:
    """The last image of a tag is deleted: no row of it stays, and none was ever written to a bucket."""
    world = World(GATHERED)
    world.play(Event(0, "upload", frozenset({"koala"}), "ann", 0, 0))
    world.play(Event(0, "delete", frozenset(), None, 0, 0))
    assert world.state.rows["trends"] == {}


def test_what_comes_and_goes_in_one_transaction_is_no_row() -> None:
    """Not even the mark of one that is removed."""
    world = World(GATHERED)
    gone = upload("i0", "gone", at=world.clock, kind=UploadType.DELETED)
    assert world.commit(world.upload(0, "ann", koala=0.9), done(1, gone)) == 4
    assert world.state.rows["trends"] == {}


def test_a_sweep_settles_what_waits_for_too_long() -> None:
    """Once its minute is past its retention, the hour, the day and the total get it."""
    world = World(GATHERED)
    world.commit(world.upload(0, "ann", koala=0.9))
    world.clock += HOUR_MS + MINUTE_MS
    world.commit(world.upload(1, "ann", tree=0.9))
    world.commit()
    assert world.recent == ["recent:0:tree"]
    koala = {TrendKey.decode(key).window for key in world.state.rows["trends"] if key.endswith("koala")}
    assert koala == {"all", "hour", "day"}


def test_a_stream_that_is_turned_on_has_what_waited() -> None:
    """It goes to its buckets, and is told with them."""
    world = World(GATHERED)
    world.commit(world.upload(0, "ann", koala=0.9))
    filling, names = Filling(), TopicNames("app", streams=("tag.counts",))
    filling.begin(world.state.rows, {"tag.counts": names.tag_counts})
    world.commit(rules=AT_ONCE, filling=filling)
    assert not world.recent
    assert {TrendKey.decode(key).window for key in world.state.rows["trends"]} == {*WINDOWS}
