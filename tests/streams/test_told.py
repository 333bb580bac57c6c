"""Streams of what changed: folded by their keys they are the rows, whatever happens."""

import random
from collections.abc import Iterator

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import NAMES, RULES, done, edit, upload

from schemas.streams.records import ALL_ADD_ONS, IMAGE_TAGS, TAG_COUNTS
from schemas.times import utc_text
from schemas.topics import TopicNames
from schemas.uploads import UploadType
from streams.fold.budgets.usage import remove_expired
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done, Output
from streams.fold.rows import TrendKey
from streams.fold.streams.filling import FILLED, Filling
from streams.fold.streams.tag_counts import Share
from streams.fold.streams.told import told
from streams.fold.trend_rows.count_rows import CountRowCache
from streams.state.partition import PartitionState

STREAMED = TopicNames("app", streams=(IMAGE_TAGS, TAG_COUNTS))
HOUR_MS = 3_600_000
Folded = dict[str, dict[bytes, dict[str, object]]]


class Subject:
    """A partition and what an independent reader makes of its streams."""

    def __init__(self) -> None:
        self.state = PartitionState(0)
        self.folded: Folded = {STREAMED.image_tags: {}, STREAMED.tag_counts: {}}
        self.sent: list[Output] = []
        self._cache = CountRowCache()

    def apply(self, *events: Done, expired: bool = False, filling: Filling | None = None) -> list[Output]:
        """Fold events as one transaction; return what the streams are told."""
        changes = Changes(self.state.rows, self._cache)
        if expired:
            for table in ("trends", "images"):
                for key, row in list(self.state.rows[table].items()):
                    remove_expired(changes, RULES.retention, table, key, row)
        for event in events:
            fold(changes, event, RULES)
        if filling is not None:
            filling.take().apply(changes, RULES.retention)
        rows = list(changes.encoded())
        self.sent = list(told(changes, STREAMED, Share(0, self.state.stream_time)))
        for output in self.sent:
            assert output.key is not None
            if output.value is None:
                self.folded[output.topic].pop(output.key, None)
            else:
                self.folded[output.topic][output.key] = orjson.loads(output.value)
        for table, key, value in rows:
            self.state.apply(table, key, value)
        return self.sent

    def check(self) -> None:
        """The streams, folded, are the rows; each value has its key's fields."""
        assert {(row["public_id"], row["tag"]) for row in self.tags} == set(self.tags_of_rows())
        counts = {
            (row["window"], row["tag"], row["add_on"], row["start"]): row["count"] for row in self.counts
        }
        assert counts == dict(self.counts_of_rows())
        for rows in self.folded.values():
            assert all(orjson.loads(key).items() <= row.items() for key, row in rows.items())

    @property
    def tags(self) -> list[dict[str, object]]:
        return list(self.folded[STREAMED.image_tags].values())

    @property
    def counts(self) -> list[dict[str, object]]:
        return list(self.folded[STREAMED.tag_counts].values())

    def tags_of_rows(self) -> Iterator[tuple[str, str]]:
        for key, row in self.state.rows["images"].items():
            yield from ((key, tag) for tag in orjson.loads(row)["tags"])

    def counts_of_rows(self) -> Iterator[tuple[tuple[str, str, str, object], int]]:
        for key, encoded in self.state.rows["trends"].items():
            place, row = TrendKey.decode(key), orjson.loads(encoded)
            start = utc_text(place.start * 1000)
            for add_on, count in {ALL_ADD_ONS: row["n"], **row["by"]}.items():
                yield (place.window, place.tag, add_on, start), count


def test_a_tag_of_an_image() -> None:
    """Flat: whose, which, how sure, who says so, by which model, of whom and when."""
    subject = Subject()
    subject.apply(done(0, upload(user_id="ann", tags=["mine"]), koala=0.9, tree=0.2))
    found = {row["tag"]: row for row in subject.tags}
    assert found["koala"] == {
        "tenant": "",
        "public_id": "img",
        "tag": "koala",
        "confidence": 0.9,
        "source": "imagga_tagging",
        "model": "m/1",
        "user_id": "ann",
        "uploaded_at": "1970-01-01T01:00:00Z",
    }
    assert (found["mine"]["confidence"], found["mine"]["source"], found["mine"]["model"]) == (
        1.0,
        "own",
        None,
    )
    assert found.keys() == {"koala", "mine"}


def test_a_withdrawn_tag_is_a_tombstone_and_the_others_are_not_told_again() -> None:
    """An edit tells the tags that it touches; a deletion takes all of them away."""
    subject = Subject()
    subject.apply(done(0, upload(), koala=0.9, tree=0.8))
    sent = subject.apply(done(1, edit("x", removed=["tree"], added=["bear"])))
    told_tags = {orjson.loads(out.key or b"")["tag"]: out.value for out in sent if out.topic == "image.tags"}
    assert told_tags.keys() == {"tree", "bear"}
    assert told_tags["tree"] is None
    assert orjson.loads(told_tags["bear"] or b"")["source"] == "people"
    sent = subject.apply(done(2, upload(event_id="d", at=3 * HOUR_MS, kind=UploadType.DELETED)))
    assert [out.value for out in sent if out.topic == "image.tags"] == [None, None]
    assert not subject.tags
    assert not subject.counts


def test_a_count_and_its_clock() -> None:
    """Per add-on and all together, with a sketch of the uploaders; the clock is that before it all."""
    subject = Subject()
    subject.apply(done(0, upload(user_id="ann"), koala=0.9))
    subject.apply(done(1, upload("other", "e2", user_id="bob"), koala=0.9))
    totals = [row for row in subject.counts if (row["window"], row["add_on"]) == ("hour", ALL_ADD_ONS)]
    (total,) = totals
    assert total.pop("uploaders")
    assert total == {
        "tenant": "",
        "tag": "koala",
        "add_on": "*",
        "window": "hour",
        "start": "1970-01-01T01:00:00Z",
        "partition": 0,
        "count": 2,
        "clock": 1000,
    }
    assert {row["add_on"] for row in subject.counts} == {"*", "imagga_tagging"}
    assert {row["window"] for row in subject.counts} == {"minute", "hour", "day", "all"}


def test_what_is_off_is_not_told() -> None:
    """Without the setting a transaction holds no record of a stream."""
    changes = Changes(PartitionState(0).rows)
    fold(changes, done(0, upload(), koala=0.9), RULES)
    assert not list(told(changes, NAMES, Share(0, 0)))


def events(seed: int) -> Iterator[Done]:
    """Uploads, repeats, edits and deletions of few images, at random."""
    chance = random.Random(seed)
    for offset in range(60):
        name, at = f"i{chance.randrange(4)}", chance.randrange(3) * HOUR_MS
        kind = chance.choice(["up", "up", "up", "edit", "delete"])
        if kind == "edit":
            words = chance.sample(["koala", "sky", "sea"], 2)
            yield done(offset, edit(f"e{offset}", at=at, public_id=name, added=words[:1], removed=words[1:]))
        elif kind == "delete":
            yield done(offset, upload(name, f"e{chance.randrange(30)}", at=at, kind=UploadType.DELETED))
        else:
            tags = {tag: chance.choice([0.3, 0.7, 0.9]) for tag in chance.sample(["koala", "sky", "sea"], 2)}
            user = chance.choice([None, "ann", "bob"])
            yield done(offset, upload(name, f"e{chance.randrange(30)}", at=at, user_id=user), **tags)


@settings(max_examples=60)
@given(st.integers(), st.integers(1, 9))
def test_streams_folded_are_the_rows(seed: int, at_once: int) -> None:
    """Law: whatever comes, in transactions of whatever size."""
    subject, waiting = Subject(), list(events(seed))
    while waiting:
        subject.apply(*waiting[:at_once])
        waiting = waiting[at_once:]
        subject.check()
    subject.apply(expired=True)
    subject.check()
    assert not subject.counts


@pytest.mark.parametrize("topics", [{}, {IMAGE_TAGS: "old", TAG_COUNTS: "old"}])
def test_a_stream_that_is_turned_on_is_filled(topics: dict[str, str]) -> None:
    """With all that there is, in portions, while events go on; then a row says so, and that is all."""
    subject = Subject()
    for number in range(450):
        subject.apply(done(number, upload(f"i{number}", f"e{number}"), koala=0.9))
    for stream, topic in topics.items():
        subject.state.apply("meta", FILLED + stream, orjson.dumps({"topic": topic}))
    for rows in subject.folded.values():
        rows.clear()
    filling, turned_on = Filling(), {IMAGE_TAGS: "new", TAG_COUNTS: "new"}
    filling.begin(subject.state.rows, turned_on)
    offset = 450
    while filling.is_due:
        one = upload("i3", f"x{offset}", at=offset * HOUR_MS)
        subject.apply(done(offset, one, **{f"t{offset}": 0.9}), filling=filling)
        offset += 1
    assert offset - 450 == 3 + 1 + 1 + 1
    subject.check()
    filling.begin(subject.state.rows, turned_on)
    assert not filling.is_due


def test_a_stream_that_was_off_is_filled_anew() -> None:
    """What it missed is not known: turned off its row goes, so that it is whole once it is on again."""
    subject = Subject()
    subject.apply(done(0, upload(), koala=0.9))
    subject.state.apply("meta", FILLED + IMAGE_TAGS, orjson.dumps({"topic": "t"}))
    filling = Filling()
    filling.begin(subject.state.rows, {})
    subject.apply(filling=filling)
    assert FILLED + IMAGE_TAGS not in subject.state.rows["meta"]
    filling.begin(subject.state.rows, {IMAGE_TAGS: "t"})
    assert filling.is_due
