"""The query API over HTTP, with real indexes behind it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import orjson
import pytest
from aiohttp import ClientSession
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from litestar import Litestar
from support.trend_rows import TrendRows
from support.web_client import client_of, query_app, serving

from schemas.answers.trends import PartitionState
from schemas.json_schemas import PUBLISHED, json_schema
from streams.fold.retention import Retention
from streams.fold.rows import ALL, WINDOW_SECONDS, TrendKey, bucket_start
from streams.fold.trend_rows.uploaders import Uploaders
from streams.web.api.freshness import Freshness, LateFreshness
from streams.web.api.kinds.moments import moment_of
from streams.web.api.retained import RetainedBuckets
from streams.web.api.routes import NoParameters, Route
from streams.web.api.trends import TrendRoutes
from streams.web.door import MAX_TARGET
from streams.web.server import WebServer

NOW = 1_795_521_600  # 2026-11-24T12:00:00Z
HOUR, DAY = 3600, 86_400
RETENTION = Retention(minute=1, hour=31, day=800, interests=365, deleted=30)
STATES = [
    PartitionState(0, ready=True, next_offset=7, lag=0, event_time=datetime(2026, 11, 24, 11, tzinfo=UTC)),
    PartitionState(1, ready=True, next_offset=3, lag=4),
]


@dataclass
class Fresh:
    """A state as the replica tells of it."""

    complete: bool = True
    behind: list[int] = field(default_factory=lambda: [1])

    def as_of(self) -> list[PartitionState]:
        return STATES


@dataclass
class Idle:
    """A worker without partitions."""

    status: str = "ready"
    units: dict[int, Any] = field(default_factory=dict)
    rules: None = None


def upload(  # noqa: PLR0917 - an image in one line
    trends: TrendRows, tag: str, at: int, users: list[str], add_on: str = "own", tenant: str = ""
) -> None:
    """Feed the rows of one image per user."""
    sketch = Uploaders()
    for user in users:
        sketch.add(user)
    for window in (ALL, *WINDOW_SECONDS):
        row = {"o": 1, "n": len(users), "by": {add_on: len(users)}, "u": sketch.encoded()}
        if window == ALL:
            row |= {"first": at * 1000, "last": at * 1000}
        key = TrendKey(tenant, window, bucket_start(window, at * 1000), tag).encode()
        trends.put(at % 2, key, orjson.dumps(row))


def trend_routes(trends: TrendRows, freshness: Freshness | None = None) -> list[Route]:
    retained = RetainedBuckets(RETENTION, trends.states)
    return TrendRoutes(trends.index, freshness or Fresh(), lambda: NOW, retained).routes()


def people(number: int) -> list[str]:
    return [f"user-{person}" for person in range(number)]


@pytest.fixture
def trends() -> TrendRows:
    """koala: 6 today, 3 earlier; sea: 5 by one user; sky: 4 last week; each written to one partition."""
    trends = TrendRows()
    upload(trends, "koala", NOW - HOUR, people(6), "imagga_tagging")
    upload(trends, "koala", NOW - 2 * DAY - 1, people(3))
    upload(trends, "sea", NOW - 60, ["ann"] * 5)
    upload(trends, "sky/cloud", NOW - 3 * DAY, people(4))
    upload(trends, "roof", NOW - 60, people(2), tenant="acme")
    return trends


@pytest.fixture
def api(trends: TrendRows) -> Litestar:
    return query_app(Idle(), trend_routes(trends))


@pytest.fixture
async def client(api: Litestar) -> AsyncIterator[ClientSession]:
    async with client_of(api) as client:
        yield client


async def get(client: ClientSession, path: str, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    async with client.get(path) as answer:
        body = await answer.json()
        assert answer.status == status, body
        return body


def counts(answer: Any) -> list[tuple[str, int]]:  # noqa: ANN401 - JSON
    return [(row["tag"], row["count"]) for row in answer["tags"]]


async def test_top(client: ClientSession) -> None:
    """The most used tags of a window, with the window itself, freshness and completeness."""
    answer = await get(client, "/trends/top?window=24h")
    assert counts(answer) == [("koala", 6), ("sea", 5)]
    assert answer["window"] == {"name": "24h", "start": "2026-11-23T13:00:00Z", "end": "2026-11-24T13:00:00Z"}
    assert answer["complete"] is True
    assert answer["behind"] == [1]
    assert answer["as_of"] == msgspec.to_builtins(STATES)
    assert answer["as_of"][0]["event_time"] == "2026-11-24T11:00:00Z"
    assert answer["uploaders_error"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("window=1h", [("sea", 5)]),
        ("window=7d", [("koala", 9), ("sea", 5), ("sky/cloud", 4)]),
        ("window=30d&limit=1", [("koala", 9)]),
        ("window=all", [("koala", 9), ("sea", 5), ("sky/cloud", 4)]),
        ("window=all&add_on=own", [("sea", 5), ("sky/cloud", 4), ("koala", 3)]),
        ("window=all&add_on=other", []),
        ("window=2026-11-24T11", [("koala", 6), ("sea", 5)]),
        ("window=2026-11-21", [("sky/cloud", 4)]),
        ("window=2020-01-01", []),
        ("tenant=acme", [("roof", 2)]),
        ("tenant=unknown", []),
    ],
)
async def test_top_of(client: ClientSession, query: str, expected: list[tuple[str, int]]) -> None:
    """Windows, literal hours and days, one add-on, another tenant."""
    assert counts(await get(client, f"/trends/top?{query}")) == expected


async def test_top_by_uploaders(client: ClientSession) -> None:
    """One person with many images is one uploader; the error of the estimate is stated."""
    answer = await get(client, "/trends/top?window=7d&by=uploaders")
    assert [(row["tag"], row["uploaders"]) for row in answer["tags"]] == [
        ("koala", 6),
        ("sky/cloud", 4),
        ("sea", 1),
    ]
    assert answer["uploaders_error"] == 0.033
    refused = await get(client, "/trends/top?by=uploaders&add_on=own", 400)
    assert "cannot be had per add-on" in refused["reason"]


async def test_rising(client: ClientSession) -> None:
    """The koala exceeds its past; the sea is one person's; what the score is made of is in the answer."""
    answer = await get(client, "/trends/rising?window=24h&baseline=7d")
    [row] = answer["tags"]
    assert (row["tag"], row["observed"], row["uploaders"]) == ("koala", 6, 6)
    assert row["score"] == pytest.approx((row["observed"] - row["expected"]) ** 2 / row["expected"])
    assert answer["baseline"]["end"] == answer["window"]["start"]
    assert answer["half_life_seconds"] == 4 * HOUR
    assert "(observed - expected)^2 / expected" in answer["method"]
    lenient = await get(client, "/trends/rising?window=24h&least_uploaders=1")
    assert {row["tag"] for row in lenient["tags"]} == {"koala", "sea"}


async def test_series(client: ClientSession) -> None:
    """A point for each step, totals, the split by add-on, uploaders, first and last seen."""
    answer = await get(client, "/trends/tags/koala?window=7d&step=day")
    points = {point["start"][:10]: point["count"] for point in answer["points"]}
    assert len(points) == 8
    assert {day: count for day, count in points.items() if count} == {"2026-11-24": 6, "2026-11-22": 3}
    assert (answer["total"], answer["uploaders"]) == (9, 6)
    assert answer["by_add_on"] == {"imagga_tagging": 6, "own": 3}
    assert (answer["first_seen"], answer["last_seen"]) == ("2026-11-22T11:59:59Z", "2026-11-24T11:00:00Z")
    assert len((await get(client, "/trends/tags/koala?window=1h"))["points"]) == 60
    assert len((await get(client, "/trends/tags/koala?window=24h&step=minute"))["points"]) == 1440
    everything = await get(client, "/trends/tags/koala?window=all")
    assert [point["count"] for point in everything["points"]] == [3, 0, 6]
    assert everything["window"] == {"name": "all", "start": None, "end": None}


async def test_a_series_of_all_time_tells_all_that_is_kept(client: ClientSession, trends: TrendRows) -> None:
    """It goes on to tomorrow where an uploader's clock is ahead, and begins with the oldest step."""
    upload(trends, "koala", NOW + 20 * HOUR, people(2))
    days = await get(client, "/trends/tags/koala?window=all")
    assert [point["count"] for point in days["points"]] == [3, 0, 6, 2]
    hours = await get(client, "/trends/tags/koala?window=all&step=hour")
    assert [point["count"] for point in hours["points"] if point["count"]] == [3, 6, 2]
    assert (hours["points"][0]["start"], hours["points"][-1]["count"]) == ("2026-11-22T11:00:00Z", 2)


async def test_series_of_what_is_kept(client: ClientSession, trends: TrendRows) -> None:
    """Where minutes have expired, hours are told; to ask for minutes is 404, not a row of zeros."""
    key = TrendKey("", "minute", bucket_start("minute", (NOW - HOUR) * 1000), "koala").encode()
    trends.put((NOW - HOUR) % 2, key, None)
    answer = await get(client, "/trends/tags/koala?window=2026-11-24T11")
    assert answer["step"] == "hour"
    assert answer["points"] == [{"start": "2026-11-24T11:00:00Z", "count": 6}]
    refused = await get(client, "/trends/tags/koala?window=2026-11-24T11&step=minute", 404)
    assert refused["error"] == "not_kept"


async def test_a_tag_with_a_slash(client: ClientSession) -> None:
    """Any tag can be asked for, escaped."""
    answer = await get(client, f"/trends/tags/{quote('sky/cloud', safe='')}?window=7d")
    assert answer["total"] == 4


async def test_a_series_by_a_name_in_any_language(client: ClientSession, trends: TrendRows) -> None:
    """A tag is known by its name in each language it has; a tag of that very name comes first."""
    upload(trends, "dog", NOW - HOUR, people(2))
    answer = await get(client, f"/trends/tags/{quote('Hund')}?window=7d")
    assert (answer["tag"], answer["total"]) == ("dog", 2)
    assert sum(point["count"] for point in answer["points"]) == 2
    compared = await get(client, "/trends/compare?a=24h&tag=chien&tag=koala&tag=dog")
    assert [(row["tag"], row["a"]) for row in compared["tags"]] == [("dog", 2), ("koala", 6)]
    upload(trends, "Hund", NOW - HOUR, people(1))
    assert (await get(client, "/trends/tags/Hund"))["tag"] == "Hund"


async def test_unknown_tag(client: ClientSession) -> None:
    """404, with where to look."""
    answer = await get(client, "/trends/tags/unicorn", 404)
    assert answer == {
        "error": "unknown_tag",
        "reason": "no image has the tag 'unicorn'; /tags lists those there are",
    }


async def test_a_tag_that_may_not_be_loaded_yet(trends: TrendRows) -> None:
    """503 while the state is not complete, whether or not the partitions are known; then 404."""
    freshness = LateFreshness()
    api = query_app(Idle(), trend_routes(trends, freshness))
    async with client_of(api) as client:
        assert (await get(client, "/trends/tags/unicorn", 503))["error"] == "loading"
        freshness.source = Fresh(complete=False)
        assert (await get(client, "/trends/tags/unicorn", 503))["error"] == "loading"
        assert (await get(client, "/trends/tags/koala"))["complete"] is False
        freshness.source = Fresh()
        await get(client, "/trends/tags/unicorn", 404)


async def test_compare(client: ClientSession) -> None:
    """Two windows side by side: those asked for, or the most used; the ratio is of images per hour."""
    answer = await get(client, "/trends/compare?a=2026-11-24T11&b=2026-11-22&tag=koala&tag=sea&tag=unicorn")
    assert answer["tags"] == [
        {"tag": "koala", "a": 6, "b": 3, "ratio": 48.0},
        {"tag": "sea", "a": 5, "b": 0, "ratio": None},
        {"tag": "unicorn", "a": 0, "b": 0, "ratio": None},
    ]
    answer = await get(client, "/trends/compare?a=24h&limit=1")
    assert [(row["tag"], row["a"], row["b"]) for row in answer["tags"]] == [("koala", 6, 0)]
    assert answer["b"]["end"] == answer["window"]["start"]


async def test_tags(client: ClientSession) -> None:
    """Page after page, by name; the last page has no cursor."""
    first = await get(client, "/tags?limit=2")
    assert counts(first) == [("koala", 9), ("sea", 5)]
    second = await get(client, f"/tags?limit=2&cursor={first['cursor']}")
    assert (counts(second), second["cursor"]) == ([("sky/cloud", 4)], None)
    assert counts(await get(client, "/tags?prefix=s")) == [("sea", 5), ("sky/cloud", 4)]


async def test_tags_by_their_names_in_any_language(client: ClientSession) -> None:
    """Where no tag begins so; what no image has is not there."""
    assert counts(await get(client, "/tags?prefix=коа")) == [("koala", 9)]
    assert counts(await get(client, "/tags?prefix=コアラ&limit=1")) == [("koala", 9)]
    assert counts(await get(client, "/tags?prefix=Hun")) == []


@pytest.mark.parametrize(
    ("path", "error", "reason"),
    [
        ("/trends/top?limit=0", "invalid_limit", "limit '0' must be a whole number from 1 to 1000"),
        ("/trends/top?limit=1.5", "invalid_limit", "such as limit=1"),
        ("/trends/top?limit=1&limit=2", "invalid_limit", "limit comes 2 times; say it at most once"),
        ("/trends/top?window=fortnight", "invalid_window", "window 'fortnight' must be one of 1h, 24h"),
        (
            "/trends/top?windows=1h",
            "unknown_parameter",
            "'windows' is no parameter; known: window, from, since, to, limit",
        ),
        ("/trends/top?by=likes", "invalid_by", "one of uses, uploaders"),
        ("/trends/top?tenant=%00", "invalid_tenant", "visible text"),
        ("/trends/rising?window=all", "invalid_window", "window 'all' must be one of"),
        ("/trends/rising?window=24h&baseline=2026-11-24", "invalid_baseline", "must end before"),
        ("/trends/tags/koala?window=7d&step=minute", "invalid_step", "say a longer step"),
        ("/trends/tags/%20", "invalid_tag", "visible text"),
        ("/tags?cursor=%21", "invalid_cursor", "the `cursor` of the previous answer"),
        ("/tags?cursor=WzFd", "invalid_cursor", "the `cursor` of the previous answer"),
    ],
)
async def test_bad_parameters(client: ClientSession, path: str, error: str, reason: str) -> None:
    """400 with a code, and a reason that names value, rule and cure."""
    answer = await get(client, path, 400)
    assert answer["error"] == error
    assert reason in answer["reason"]


async def test_other_methods_and_paths(client: ClientSession) -> None:
    """HEAD is GET without a body; other methods are 405 with `Allow`; unknown paths 404; all in JSON."""
    async with client.head("/trends/top") as answer:
        assert (answer.status, await answer.read()) == (200, b"")
        assert answer.content_type == "application/json"
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
        async with client.request(method, "/trends/top") as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
            assert (await answer.json())["error"] == "http_405"
    for path in ("/", "/trends", "/trends/top/", "/trends//top", "/../etc/passwd", "/trends/tags/"):
        assert (await get(client, path, 404))["error"] == "http_404"


async def test_security_headers(client: ClientSession) -> None:
    """Answers of every status are neither cached, sniffed, framed nor read by other sites."""
    for path in ("/trends/top", "/trends/top?limit=0", "/nowhere", "/openapi.json", "/healthz"):
        async with client.get(path) as answer:
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
            assert answer.headers["cross-origin-resource-policy"] == "same-origin"
            assert answer.headers["server"] == "tagstream"
            assert "access-control-allow-origin" not in answer.headers


async def test_lengths_are_bounded(api: Litestar) -> None:
    """A path and query beyond the limit are 414; a name beyond 255 characters is 400, not repeated whole."""
    async with (
        serving(api) as port,
        httpx.AsyncClient(trust_env=False, base_url=f"http://127.0.0.1:{port}") as client,
    ):
        answer = await client.get(f"/tags?prefix={'x' * MAX_TARGET}")
        assert (answer.status_code, answer.json()["error"]) == (414, "too_long")
        answer = await client.get(f"/tags?prefix={'x' * 256}")
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_prefix")
        assert len(answer.content) < 300


async def test_health() -> None:
    """`/healthz` answers always; `/readyz` is 503 with the reason until uploads are worked on."""
    worker = Idle("waiting for Kafka")
    async with client_of(query_app(worker)) as client:
        assert (await get(client, "/healthz"))["status"] == "waiting for Kafka"
        assert await get(client, "/readyz", 503) == {"status": "waiting for Kafka", "partitions": []}
        worker.status = "ready"
        assert (await get(client, "/readyz"))["status"] == "ready"


async def test_a_worker_that_does_not_follow(trends: TrendRows) -> None:
    """It says so, and whom to ask; its health is told all the same."""
    routes = trend_routes(trends, LateFreshness())
    api = query_app(Idle(), routes, closed="this worker does not follow the state; ask another")
    async with client_of(api) as client:
        answer = await get(client, "/trends/top", 503)
        assert answer["error"] == "queries_off"
        assert "ask another" in answer["reason"]
        await get(client, "/readyz")


async def test_before_kafka_was_heard(trends: TrendRows) -> None:
    """An answer from the first second says that it is not complete; later it says what the state says."""
    freshness = LateFreshness()
    api = query_app(Idle(), trend_routes(trends, freshness))
    async with client_of(api) as client:
        answer = await get(client, "/trends/top")
        assert (answer["complete"], answer["as_of"], answer["behind"]) == (False, [], [])
        freshness.source = Fresh()
        answer = await get(client, "/trends/top")
        assert (answer["complete"], len(answer["as_of"]), answer["behind"]) == (True, 2, [1])


async def test_our_own_faults_are_told_to_the_log_alone(caplog: pytest.LogCaptureFixture) -> None:
    """500 without a trace in the answer."""

    async def break_down(_question: NoParameters) -> msgspec.Struct:
        """Break down."""
        raise ZeroDivisionError("secret")

    api = query_app(Idle(), [Route("/broken", NoParameters, PartitionState, break_down)])
    async with client_of(api) as client:
        assert await get(client, "/broken", 500) == {
            "error": "internal_error",
            "reason": "see the worker's log",
        }
    assert "secret" in caplog.text


ANSWERS = {
    "/trends/top?by=uploaders": "top-tags",
    "/trends/rising": "rising-tags",
    "/trends/tags/koala": "tag-series",
    "/trends/compare": "compared-tags",
    "/tags": "tag-list",
    "/healthz": "health",
    "/nowhere": "problem",
}


@pytest.mark.parametrize(("path", "name"), ANSWERS.items())
async def test_answers_fit_their_schema(client: ClientSession, path: str, name: str) -> None:
    """What is served is what is published."""
    async with client.get(path) as answer:
        Draft202012Validator(json_schema(name)).validate(await answer.json())
    assert name in PUBLISHED


odd_texts = st.text(max_size=40) | st.sampled_from(
    [
        "1h",
        "all",
        "7d",
        "2026-11-24T10",
        "-1",
        "1e9",
        "NaN",
        "9" * 400,
        "\x00",
        "\ud7ff",
        "\u0661",
        "%",
        "&",
        "=",
        "[]",
    ]
)
names = st.sampled_from(
    ["window", "limit", "by", "tenant", "tag", "a", "b", "step", "cursor", "prefix", "baseline", "add_on"]
) | st.text(max_size=5)
paths = st.sampled_from(
    ["/trends/top", "/trends/rising", "/trends/compare", "/tags", "/healthz", "/openapi.json"]
)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_requests(api: Litestar, fuzzing: "Fuzzing", data: st.DataObject) -> None:
    """Whatever is asked, the answer is JSON with status 200, 400, 404, 405 or 414; never 500."""
    path = data.draw(paths | st.builds(lambda tag: f"/trends/tags/{quote(tag, safe='')}", odd_texts))
    query = "&".join(
        f"{quote(name)}={quote(text)}"
        for name, text in data.draw(st.lists(st.tuples(names, odd_texts), max_size=4))
    )
    raw = data.draw(st.sampled_from(["", "%", "%ff", "%zz", "&&", "=", "?"]))
    method = data.draw(st.sampled_from(["GET", "GET", "GET", "HEAD", "POST"]))
    status, body = fuzzing.ask(api, method, f"{path}?{query}{raw}")
    assert status in {200, 400, 404, 405, 414}
    if method != "HEAD":
        orjson.loads(body)


class Fuzzing:
    """Asks over a socket, byte for byte, from code that is not a coroutine."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._port: int | None = None
        self._api: Litestar | None = None

    def ask(self, api: Litestar, method: str, target: str) -> tuple[int, bytes]:
        return self._loop.run_until_complete(self._ask(api, method, target))

    async def _ask(self, api: Litestar, method: str, target: str) -> tuple[int, bytes]:
        if self._port is None:
            self._server = WebServer(api)
            self._port = await self._server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return int(head.split()[1]), body

    def close(self) -> None:
        if self._server is not None:
            self._loop.run_until_complete(self._server.stop())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()


@pytest.fixture
def fuzzing() -> Any:  # noqa: ANN401 - a generator
    fuzzing = Fuzzing()
    yield fuzzing
    fuzzing.close()


async def uses(client: ClientSession, query: str) -> dict[str, int]:
    answer = await get(client, f"/trends/top?tenant=x&{query}")
    return {tag["tag"]: tag["count"] for tag in answer["tags"]}


async def test_any_stretch_of_time(client: ClientSession, trends: TrendRows) -> None:
    """So long until now, between two moments, since one: whatever the buckets that are kept can answer."""
    for tag, age in (("now", 60), ("earlier", 90 * 60), ("night", 10 * HOUR), ("before", 40 * HOUR)):
        upload(trends, tag, NOW - age, ["ann"], tenant="x")
    assert await uses(client, "window=2h") == {"now": 1, "earlier": 1}
    assert await uses(client, "window=30m") == {"now": 1}
    assert await uses(client, "window=2d") == {"now": 1, "earlier": 1, "night": 1, "before": 1}
    assert await uses(client, "from=2026-11-24T00:00Z&to=2026-11-24T11:00Z") == {"earlier": 1, "night": 1}
    assert await uses(client, "since=2026-11-24T11:00Z&to=2026-11-24T12:00Z") == {"now": 1}
    answer = await get(client, "/trends/top?tenant=x&from=2026-11-24T10:00:30Z&to=2026-11-24T11:00Z")
    assert answer["window"]["start"] == "2026-11-24T10:00:00Z"
    series = await get(
        client, "/trends/tags/night?tenant=x&from=2026-11-24T00:00Z&to=2026-11-24T04:00Z&step=hour"
    )
    assert [point["count"] for point in series["points"]] == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("query", "error", "said"),
    [
        ("to=2026-11-24", "invalid_to", "needs a from"),
        ("from=2026-11-24&to=2026-11-23", "invalid_to", "not later than from"),
        ("from=2026-11-24&since=2026-11-24", "invalid_since", "are the same"),
        ("from=soon", "invalid_from", "yesterday"),
        ("window=0h", "invalid_window", "90m, 2h, 3d or 2w"),
    ],
)
async def test_what_is_no_stretch_is_refused(
    client: ClientSession, query: str, error: str, said: str
) -> None:
    """With the value, the rule and the cure."""
    answer = await get(client, f"/trends/top?{query}", 400)
    assert answer["error"] == error
    assert said in answer["reason"]


async def test_tags_of_trends_in_other_spellings(client: ClientSession, trends: TrendRows) -> None:
    """A tag that no image has as it is asked for is the one that most have in another spelling."""
    upload(trends, "Straße", NOW - 60, ["ann", "bob"], tenant="x")
    upload(trends, "STRASSE", NOW - 60, ["ann"], tenant="x")
    assert (await get(client, "/trends/tags/strasse?tenant=x"))["tag"] == "Straße"
    assert (await get(client, "/trends/tags/STRASSE?tenant=x"))["tag"] == "STRASSE"


def test_words_for_moments() -> None:
    """Today and yesterday begin at midnight UTC; a length is so long ago."""
    now = datetime(2026, 11, 24, 12, 30, tzinfo=UTC)
    told = {text: datetime.fromtimestamp(moment_of(text, now) / 1000, UTC) for text in WORDS}
    assert told == WORDS


WORDS = {
    "now": datetime(2026, 11, 24, 12, 30, tzinfo=UTC),
    "today": datetime(2026, 11, 24, tzinfo=UTC),
    "yesterday": datetime(2026, 11, 23, tzinfo=UTC),
    "2h": datetime(2026, 11, 24, 10, 30, tzinfo=UTC),
    "1w": datetime(2026, 11, 17, 12, 30, tzinfo=UTC),
    "2026-11-20": datetime(2026, 11, 20, tzinfo=UTC),
}


async def test_several_tags_in_one_series(client: ClientSession, trends: TrendRows) -> None:
    """Each tag's counts in the order of the steps, and of the tags as they were asked for."""
    upload(trends, "sea", NOW - 60, ["ann"], tenant="x")
    upload(trends, "sky", NOW - 3 * HOUR, ["ann", "bob"], tenant="x")
    answer = await get(client, "/trends/series?tenant=x&tag=sky&tag=SEA&tag=none&window=4h&step=hour")
    assert answer["step"] == "hour"
    assert len(answer["starts"]) == len(answer["tags"][0]["counts"])
    assert [(line["tag"], line["total"], sum(line["counts"])) for line in answer["tags"]] == [
        ("sky", 2, 2),
        ("sea", 1, 1),
        ("none", 0, 0),
    ]
    assert (await get(client, "/trends/series", 400))["error"] == "invalid_tag"


async def test_all_tenants_together(client: ClientSession) -> None:
    """Who may ask about each may ask about all at once, of the most used tags."""
    answer = await get(client, "/trends/top?window=24h&tenant=*")
    assert counts(answer) == [("koala", 6), ("sea", 5), ("roof", 2)]
    assert (await get(client, "/trends/top?tenant=*&by=uploaders", 400))["error"] == "invalid_by"
    assert (await get(client, "/tags?tenant=*", 400))["error"] == "invalid_tenant"
