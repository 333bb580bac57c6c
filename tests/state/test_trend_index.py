"""Laws of the trend index: whatever changes it is fed, its answers equal a recount."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from random import Random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.trend_rows import TrendRows

from streams.fold.rows import ALL, WINDOW_SECONDS, TrendKey, bucket_start
from streams.fold.trend_rows.uploaders import Uploaders
from streams.state.trends import counts as trend_counts
from streams.state.trends import rising as rising_module
from streams.state.trends.buckets import ALL_TIME, Bucket, Tally, add_up
from streams.state.trends.counts import Ranked, TenantTrends
from streams.state.trends.index import TrendIndex
from streams.state.trends.rising import METHOD, Sums, expect, find_candidates, pick, score, sum_up
from streams.state.turns import in_turns
from streams.web.access.errors import BadQuestionError
from streams.web.api.baselines import baseline_of, blocks_of
from streams.web.api.windows import AskedWindow, Span, window_kind

NOON = 1_795_521_600  # 2026-11-24T12:00:00Z
MINUTE, HOUR, DAY = 60, 3600, 86_400

Row = dict[str, Any]
Rows = dict[tuple[int, str], Row]

tags = st.sampled_from(["koala", "sea", "sky", "a:b", "Zoë"])
places = st.builds(
    TrendKey,
    tenant=st.sampled_from(["", "acme"]),
    window=st.sampled_from(["hour", "day"]),
    start=st.sampled_from([0, DAY, 2 * DAY]),
    tag=tags,
)
values = st.builds(
    lambda by: {"o": 1, "n": sum(by.values()), "by": by},
    st.dictionaries(st.sampled_from(["own", "imagga_tagging"]), st.integers(1, 9), min_size=1),
)
changes = st.lists(st.tuples(st.integers(0, 2), places, st.none() | values), max_size=60)


def feed(trends: TrendRows, steps: Iterable[tuple[int, TrendKey, Row | None]]) -> Rows:
    """Feed changes as a state does; return the rows that are left."""
    rows: Rows = {}
    for partition, place, new in steps:
        trends.put(partition, place.encode(), None if new is None else orjson.dumps(new))
        rows.pop((partition, place.encode()), None)
        if new is not None:
            rows[partition, place.encode()] = new
    return rows


def recount(rows: Rows, tenant: str, buckets: list[Bucket], add_on: str | None = None) -> Counter[str]:
    total: Counter[str] = Counter()
    for (_, key), row in rows.items():
        place = TrendKey.decode(key)
        if place.tenant == tenant and (place.window, place.start) in buckets:
            total[place.tag] += row["n"] if add_on is None else row["by"].get(add_on, 0)
    return +total


@given(changes, st.sampled_from(["", "acme"]), st.sampled_from([None, "own", "imagga_tagging", "none"]))
def test_counts_equal_a_recount(
    steps: list[tuple[int, TrendKey, Row | None]], tenant: str, add_on: str | None
) -> None:
    """Any sequence of changed, new and removed rows leaves the counts of the rows that are left."""
    fed = TrendRows()
    rows = feed(fed, steps)
    buckets = [Bucket("hour", 0), Bucket("day", DAY), Bucket("day", 2 * DAY)]
    trends = fed.index.tenant(tenant)
    wanted = recount(rows, tenant, buckets, add_on)
    counts = trends.counts(buckets, add_on)
    assert {tag: int(n) for tag, n in zip(trends.tags, counts, strict=True) if n} == wanted
    for tag in trends.tags:
        assert trends.count(tag, buckets) == recount(rows, tenant, buckets)[tag]
        by = {name: recount(rows, tenant, buckets, name)[tag] for name in ("imagga_tagging", "own")}
        assert trends.by_add_on(tag, buckets) == {name: n for name, n in by.items() if n}


@given(changes, st.integers(1, 6))
def test_top_equals_a_sort(steps: list[tuple[int, TrendKey, Row | None]], limit: int) -> None:
    """The first of an order by count, then name; tags without images are not in it."""
    fed = TrendRows()
    rows = feed(fed, steps)
    buckets = [Bucket("hour", 0), Bucket("day", 0)]
    trends = fed.index.tenant("")
    ordered = sorted(recount(rows, "", buckets).items(), key=lambda item: (-item[1], item[0]))
    assert trends.top(trends.counts(buckets), limit) == [Ranked(*item) for item in ordered[:limit]]


@given(changes, st.randoms(use_true_random=False))
def test_the_order_of_partitions_and_keys_does_not_matter(
    steps: list[tuple[int, TrendKey, Row | None]], random: Random
) -> None:
    """Rows that arrive in another order give the same answers."""
    fed, other = TrendRows(), TrendRows()
    rows = feed(fed, steps)
    left = list(rows.items())
    random.shuffle(left)
    feed(other, [(partition, TrendKey.decode(key), row) for (partition, key), row in left])
    buckets = [Bucket("hour", DAY), Bucket("day", DAY)]
    for tenant in ("", "acme"):
        one, two = fed.index.tenant(tenant), other.index.tenant(tenant)
        assert one.top(one.counts(buckets), 9) == two.top(two.counts(buckets), 9)
        assert one.begin() == two.begin()


@given(changes)
def test_nothing_is_left_of_what_is_withdrawn(steps: list[tuple[int, TrendKey, Row | None]]) -> None:
    """An index whose rows are all gone is empty: expired buckets cost nothing."""
    fed = TrendRows()
    rows = feed(fed, steps)
    for partition, key in rows:
        fed.put(partition, key, None)
    assert fed.index._tenants == {}


wide = st.integers(0, 40) | st.integers(0, 5000)
additions = st.lists(
    st.dictionaries(wide, st.integers(-3, 9), min_size=1, max_size=80) | st.tuples(wide, st.integers(-3, 9)),
    max_size=40,
)


@given(st.lists(additions, max_size=3))
def test_tallies_equal_a_counter(tallies: list[list[dict[int, int] | tuple[int, int]]]) -> None:
    """Whichever form they take, one by one and added up, asked between the additions or not."""
    made, total = [], Counter[int]()
    for steps in tallies:
        tally, counter = Tally(), Counter[int]()
        for step in steps:
            if isinstance(step, dict):
                tally.add_many(np.array([*step], np.int32), np.array([*step.values()], np.int32))
                counter.update(step)
            else:
                tally.add(*step)
                counter.update(dict([step]))
            (last,) = add_up([tally], 5001).nonzero()
            assert last.tolist() == sorted(tag for tag in counter if counter[tag])
        assert [tally.get(tag) for tag in counter] == [*counter.values()]
        assert tally.get_many(np.array([*counter], np.int32)).tolist() == [*counter.values()]
        assert tally.get(9999) == 0
        made.append(tally)
        total.update(counter)
    summed = add_up(made, 5001)
    assert {tag: int(summed[tag]) for tag in total} == total
    assert summed.sum() == total.total()


def test_a_tally_of_few_tags_is_small_whatever_their_numbers() -> None:
    """An array would have a place for each tag that was ever seen; it is one where many of them are used."""
    tally = Tally()
    for tag in (0, 999_999, 5):
        tally.add(tag, 1)
    assert tally.array is None
    for tag in range(2000):
        tally.add(tag, 1)
    assert tally.array is None
    tally.add_many(np.arange(70_000, dtype=np.int32), np.ones(70_000, np.int32))
    assert (tally.array is not None, tally.get(0), tally.get(999_999)) == (True, 3, 1)
    tally.add(9_999_999, 1)
    assert (tally.array, tally.get(0), tally.get(69_999), tally.get(9_999_999)) == (None, 3, 1, 1)


def test_a_tally_does_not_change_its_form_to_and_fro() -> None:
    """Tags that come with numbers just so far apart leave it in its array."""
    tally, arrays = Tally(), 0
    for tag in range(0, 16 * 2000, 16):
        before = tally.array
        tally.add(tag, 1)
        arrays += tally.array is not before
    assert arrays < 60


def test_other_tables_are_passed_over() -> None:
    """Listeners hear of every table."""
    index = TrendIndex({})
    index.changed(0, "images", "koala", None, b"{}")
    assert index.tenant().is_empty


@dataclass
class World:
    """Images, and the rows that they leave: a fold of the simplest kind."""

    trends: TrendRows = field(default_factory=TrendRows)
    rows: Rows = field(default_factory=dict)
    sketches: dict[tuple[int, str], Uploaders] = field(default_factory=dict)

    @property
    def tenant(self) -> TenantTrends:
        return self.trends.index.tenant()

    def upload(self, tag: str, at: float, user: str | None = None, number: int = 1) -> None:
        """Count images of a user at a moment in seconds, in the partition that the user falls to."""
        partition, ms = len(user or "") % 3, int(at * 1000)
        for window in (ALL, *WINDOW_SECONDS):
            key = TrendKey("", window, bucket_start(window, ms), tag).encode()
            old = self.rows.get((partition, key), {"n": 0, "by": {}})
            new = {"o": 1, "n": old["n"] + number, "by": {"own": old["n"] + number}}
            if user is not None:
                sketch = self.sketches.setdefault((partition, key), Uploaders())
                sketch.add(user)
                new["u"] = sketch.encoded()
            elif "u" in old:
                new["u"] = old["u"]
            if window == ALL:
                new |= {"first": min(old.get("first", ms), ms), "last": max(old.get("last", ms), ms)}
            self.trends.put(partition, key, orjson.dumps(new))
            self.rows[partition, key] = new


moments = st.integers(NOON - 9 * DAY, NOON + HOUR)
uploads = st.lists(st.tuples(tags, moments, st.none() | st.sampled_from(["ann", "bo", "chris"])), max_size=30)


@given(uploads, st.sampled_from(["1h", "24h", "7d", "2026-11-24T11", "2026-11-23"]), st.integers(0, 2 * DAY))
def test_windows_hold_what_happened_in_them(
    images: list[tuple[str, int, str | None]], name: str, later: int
) -> None:
    """The counts of a window, made of days and hours and minutes, equal a recount of the images in it."""
    world = World()
    for tag, at, user in images:
        world.upload(tag, at, user)
    span = AskedWindow(name).span(NOON + later)
    trends = world.tenant
    inside = [(tag, user) for tag, at, user in images if span.start <= at < span.end]
    wanted = Counter(tag for tag, _ in inside)
    counts = trends.counts(span.buckets())
    assert {tag: int(n) for tag, n in zip(trends.tags, counts, strict=True) if n} == wanted
    for tag in trends.tags:
        users = {user for other, user in inside if other == tag and user}
        assert trends.uploaders(tag, span.buckets()) == len(users)
        for step in ("hour", "day"):
            assert sum(trends.count(tag, part.buckets()) for part in span.steps(step)) == wanted[tag]


many_ties = st.lists(
    st.tuples(
        st.sampled_from([f"tag{number}" for number in range(25)]),
        st.sampled_from([NOON - hours * HOUR for hours in range(4)]),
        st.none() | st.sampled_from(["ann", "bo", "chris"]),
    ),
    max_size=60,
)


@given(uploads | many_ties, st.integers(1, 8))
def test_top_by_uploaders_equals_a_full_walk(images: list[tuple[str, int, str | None]], limit: int) -> None:
    """Stopping early loses no tag."""
    world = World()
    for tag, at, user in images:
        world.upload(tag, at, user)
    trends, buckets = world.tenant, AskedWindow("7d").span(NOON).buckets()
    counts = trends.counts(buckets)
    everything = [
        Ranked(tag, int(uses), trends.uploaders(tag, buckets))
        for tag, uses in zip(trends.tags, counts, strict=True)
    ]
    ordered = sorted(
        (tag for tag in everything if tag.uploaders), key=lambda tag: (-(tag.uploaders or 0), tag.tag)
    )
    assert trends.top_by_uploaders(counts, buckets, limit) == ordered[:limit]


def test_top_by_uploaders_merges_few_sketches_where_uploaders_are_few() -> None:
    """One person who uploads everything makes all tags equal, and their names order them."""
    world, names = World(), [f"tag{number:03}" for number in range(300)]
    for name in names:
        for hours in range(2):
            world.upload(name, NOON - hours * HOUR, "ann")
    buckets = AskedWindow("24h").span(NOON).buckets()
    found = world.tenant.top_by_uploaders(world.tenant.counts(buckets), buckets, 5)
    assert found == [Ranked(name, 2, 1) for name in names[:5]]
    merged = {key.tag for key in world.trends.index._sketches._remembered if key.window != ALL}
    assert merged == set(names[:5])


def test_uploaders_are_estimated_within_the_stated_error() -> None:
    """2,000 users over three partitions, within three standard errors; new ones count at once."""
    world = World()
    for number in range(2000):
        world.upload("koala", NOON - number % 5 * HOUR, f"user-{number:0{4 + number % 3}}")
        if number in {10, 500}:
            assert world.tenant.uploaders("koala", [ALL_TIME]) == pytest.approx(number + 1, rel=0.1)
    buckets = AskedWindow("24h").span(NOON).buckets()
    assert world.tenant.uploaders("koala", buckets) == pytest.approx(2000, rel=0.1)


def test_first_and_last_seen() -> None:
    """The earliest and the latest event time over all partitions; none for a tag that is unknown."""
    world = World()
    world.upload("sea", NOON - 50, "bo")
    world.upload("sea", NOON - 10 * DAY, "ann")
    assert world.tenant.seen("sea") == ((NOON - 10 * DAY) * 1000, (NOON - 50) * 1000)
    assert world.tenant.seen("sky") == (None, None)


@given(st.sets(tags), st.text("ako:Zs", max_size=2), st.integers(1, 3))
def test_pages_of_names_hold_every_tag_once(present: set[str], prefix: str, limit: int) -> None:
    """Page after page, by name, all the tags with the prefix."""
    world = World()
    for tag in present:
        world.upload(tag, NOON)
    found: list[str] = []
    while page := world.tenant.names(prefix, found[-1] if found else None, limit):
        found += [row.tag for row in page]
    assert found == sorted(tag for tag in present if tag.startswith(prefix))


lasting = st.builds(
    TrendKey,
    tenant=st.just(""),
    window=st.sampled_from([ALL, ALL, "day"]),
    start=st.just(0),
    tag=st.sampled_from(["koala", "sea", "sky", "a:b", "Zoë"]),
)


@given(st.lists(st.tuples(st.integers(0, 2), lasting, st.none() | values), max_size=60), st.integers(1, 3))
def test_names_are_those_that_images_have(steps: list[tuple[int, TrendKey, Row | None]], limit: int) -> None:
    """Tags come, go and come back in any partition: the list holds those that are there, and no others."""
    fed = TrendRows()
    there = recount(feed(fed, steps), "", [ALL_TIME])
    trends = fed.index.tenant("")
    assert trends.names("", None, limit) == [Ranked(*item) for item in sorted(there.items())[:limit]]
    assert [*trends._sorted] == sorted(there)


@given(st.lists(st.integers(0, 20), max_size=80), st.sets(st.integers(0, 20)), st.integers(0, 20))
def test_names_in_runs_are_in_order(toggled: list[int], at_once: set[int], start: int) -> None:
    """However long the runs are: names that come and go, one by one and many at once, equal a sorted set."""
    names, there = trend_counts._Names(), set[str]()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trend_counts, "_RUN", 2)
        for number, name in enumerate(map(str, toggled)):
            if number == len(toggled) // 2:
                more = {str(other) for other in at_once} - there
                names.add_all(more)
                there |= more
            (names.remove if name in there else names.add)(name)
            there ^= {name}
            assert [*names] == sorted(there)
            assert [*names.since(str(start))] == [name for name in sorted(there) if name >= str(start)]


def all_time(tag: str) -> str:
    return TrendKey("", *ALL_TIME, tag).encode()


ONE_IMAGE = orjson.dumps({"o": 1, "n": 1, "by": {"own": 1}})


def test_tags_of_long_ago_cost_a_search_nothing() -> None:
    """Of 5,000 tags that came and went one is left; a search looks at that one."""
    index = TrendIndex({})
    keys = [all_time(f"tag {number}") for number in range(5000)]
    for key in keys:
        index.changed(0, "trends", key, None, ONE_IMAGE)
    for key in keys[:-1]:
        index.changed(0, "trends", key, ONE_IMAGE, None)
    trends = index.tenant()
    assert trends.names("tag", None, 51) == [Ranked("tag 4999", 1)]
    assert [*trends._sorted] == ["tag 4999"]
    index.changed(0, "trends", keys[7], None, ONE_IMAGE)
    assert trends.names("tag", None, 51) == [Ranked("tag 4999", 1), Ranked("tag 7", 1)]


@pytest.mark.parametrize("steps", range(4))
def test_a_tag_that_goes_elsewhere_while_a_partition_is_loaded(steps: int) -> None:
    """It stays on the list, whenever that happens: a tag of one partition is being loaded in another one."""
    index = TrendIndex({})
    for tag in ("sea", "sky", "gone"):
        index.changed(0, "trends", all_time(tag), None, ONE_IMAGE)
    index.changed(0, "trends", all_time("gone"), ONE_IMAGE, None)
    by = {f"add-on {number}": 1 for number in range(250)}  # each in an array: the load takes several steps
    row = orjson.dumps({"o": 1, "n": 1, "by": by})
    loading = index.loading(1)
    loading.take([all_time(tag) for tag in ("sea", "gone", "new")], [row] * 3)
    loading.sort()
    under_way = loading.finish()
    for _ in range(steps):
        next(under_way, None)
    index.changed(0, "trends", all_time("sea"), ONE_IMAGE, None)
    assert [*under_way] == [None] * max(2 - steps, 0)
    assert [named.tag for named in index.tenant().names("", None, 9)] == ["gone", "new", "sea", "sky"]
    for tag in ("sea", "gone", "new"):
        index.changed(1, "trends", all_time(tag), row, None)
    assert [*index.tenant()._sorted] == ["sky"]


@given(st.sampled_from(["1h", "24h", "7d", "30d"]), st.integers(0, 2**32))
def test_a_rolling_window_includes_now(name: str, now: int) -> None:
    """It ends with the bucket under way, is as long as it says, and its buckets follow on each other."""
    span = AskedWindow(name).span(now)
    assert span.start < now < span.end or span.end - now in range(1, WINDOW_SECONDS[span.step] + 1)
    assert span.seconds == {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}[name]
    reached = span.start
    for bucket in span.buckets():
        assert bucket.start == reached
        reached += WINDOW_SECONDS[bucket.window]
    assert reached == span.end


@pytest.mark.parametrize(
    "text", ["", "0h", "2y", "2026-11-24T24", "2026-13-01", "202\u0666-11-24", "all", "2026-11-24t10"]
)
def test_what_is_no_window(text: str) -> None:
    """Neither a known name nor an hour or a day."""
    with pytest.raises(ValueError):
        window_kind(with_all=False).parse(text)


def rising(world: World, window: str = "24h", baseline: str | None = None, **least: int) -> list[Any]:
    """What rises at noon."""
    trends, span = world.tenant, AskedWindow(window).span(NOON)
    held = baseline_of(span, AskedWindow(baseline) if baseline else None, NOON, trends.begin())
    blocks = blocks_of(span, NOON)
    sums = asyncio.run(sum_up(trends, blocks, held.buckets()))
    found = find_candidates(
        sums, blocks, held.seconds, half_life=span.seconds / 6, least=least.get("uses", 5)
    )
    return pick(trends, found, span.buckets(), least.get("uploaders", 3), 10)


def crowd(world: World, tag: str, at: float, number: int) -> None:
    """Let so many people upload one image each."""
    for person in range(number):
        world.upload(tag, at, f"person-{person:0{person % 3 + 2}}")


def test_score_by_hand() -> None:
    """70 images in 7 days let expect 10 + 1 in 24 hours; 22 make a score of 121 / 11."""
    expected = expect(np.array([70]), 7 * DAY, DAY)
    assert expected.tolist() == [11]
    assert score(np.array([22]), expected, 5).tolist() == [11]


def test_tags_that_come_while_counts_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop has its turns; a tag of the meantime is no harm."""
    world = World()
    crowd(world, "koala", NOON - 1800, 9)
    monkeypatch.setattr(rising_module, "in_turns", partial(in_turns, turn=0))
    span = AskedWindow("24h").span(NOON)
    blocks = blocks_of(span, NOON)

    async def play() -> Sums:
        adding = asyncio.create_task(sum_up(world.tenant, blocks, []))
        await asyncio.sleep(0)
        crowd(world, "quokka", NOON - 1800, 9)
        return await adding

    sums = asyncio.run(play())
    assert {len(counts) for counts in [*sums.blocks, sums.baseline]} == {2}
    assert sum(sums.blocks)[0] == 9


def test_what_rises_comes_before_what_is_popular() -> None:
    """A steady favourite does not rise; a tag that doubles and one that is new do."""
    world = World()
    for day in range(1, 8):
        crowd(world, "sky", NOON - day * DAY - 3 * HOUR, 100)
        crowd(world, "sea", NOON - day * DAY - 3 * HOUR, 10)
    crowd(world, "sky", NOON - HOUR, 100)
    crowd(world, "sea", NOON - HOUR, 30)
    crowd(world, "aurora", NOON - HOUR, 12)
    found = rising(world)
    assert [(row.tag, row.observed, row.uploaders) for row in found] == [("aurora", 12, 12), ("sea", 30, 30)]
    assert found[0].expected == 1
    assert found[0].score == pytest.approx(121)
    assert METHOD.startswith("(observed - expected)^2 / expected")


def test_floors() -> None:
    """Few images, or many of few people, are no trend; images without people are judged by their number."""
    world = World()
    world.upload("old", NOON - 8 * DAY, "ann")
    crowd(world, "four", NOON - HOUR, 4)
    world.upload("camera", NOON - HOUR, "ann", number=500)
    world.upload("nobody", NOON - HOUR, None, number=6)
    crowd(world, "five", NOON - HOUR, 5)
    assert [row.tag for row in rising(world)] == ["nobody", "five"]
    assert [row.tag for row in rising(world, uses=1, uploaders=1)] == ["camera", "nobody", "five", "four"]


def test_a_burst_fades() -> None:
    """Of two equal bursts the one now comes first; one a half-life ago counts half."""
    world = World()
    world.upload("old", NOON - 9 * DAY, "ann")
    crowd(world, "early", NOON - 4 * HOUR - 1800, 20)
    crowd(world, "late", NOON - 1800, 20)
    late, early = rising(world)
    assert (late.tag, early.tag) == ("late", "early")
    assert late.score == early.score
    assert early.recency / late.recency == pytest.approx(0.5)


def test_a_young_state_is_held_against_what_there_is() -> None:
    """Two days of history are two days, not seven with five empty ones; without history all is new."""
    trends = World()
    for hour in range(24, 24 + 48):
        crowd(trends, "sky", NOON - hour * HOUR, 2)
    crowd(trends, "sky", NOON - HOUR, 2 * 23)
    assert rising(trends) == []
    new = World()
    crowd(new, "sky", NOON - HOUR, 6)
    assert [row.expected for row in rising(new)] == [1]


def test_baselines() -> None:
    """So much time before the window, or an hour or a day that ends before it."""
    window = Span("24h", NOON - DAY, NOON, "hour")
    assert baseline_of(window, None, NOON, None).start == NOON - 8 * DAY
    assert baseline_of(window, AskedWindow("24h"), NOON, None) == Span(
        "24h", NOON - 2 * DAY, NOON - DAY, "hour"
    )
    assert baseline_of(window, AskedWindow("2026-11-22"), NOON, None).seconds == DAY
    assert baseline_of(window, None, NOON, NOON - 3 * DAY).start == NOON - 3 * DAY
    assert baseline_of(window, None, NOON, NOON).seconds == 0
    with pytest.raises(BadQuestionError, match="'2026-11-23' must end before the window begins"):
        baseline_of(window, AskedWindow("2026-11-23"), NOON, None)
    hour = AskedWindow("1h").span(NOON + 90)
    assert baseline_of(hour, None, NOON, None).start == NOON - 25 * HOUR  # a whole hour: minutes are not kept


def test_blocks_make_up_the_window() -> None:
    """They follow on each other from its start to now, and their buckets cover it without overlap."""
    for name in ("1h", "24h", "7d", "30d", "2026-11-24", "2026-11-24T12", "2026-11-20"):
        span = AskedWindow(name).span(NOON + 100)
        blocks = blocks_of(span, NOON + 100)
        assert len(blocks) <= 48
        assert (blocks[0].start, blocks[-1].end) == (span.start, min(span.end, NOON + 100))
        assert all(one.end == two.start for one, two in pairwise(blocks))
        buckets = [bucket for block in blocks for bucket in block.buckets]
        reached = span.start
        for bucket in buckets:
            assert bucket.start == reached
            reached += WINDOW_SECONDS[bucket.window]
        assert reached <= span.end
