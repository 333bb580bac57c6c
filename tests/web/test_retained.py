"""Windows whose counts are no longer kept: an exact count, or a reason and what to ask instead."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import FakeReplica
from support.trend_rows import TrendRows

from schemas.answers.trends import PartitionState
from schemas.topics import OFFSET_KEY
from streams.app.services.query_indexes import QueryIndexes
from streams.app.settings import Settings
from streams.fold.retention import Retention
from streams.fold.rows import ALL, WINDOW_SECONDS, TrendKey, bucket_start
from streams.state.partition import PartitionState as Rows
from streams.web.access.errors import UnknownError
from streams.web.api.retained import RetainedBuckets
from streams.web.api.trends import TrendRoutes

NOW = 1_795_521_600  # 2026-11-24T12:00:00Z
HOUR, DAY = 3600, 86_400
OLD = NOW - 44 * DAY  # 2026-10-11T12:00:00Z
SHORTEST = Settings(keep_minutes=0.125, keep_hours=14, keep_days=60)


@dataclass
class Fresh:
    """A state without a gap."""

    complete: bool = True
    behind: list[int] = field(default_factory=list)

    def as_of(self) -> list[PartitionState]:
        return []


class World:
    """Three partitions with clocks of their own, each of which holds what it keeps."""

    def __init__(self, settings: Settings, stream_times: tuple[float, float, float]) -> None:
        self.now = float(NOW)
        self._counts = Counter[tuple[int, str]]()
        self._retention = Retention.of(settings)
        self._trends = TrendRows()
        for state, stream_time in zip(self._trends.states.values(), stream_times, strict=True):
            state.stream_time = int(stream_time * 1000)
        retained = RetainedBuckets(self._retention, self._trends.states)
        routes = TrendRoutes(self._trends.index, Fresh(), lambda: self.now, retained).routes()
        self._routes = {route.path: route for route in routes}

    def upload(self, at: float, images: int = 1, partition: int = 0) -> None:
        """Count images of koalas, in the buckets that the partition keeps."""
        for window in (ALL, *WINDOW_SECONDS):
            start = bucket_start(window, int(at * 1000))
            if self._retention.keeps(window, start, self._trends.states[partition].stream_time):
                key = TrendKey("", window, start, "koala").encode()
                self._counts[partition, key] += images
                number = self._counts[partition, key]
                row = {"o": 1, "n": number, "by": {"own": number}}
                self._trends.put(partition, key, orjson.dumps(row))

    async def ask(self, path: str, **given: str) -> Any:  # noqa: ANN401 - an answer
        route = self._routes[path]
        return await route.handler(route.read({name: [text] for name, text in given.items()}))

    async def refusal(self, path: str, **given: str) -> str:
        with pytest.raises(UnknownError) as caught:
            await self.ask(path, **given)
        assert caught.value.code == "not_kept"
        return str(caught.value)


@pytest.fixture
def world() -> World:
    """44 days ago two images came to a partition that is busy, and three to one that is idle since."""
    world = World(Settings(), (NOW, OLD + DAY, 0))
    world.upload(OLD, 2)
    world.upload(OLD, 3, partition=1)
    world.upload(NOW - 2 * DAY, 9)
    return world


SERIES = "/trends/tags/{tag}"


async def test_an_hour_of_long_ago_is_refused_and_its_day_is_told(world: World) -> None:
    """Whichever question asks: the reason names window, setting and cure."""
    reason = (
        "window='2026-10-11T12' takes counts by hour of 2026-10-11T12:00, which are kept for 31 days "
        "(TAGSTREAM_KEEP_HOURS); ask for the whole day 2026-10-11"
    )
    hour, day = "2026-10-11T12", "2026-10-11"
    assert await world.refusal("/trends/top", window=hour) == reason
    assert await world.refusal("/trends/top", window=hour, by="uploaders") == reason
    assert await world.refusal(SERIES, tag="koala", window=hour) == reason
    for name, other in (("a", "b"), ("b", "a")):
        given = {name: hour, other: "24h"}
        assert await world.refusal("/trends/compare", **given) == reason.replace("window", name, 1)
    assert await world.refusal("/trends/rising", baseline=hour) == reason.replace("window", "baseline", 1)
    assert [tag.count for tag in (await world.ask("/trends/top", window=day)).tags] == [5]
    assert (await world.ask(SERIES, tag="koala", window=day)).total == 5
    assert [tag.a for tag in (await world.ask("/trends/compare", a=day, b="24h")).tags] == [5]
    assert (await world.ask("/trends/top", window="all")).tags[0].count == 14


async def test_what_rises_is_told_where_its_minutes_or_hours_are_gone(world: World) -> None:
    """The counts are exact; when in the window something was is no longer known, and the same for all."""
    for window, observed in (("2026-11-22T12", 9), ("2026-11-22", 9), ("2026-10-11", 5)):
        given = {"window": window, "baseline": "24h", "least_uploaders": "0"}
        [tag] = (await world.ask("/trends/rising", **given)).tags
        assert tag.observed == observed
        assert (tag.recency == pytest.approx(1 / 8)) == (window != "2026-11-22")
    refused = await world.refusal("/trends/rising", window="2026-10-11T12", baseline="24h")
    assert refused.startswith("window='2026-10-11T12' takes counts by hour of 2026-10-11T12:00, which")


async def test_days_of_long_ago(world: World) -> None:
    """Days go as well, in the end."""
    refused = await world.refusal("/trends/top", window="2020-01-01")
    assert refused.endswith("kept for 800 days (TAGSTREAM_KEEP_DAYS); ask for a later one")


async def test_a_series_of_all_time_begins_where_every_partition_keeps_its_step(world: World) -> None:
    """An hour that only an idle partition keeps is no point; the total has everything."""
    hours = await world.ask(SERIES, tag="koala", window="all", step="hour")
    assert (hours.points[0].start.isoformat(), hours.total) == ("2026-10-24T12:00:00+00:00", 14)
    assert sum(point.count for point in hours.points) == 9
    days = await world.ask(SERIES, tag="koala", window="all")
    assert [point.count for point in days.points if point.count] == [5, 9]
    minutes = await world.ask(SERIES, tag="koala", window="all", step="minute")
    assert {point.count for point in minutes.points} == {0}


async def test_a_day_whose_first_hours_are_gone_is_a_whole_day_of_the_baseline() -> None:
    """So the baseline that a question gets without naming one has an exact count."""
    world = World(Settings(), (NOW, OLD, OLD))
    begin = NOW - 31 * DAY - HOUR
    world.upload(begin, 700)
    world.upload(begin, 50, partition=1)  # it keeps the hour
    world.upload(NOW - HOUR, 60)
    asked = {"window": "7d", "baseline": "30d", "least_uploaders": "0", "least_uses": "1"}
    answer = await world.ask("/trends/rising", **asked)
    assert answer.baseline.start.isoformat() == "2026-10-24T00:00:00+00:00"
    days = (answer.baseline.end - answer.baseline.start).total_seconds() / DAY
    over = (world.now - answer.window.start.timestamp()) / DAY
    assert answer.tags == [] or answer.tags[0].expected == pytest.approx(750 / days * over + 1)


ROLLING = ["1h", "24h", "7d", "30d"]
ahead = st.sampled_from([-400 * DAY, -DAY, 0, 1, HOUR - 1, HOUR]) | st.integers(-90 * DAY, HOUR)


@given(
    st.sampled_from([Settings(), SHORTEST]),
    st.integers(NOW, NOW + DAY),
    st.tuples(ahead, ahead, ahead),
    st.lists(st.tuples(st.integers(0, 100 * DAY), st.integers(0, 2)), max_size=8),
)
@settings(max_examples=60)
def test_rolling_windows_are_never_refused(
    chosen: Settings, now: int, stream_times: tuple[int, int, int], images: list[tuple[int, int]]
) -> None:
    """With the shortest retention too, and clocks an hour ahead: these and the windows before them count."""
    world = World(chosen, (now + stream_times[0], now + stream_times[1], now + stream_times[2]))
    world.now = float(now)
    for ago, partition in images:
        world.upload(now - ago, partition=partition)

    async def ask_all() -> None:
        for window in ROLLING:
            await world.ask("/trends/top", window=window)
            await world.ask("/trends/compare", a=window)
            await world.ask("/trends/rising", window=window)
            await world.ask("/trends/rising", window=window, baseline=window)
            if images:
                await world.ask(SERIES, tag="koala", window=window)

    asyncio.run(ask_all())


async def test_a_worker_counts_by_its_settings_and_its_partitions_clocks() -> None:
    """The state's clock, not the wall's: nothing is gone of a log that stands still."""
    rows, indexes = Rows(0), QueryIndexes(Settings(keep_hours=20))
    indexes.follow(cast("Any", FakeReplica({0: rows})))
    [route] = [route for route in indexes.routes() if route.path == "/trends/top"]
    question = route.read({"window": ["2026-11-02T12"]})  # 22 days before
    await route.handler(question)
    rows.apply("meta", OFFSET_KEY, orjson.dumps({"next": 1, "mark": NOW * 1000}))
    with pytest.raises(UnknownError, match=r"kept for 20 days .TAGSTREAM_KEEP_HOURS."):
        await route.handler(question)
