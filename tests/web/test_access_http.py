"""Who may ask, over HTTP: every route with tokens of several tenants, limits, slow clients."""

import asyncio
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode

import msgspec
import pytest
import pytest_asyncio
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.fakes import RULES, FakeReplica, record, tagged, upload
from support.web_client import client_of, query_app
from support.web_client import serving as listening_to

from schemas.answers.trends import Health, PartitionState
from streams.app.services.query_indexes import QueryIndexes
from streams.app.settings import Settings
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done
from streams.fold.rows import ImageKey, InterestKey, TrendKey
from streams.state.partition import PartitionState as Rows
from streams.web.access.callers import IN_USE, Scope
from streams.web.access.guard import Guard
from streams.web.access.query_gate import QueryGate
from streams.web.access.tokens import lines_of
from streams.web.api.routes import NoParameters, Route
from streams.web.api.trend_questions import TagsQuestion
from streams.web.connections import Connection
from streams.web.server import WebServer

TENANTS = ("left", "right", "")
EMBEDDING = "ARR3alaotYN4pH5reXdpZZg3hVVnWImMuZmYWna5l5aa"
IMAGES = 20  # of each tenant
NOW = int(time.time() * 1000)
AT = PartitionState(0, ready=True, next_offset=7, lag=3, event_time=datetime(2026, 11, 24, 11, tzinfo=UTC))


@dataclass
class Idle:
    """A worker without partitions."""

    status: str = "ready"
    units: dict[int, Any] = field(default_factory=dict)
    rules: None = None


def mark(tenant: str) -> str:
    """Whatever is a tenant's alone is called by this."""
    return f"only-{tenant or 'default'}"


async def query_indexes() -> QueryIndexes:
    """Three tenants whose images, users and tags have some names in common, and some of their own."""
    rows, query_indexes = Rows(0), QueryIndexes(Settings())
    rows.indexes += query_indexes.indexes
    await rows.build_indexes()
    query_indexes.follow(cast("Any", FakeReplica({0: rows}, [AT])))
    for offset in range(IMAGES * len(TENANTS)):
        tenant, number = TENANTS[offset % len(TENANTS)], offset // len(TENANTS)
        public_id = "shared" if number == 0 else f"{mark(tenant)}-{number}"
        user = ("shared", "friend", f"{mark(tenant)}-user")[number % 3]
        event = upload(
            public_id, f"{mark(tenant)}-{offset}", at=NOW - number * 1000, tenant=tenant or None, user_id=user
        )
        tags = {"shared": 0.9, "common": 0.8, f"{mark(tenant)}_tag": 0.7, f"{mark(tenant)}_{number % 4}": 0.6}
        changes = Changes(rows.rows)
        url = f"http://{mark(tenant)}/{number}.jpg"
        looks = {"phash": f"{number % 4:016x}", "embedding": EMBEDDING}
        outcome = replace(tagged(event, **tags), url=url, **looks)
        fold(changes, Done(record(offset, timestamp=NOW), outcome), RULES)
        for table, key, value in changes.encoded():
            rows.apply(table, key, value)
    return query_indexes


TOKENS = {
    "left": ("left",),
    "right": ("right",),
    "": ("",),
    "both": ("left", "right"),
    "all": ("*",),
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A token for each tenant, for two, for all, and one that may only write."""
    path = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    lines = [
        lines_of(f"ts_{name or 'default'}", [Scope.READ], tenants, name or "default")
        for name, tenants in TOKENS.items()
    ]
    path.write_text("\n".join([*lines, lines_of("ts_writer", [Scope.WRITE], ["*"], "writer")]), "utf-8")
    path.chmod(0o600)
    return path


Ask = Callable[..., Awaitable[tuple[int, str]]]


@asynccontextmanager
async def serving(routes: list[Route], guard: Guard) -> AsyncIterator[Ask]:
    async with client_of(query_app(Idle(), routes, guard=guard)) as client:

        async def ask(path: str, token: str | None = None, **headers: str) -> tuple[int, str]:
            if token is not None:
                headers["Authorization"] = f"Bearer ts_{token or 'default'}"
            async with client.get(path, headers=headers) as answer:
                return answer.status, await answer.text()

        yield ask


one_server = pytest.mark.asyncio(loop_scope="module")  # of the tests that share `ask`: no question changes it


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ask(file: Path) -> AsyncIterator[Ask]:
    async with serving((await query_indexes()).routes(), Guard.of(Settings(tokens=file))) as ask:
        yield ask


PATH_VALUES = {"tag": "shared", "user_id": "shared", "public_id": "shared"}
ROUTES = {route.path: route for route in QueryIndexes(Settings()).routes()}
MORE = {
    "/trends/top": ["by=uploaders", "window=all", "add_on=imagga_tagging", "window=1h&limit=1000"],
    "/trends/rising": ["least_uses=1&least_uploaders=0&window=1h", "least_uses=1"],
    "/trends/tags/{tag}": ["window=all", "step=hour"],
    "/trends/compare": ["tag=shared&tag=only-left_tag&tag=only-right_tag&tag=only-default_tag"],
    "/tags": ["limit=1", "prefix=only"],
    "/images": ["tag=shared", "user=shared", "any=only-left_tag,only-right_tag,only-default_tag", "limit=2"],
    "/trends/tags/{tag}/related": ["min_both=1", "order=both&min_both=1"],
    "/users/{user_id}/interests": ["half_life_days=1"],
    "/users/{user_id}/feed": ["seen=shared"],
}
NEEDED = {"/trends/series": "tag=only-left_tag&tag=only-right_tag&tag=only-default_tag&tag=shared"}
QUESTIONS = [(path, more) for path in ROUTES for more in (NEEDED.get(path, ""), *MORE.get(path, ()))]


def filled(path: str, values: dict[str, str] = PATH_VALUES) -> str:
    return re.sub(r"{(\w+)}", lambda found: quote(values[found[1]], safe=""), path)


def test_every_route_is_asked() -> None:
    """Those of the worker, whatever they are: each asks for a tenant, and needs a token to read."""
    assert len(ROUTES) >= 11
    assert MORE.keys() <= ROUTES.keys()
    for route in ROUTES.values():
        assert "tenant" in route.parameters, route.path
        assert route.needs_state
        assert not route.open
    assert {route.scope for route in ROUTES.values()} == {Scope.READ} == IN_USE - {Scope.WRITE}


@one_server
@pytest.mark.parametrize(("path", "more"), QUESTIONS)
async def test_no_answer_holds_anything_of_another_tenant(ask: Ask, path: str, more: str) -> None:
    """Its own names are in the answer, and no other tenant's, though images, users and tags share names."""
    for tenant in TENANTS:
        status, text = await ask(f"{filled(path)}?{more}", tenant)
        assert status == 200, text
        asked_for = set(re.findall(r"only-\w+?_tag", more))
        for other in set(TENANTS) - {tenant}:
            found = set(re.findall(rf"{mark(other)}[\w-]*", text))
            assert found <= asked_for, (tenant, found)


@one_server
@pytest.mark.parametrize("path", ROUTES)
async def test_a_tenants_own_names_are_in_its_answers(ask: Ask, path: str) -> None:
    """So that the test above would find others'."""
    more = {
        "/trends/rising": "least_uses=1&least_uploaders=0",
        "/users/{user_id}/similar": "limit=5",
    } | NEEDED
    for tenant in TENANTS:
        _, text = await ask(f"{filled(path)}?{more.get(path, '')}", tenant)
        if path == "/trends/tags/{tag}":  # it names the tag alone
            assert msgspec.json.decode(text)["total"] == IMAGES
        elif path == "/tenants":
            assert [each["tenant"] for each in msgspec.json.decode(text)["tenants"]] == [tenant]
        else:
            assert mark(tenant) in text


@one_server
@pytest.mark.parametrize("path", [path for path in ROUTES if "{" in path])
async def test_what_is_anothers_is_unknown(ask: Ask, path: str) -> None:
    """Another tenant's tag, user or image is answered just like one that nobody has."""
    theirs = {"tag": "only-right_tag", "user_id": "only-right-user", "public_id": "only-right-1"}
    nobodys = {"tag": "only-nobod_tag", "user_id": "only-nobod-user", "public_id": "only-nobod-1"}
    status, text = await ask(filled(path, theirs), "left")
    assert status == 404
    assert (404, text.replace("right", "nobod")) == await ask(filled(path, nobodys), "left")
    assert (await ask(filled(path, theirs), "right"))[0] == 200


@one_server
@pytest.mark.parametrize("path", ROUTES)
async def test_other_tenants_are_refused_on_every_route(ask: Ask, path: str) -> None:
    """403 with the same words, whether the tenant exists or not; the default tenant is one, too."""
    for name in ("left", "", "both"):
        answers = set()
        for tenant in {"right", "left", "", "nobody", "*", "LEFT", "left ", "left\u200b"} - set(TOKENS[name]):
            query = f"{NEEDED.get(path, '')}&{urlencode({'tenant': tenant})}"
            answers.add(await ask(f"{filled(path)}?{query}", name))
        [(status, text)] = answers
        assert status == 403
        assert msgspec.json.decode(text)["error"] == "tenant_refused"


@one_server
async def test_the_tenant_that_is_meant(ask: Ask) -> None:
    """A token of one tenant need not say it, one of several must; one of all means the default one."""
    assert await ask("/tags", "left") == await ask("/tags?tenant=left", "left")
    assert await ask("/tags?tenant=left", "left") == await ask("/tags?tenant=left", "all")
    assert await ask("/tags", "") == await ask("/tags", "all") == await ask("/tags?tenant=", "all")
    status, text = await ask("/tags", "both")
    assert (status, msgspec.json.decode(text)["error"]) == (400, "invalid_tenant")
    assert await ask("/tags?tenant=right", "both") == await ask("/tags", "right")
    status, text = await ask("/tags?tenant=left&tenant=right", "left")
    assert (status, msgspec.json.decode(text)["error"]) == (400, "invalid_tenant")


@one_server
async def test_a_cursor_opens_no_other_tenants_page(ask: Ask) -> None:
    """It is of another question, or leads only to one's own names."""
    for path, status in (("/images", 400), ("/tags", 200)):
        _, text = await ask(f"{path}?limit=1", "left")
        cursor = msgspec.json.decode(text)["cursor"]
        answered, text = await ask(f"{path}?cursor={cursor}", "right")
        assert answered == status
        assert mark("left") not in text


names = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=8) | st.sampled_from(
    [":", "a:b", "0:", "day:0:a", "\u2028", "*", "1"]
)


@given(st.tuples(names | st.just(""), names), st.tuples(names | st.just(""), names))
def test_rows_of_tenants_never_meet(one: tuple[str, str], other: tuple[str, str]) -> None:
    """Whatever tenants and images are called, two have the same key only if they are the same."""
    for make in (
        ImageKey,
        lambda tenant, name: TrendKey(tenant, "day", 0, name),
        lambda tenant, name: InterestKey(tenant, name, 7),
    ):
        first, second = make(*one), make(*other)
        assert (first.encode() == second.encode()) == (one == other)
        assert type(first).decode(first.encode()) == first


# Without a token


@one_server
@pytest.mark.parametrize("path", [*ROUTES, "/nowhere", "/trends/tags/{tag}/nowhere"])
async def test_a_token_is_needed(ask: Ask, path: str) -> None:
    """On every route, known or not: 401 with what to send. A token for writing reads nothing: 403."""
    for token, error in ((None, "token_missing"), ("unknown", "invalid_token")):
        status, text = await ask(filled(path), token)
        assert (status, msgspec.json.decode(text)["error"]) == (401, error)
    if path in ROUTES:
        status, text = await ask(filled(path), "writer")
        assert (status, msgspec.json.decode(text)["error"]) == (403, "scope_refused")


def test_hostile_authorization_headers(file: Path) -> None:
    """Bytes of any kind, in one header or several: 401 or 400 in JSON, and never an answer."""
    loop = asyncio.new_event_loop()
    guard = Guard.of(Settings(tokens=file, rate_limit=0))
    server = WebServer(query_app(Idle(), QueryIndexes(Settings()).routes(), guard=guard))
    port = loop.run_until_complete(server.start("127.0.0.1", 0))
    pieces = st.binary(max_size=20) | st.sampled_from(
        [b"Bearer ", b"bearer ts_", b"\xff", b"left", b"\t", b"="]
    )

    @given(st.lists(st.lists(pieces, max_size=4).map(b"".join), min_size=1, max_size=3))
    @settings(max_examples=300)
    def ask(values: list[bytes]) -> None:
        assume(not any(value.strip().endswith((b"ts_left", b"ts_default")) for value in values))
        head = b"GET /tags HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        lines = b"".join(b"Authorization: " + value + b"\r\n" for value in values)
        answer = loop.run_until_complete(say(port, head + lines + b"\r\n"))
        status, body = answer.split(b" ", 2)[1], answer.partition(b"\r\n\r\n")[2]
        assert status in {b"400", b"401"}
        assert msgspec.json.decode(body.partition(b"HTTP/1")[0])["error"]

    try:
        ask()
    finally:
        loop.run_until_complete(server.stop())
        loop.close()


async def test_what_strangers_are_told(file: Path) -> None:
    """The status, for Docker's sake, and the description of the API; positions are for those with a token."""

    async def healthz(_question: NoParameters) -> Health:
        """Answer."""
        return Health("ready", [AT])

    route = Route("/also", NoParameters, Health, healthz, needs_state=False, open=True)
    for guard, told in ((Guard.of(Settings(tokens=file)), 0), (Guard(), 1)):
        async with serving([route], guard) as ask:
            for path in ("/healthz", "/readyz", "/also"):
                for token in (None, "unknown"):
                    status, text = await ask(path, token)
                    health = msgspec.json.decode(text, type=Health)
                    assert (status, health.status) == (200, "ready")
                    assert len(health.partitions) == (told if path == "/also" else 0)
            _, text = await ask("/also", "left")
            assert msgspec.json.decode(text, type=Health).partitions == [AT]
            status, text = await ask("/openapi.json")
            assert status == 200
            assert "only-" not in text


@one_server
async def test_the_description_names_the_tokens(ask: Ask) -> None:
    """Scheme and scope of every operation."""
    document = msgspec.json.decode((await ask("/openapi.json"))[1])
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, item in document["paths"].items():
        scopes = [] if path in {"/healthz", "/readyz"} else ["read"]
        assert item["get"]["security"] == [{"bearer": scopes}, {}]
        assert ({"401", "403", "429"} <= item["get"]["responses"].keys()) == bool(scopes)


@one_server
async def test_foreign_pages_read_nothing(ask: Ask) -> None:
    """A name that was rebound to this machine gets 421 on every route, also with a token, also for health."""
    for path in (*map(filled, ROUTES), "/healthz", "/openapi.json", "/nowhere"):
        for host in ("evil.example", "evil.example:6066", ""):
            status, text = await ask(path, "all", Host=host)
            assert (status, msgspec.json.decode(text)["error"]) == (421, "unknown_host_name")
    assert (await ask("/tags", "all", Host="localhost:6066"))[0] == 200


# Limits


async def test_too_many_questions(file: Path) -> None:
    """429 and when to come back, by token; health is told all the same, for a probe must not fail."""
    guard = Guard.of(Settings(tokens=file, rate_limit=0.5, rate_burst=3))
    async with client_of(query_app(Idle(), (await query_indexes()).routes(), guard=guard)) as client:
        statuses = []
        for _ in range(5):
            async with client.get("/tags", headers={"Authorization": "Bearer ts_left"}) as answer:
                statuses.append(answer.status)
        assert statuses == [200] * 3 + [429] * 2
        assert 1 <= int(answer.headers["retry-after"]) <= 2
        assert (await client.get("/tags", headers={"Authorization": "Bearer ts_right"})).status == 200
        for _ in range(10):
            assert (await client.get("/healthz")).status == 200
        strangers = [
            (await client.get(path)).status for path in ("/tags", "/openapi.json", "/nowhere", "/tags")
        ]
        assert strangers == [401, 200, 401, 429]
        assert (await client.get("/openapi.json")).status == 429


async def test_too_much_work() -> None:
    """One question is in work in a thread, four wait, the sixth is sent away; then all are answered."""
    release = threading.Event()

    async def slow(_question: NoParameters) -> Health:
        """Take long."""
        await asyncio.to_thread(release.wait)
        return Health("done", [])

    guard = Guard(gate=QueryGate(1, 30))
    async with serving([Route("/slow", NoParameters, Health, slow)], guard) as ask:
        tasks = [asyncio.create_task(ask("/slow")) for _ in range(6)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        [(status, text)] = [task.result() for task in done]
        assert (status, msgspec.json.decode(text)["error"]) == (503, "busy")
        assert (await ask("/healthz"))[0] == 200
        release.set()
        assert sorted([status for status, _ in await asyncio.gather(*tasks)]) == [200] * 5 + [503]


async def test_a_question_that_takes_too_long() -> None:
    """503 in time."""
    release = threading.Event()

    async def slow(_question: NoParameters) -> Health:
        """Take long."""
        await asyncio.to_thread(release.wait)
        return Health("done", [])

    async with serving([Route("/slow", NoParameters, Health, slow)], Guard(gate=QueryGate(1, 0.1))) as ask:
        status, text = await ask("/slow")
        assert (status, msgspec.json.decode(text)["error"]) == (503, "query_timeout")
        release.set()


async def test_a_route_that_knows_no_tenant_is_for_tokens_of_all(file: Path) -> None:
    """A later route that forgets tenants tells nobody of another's."""

    async def total(_question: NoParameters) -> Health:
        """Answer about everybody."""
        return Health("everybody's", [])

    async with serving(
        [Route("/total", NoParameters, Health, total)], Guard.of(Settings(tokens=file))
    ) as ask:
        assert [(await ask("/total", name))[0] for name in ("left", "", "both", "all")] == [
            403,
            403,
            403,
            200,
        ]


# Connections


@asynccontextmanager
async def listening(routes: list[Route] | None = None, guard: Guard | None = None) -> AsyncIterator[int]:
    async with listening_to(query_app(Idle(), routes or [], guard=guard)) as port:
        yield port


async def say(port: int, request: bytes, seconds: float = 5) -> bytes:
    """Send bytes as they are; return all that comes back until the other side closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), seconds)
    finally:
        writer.close()


HOSTILE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\nConnection: close\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nbad header\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"A: x\r\n" * 10_000 + b"\r\n",
    b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"POST /tags HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    b"POST /tags HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"GET /tags HTTP/1.1\r\nHost: localhost\r\nExpect: foo\r\nConnection: close\r\n\r\n",
    b"POST /tags HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n",
    b"GET /%00 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    b"GET http://evil/healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
]


@pytest.mark.parametrize("request_", HOSTILE, ids=range(len(HOSTILE)))
async def test_nothing_is_told_about_the_server(request_: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever is sent: no version, no trace; the headers that all answers have; no line in the log."""
    async with listening() as port:
        answer = await say(port, request_)
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert re.match(rb"http/[019]\.[019] (200|400|404|405|421) ", head), answer
    assert b"server: tagstream\r\n" in head + b"\r\n"
    assert b"x-content-type-options: nosniff" in head
    assert b"access-control" not in head
    for word in (b"aiohttp", b"python", b"traceback", b'file "'):
        assert word not in answer.lower()
    assert caplog.records == []


@pytest.mark.parametrize("expected", [b"foo", b"100-continue", b"foo\r\nExpect: 100-continue"])
@pytest.mark.parametrize("path", [b"/tags", b"/nowhere"])
async def test_what_is_expected_opens_no_door(file: Path, path: bytes, expected: bytes) -> None:
    """Token, host and rate are looked at as ever, and nobody is told to go on."""
    guard = Guard.of(Settings(tokens=file, rate_limit=0.001, rate_burst=2))
    async with listening((await query_indexes()).routes(), guard) as port:

        async def ask(more: bytes = b"") -> bytes:
            lines = [b"GET " + path + b" HTTP/1.1", b"Expect: " + expected, b"Connection: close"]
            host = [] if b"Host" in more else [b"Host: localhost"]
            answer = await say(port, b"\r\n".join([*lines, *host, *filter(None, [more]), b"", b""]))
            assert b"server: tagstream" in answer.lower()
            return answer.split(b" ", 2)[1]

        assert await ask(b"Host: evil.example") == b"421"
        assert await ask(b"Authorization: Bearer ts_left") == (b"200" if path == b"/tags" else b"404")
        assert [await ask() for _ in range(3)] == [b"401", b"401", b"429"]


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> float:
    """Connections without progress end after this time, in seconds."""
    monkeypatch.setattr("streams.web.server.IDLE_SECONDS", 0.4)
    return 0.4


@pytest.mark.parametrize("drip", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nA: "])
async def test_a_slow_head_is_not_waited_for(hasty: float, drip: bytes) -> None:
    """Neither silence nor a byte now and then keeps a connection."""
    async with listening() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        begin = time.monotonic()
        writer.write(drip)
        ended = asyncio.create_task(reader.read())
        while not ended.done():
            if drip and not writer.is_closing():
                writer.write(b"x")
            await asyncio.wait({ended}, timeout=0.05)
            assert time.monotonic() - begin < 5
        assert time.monotonic() - begin >= hasty * 0.5
        assert ended.exception() is not None or ended.result() == b""
        writer.close()
        assert b"200" in await say(port, HOSTILE[-2])


async def test_an_answer_that_is_not_taken_is_not_kept(hasty: float) -> None:
    """Whoever asks for much and reads nothing is left; the memory is free again."""

    async def much(_question: NoParameters) -> Health:
        """Answer at length."""
        return Health("x" * 30_000_000, [])

    server = WebServer(query_app(Idle(), [Route("/much", NoParameters, Health, much)]))
    port = await server.start("127.0.0.1", 0)
    _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
    writer.write(b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await asyncio.sleep(hasty / 4)
    assert server.connections == 1
    await asyncio.sleep(hasty * 4)
    assert server.connections == 0
    writer.close()
    await server.stop()


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """There may be three connections."""
    monkeypatch.setattr(Connection, "most", 3)


KEEPING = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def connected(port: int, request: bytes = b"") -> Wire:
    """Open a connection, and keep it; return it when its request has been answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    if request:
        writer.write(request)
        await asyncio.wait_for(reader.readuntil(b"}"), 5)
    await asyncio.sleep(0.02)
    return reader, writer


async def last_words(wire: Wire) -> bytes | None:
    """What was said before the other side closed; None: it has not."""
    try:
        return await asyncio.wait_for(wire[0].read(), 0.05)
    except TimeoutError:
        return None


@pytest.mark.usefixtures("three")
async def test_connections_are_bounded() -> None:
    """Where all have a question under way 503 is all that is said; when one has ended there is room again."""
    release = asyncio.Event()

    async def slow(_question: NoParameters) -> Health:
        """Take long."""
        await release.wait()
        return Health("done", [])

    async with listening([Route("/slow", NoParameters, Health, slow)]) as port:
        held = [await connected(port) for _ in range(3)]
        for _, writer in held:
            writer.write(KEEPING.replace(b"healthz", b"slow"))
        await asyncio.sleep(0.05)
        assert (await say(port, HOSTILE[-2])).startswith(b"HTTP/1.1 503 ")
        release.set()
        for reader, _ in held:
            assert b" 200 " in await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert (await say(port, HOSTILE[-2])).startswith(b"HTTP/1.1 200 ")
        assert [await last_words(wire) for wire in held] == [b"", None, None]
        for _, writer in held:
            writer.close()


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("request_", [KEEPING, b""], ids=["after an answer", "without a question"])
async def test_nobody_sits_on_all_connections(request_: bytes) -> None:
    """Whoever comes gets the place of the one that was idle for longest; nobody is refused."""
    async with listening() as port:
        held = [await connected(port, request_) for _ in range(3)]
        for _ in range(5):
            assert (await say(port, HOSTILE[-2])).startswith(b"HTTP/1.1 200 ")
        said = [await last_words(wire) for wire in held]
        assert said[1:] == [None, None]
        assert said[0] is not None
        assert said[0].startswith(b"" if request_ else b"HTTP/1.1 503 ")
        held.append(await connected(port, KEEPING))
        held[1][1].write(KEEPING)  # no longer the one that was idle for longest
        await asyncio.wait_for(held[1][0].readuntil(b"}"), 5)
        held.append(await connected(port, KEEPING))
        assert [await last_words(wire) is not None for wire in held[1:]] == [False, True, False, False]
        for _, writer in held:
            writer.close()


@pytest.mark.usefixtures("three")
async def test_an_answer_that_is_not_taken_holds_no_place() -> None:
    """Nor does what was asked for and left lying."""

    async def much(_question: NoParameters) -> Health:
        """Answer at length."""
        return Health("x" * 30_000_000, [])

    async with listening([Route("/much", NoParameters, Health, much)]) as port:
        held = [await connected(port, KEEPING) for _ in range(2)]
        held.append(await asyncio.open_connection("127.0.0.1", port, limit=1))
        held[-1][1].write(KEEPING.replace(b"healthz", b"much"))
        for _ in range(5):
            assert (await say(port, HOSTILE[-2])).startswith(b"HTTP/1.1 200 ")
        for _, writer in held:
            writer.transport.abort()


async def test_a_caller_with_many_questions_leaves_room(file: Path) -> None:
    """By its token: 503 for what is beyond its half of the places, an answer for everybody else."""
    release = asyncio.Event()

    async def slow(question: TagsQuestion) -> Health:
        """Take long, for one tenant."""
        if question.tenant == "left":
            await release.wait()
        return Health("done", [])

    guard = Guard.of(Settings(tokens=file, max_queries=2, rate_limit=0))
    async with serving([Route("/slow", TagsQuestion, Health, slow)], guard) as ask:
        tasks = [asyncio.create_task(ask("/slow", "left")) for _ in range(6)]
        done, _ = await asyncio.wait(tasks, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        [(status, text)] = [task.result() for task in done]
        assert (status, msgspec.json.decode(text)["error"]) == (503, "busy")
        assert [(await ask("/slow", "right"))[0] for _ in range(3)] == [200] * 3
        release.set()
        assert sorted([status for status, _ in await asyncio.gather(*tasks)]) == [200] * 5 + [503]


async def test_a_body_is_not_read_for_long() -> None:
    """A question has none; whoever sends one is answered and left."""
    async with listening() as port:
        begin = time.monotonic()
        answer = await say(
            port, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() - begin < 4


@one_server
async def test_pages_of_other_sites_are_not_let_in(ask: Ask) -> None:
    """No CORS: a preflight is 405, and nothing allows an origin."""
    async with client_of(query_app(Idle())) as client:
        headers = {"Origin": "http://evil.example", "Access-Control-Request-Method": "GET"}
        async with client.options("/healthz", headers=headers) as answer:
            assert answer.status == 405
            assert not any(name.lower().startswith("access-control") for name in answer.headers)
    assert (await ask("/tags", "left", Origin="http://evil.example"))[0] == 200


PARAMETERS = sorted({name for route in ROUTES.values() for name in route.parameters})
ODD = st.text(max_size=30) | st.sampled_from(
    ["", "shared", "1h", "all", "7d", "2026-11-24T10", "-1", "0", "1e9", "NaN", "9" * 400, "\x00", "%", "[]"]
)


@pytest.mark.slow
@settings(max_examples=15)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(sorted(ROUTES)),
            st.fixed_dictionaries(dict.fromkeys(PATH_VALUES, ODD.filter(bool))),
            st.lists(st.tuples(st.sampled_from(PARAMETERS) | st.text(max_size=5), ODD), max_size=5),
        ),
        min_size=20,
        max_size=20,
    )
)
def test_any_question_has_an_answer(
    questions: list[tuple[str, dict[str, str], list[tuple[str, str]]]],
) -> None:
    """Law: every route, whatever its path and parameters say, answers 200, or what is wrong with them."""

    async def ask_all() -> None:
        guard = Guard.of(Settings(rate_limit=0))
        async with serving((await query_indexes()).routes(), guard) as ask:
            for path, values, parameters in questions:
                status, text = await ask(f"{filled(path, values)}?{urlencode(parameters)}")
                assert status in {200, 400, 403, 404, 414}, (path, values, parameters, text)

    asyncio.run(ask_all())
