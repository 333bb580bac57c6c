import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import ClientSession, FormData, encode_basic_auth
from litestar.types import ASGIApp
from support.web_client import serving
from yarl import URL

from streams.gateway.app import create_gateway
from streams.gateway.calls import Answer, Area, Call, Door, Handler, route, vendors_problem
from streams.gateway.connections import GatewayConnection
from streams.gateway.rates import Rates
from streams.gateway.requests.bodies import Limits
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.credentials_file import CredentialsFile
from streams.gateway.requests.forms import Forms

CREDENTIALS = """
[[cloud]]
name = "demo"
[[cloud.key]]
id = "testkey"
secret = "testsecret"
admin_per_hour = 3
uploads_per_second = 0.001
concurrent = 2
"""
AUTH = {"authorization": encode_basic_auth("testkey", "testsecret")}


@pytest.fixture
def door(tmp_path: Path) -> Door:
    """Who is let in, at a time that stands still."""
    path = tmp_path / "gateway.toml"
    path.write_text(CREDENTIALS)
    path.chmod(0o600)

    def clock() -> float:
        return 1_795_987_445.0

    return Door(CredentialsFile(path, clock), Rates(clock), Forms(Limits(file=1000, buffered=1000)), clock)


@asynccontextmanager
async def asked(
    door: Door, handler: Handler, pattern: str = "(?P<cloud>[^/]+)/(?P<rest>.*)"
) -> AsyncIterator[ClientSession]:
    """A gateway with one route, and a client of it."""
    app = create_gateway(door, [Area("/v1_1/", [route("GET POST", pattern, handler)], vendors_problem)])
    async with serving(app) as port, ClientSession(f"http://127.0.0.1:{port}") as client:
        yield client


async def parts(call: Call) -> ASGIApp:
    """Answer with what the path holds."""
    return Answer(dict(call.parts))


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("resources/search", "resources/search"),
        ("resources%2Fsearch", "resources/search"),
        ("resources/image/upload/fo%2Fx%20y", "resources/image/upload/fo/x y"),
        ("tags/k%C3%A4fer%2B", "tags/käfer+"),
        ("a//b/", "a//b/"),
        ("ping?", "ping"),
    ],
)
async def test_paths(door: Door, path: str, rest: str) -> None:
    """They are decoded before they are routed: some SDKs escape slashes that others do not."""
    async with asked(door, parts) as client:
        url = URL(f"/v1_1/demo/{path}", encoded=True)
        async with client.get(url) as answer:
            assert await answer.json() == {"cloud": "demo", "rest": rest}
            assert answer.headers["content-type"] == "application/json; charset=utf-8"
            assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/v1_1"), ("PUT", "/v1_1/demo/x"), ("OPTIONS", "/v1_1/demo/x"), ("GET", "/x\x7f")],
)
async def test_what_is_not_answered(door: Door, method: str, path: str) -> None:
    """The vendor's form, with a status that its SDKs read; also for methods that no route has."""
    async with asked(door, parts) as client, client.request(method, path, data=b"x" * 5000) as answer:
        assert answer.status == 404
        assert "is not answered here" in (await answer.json())["error"]["message"]


async def test_long_paths(door: Door) -> None:
    """They are refused in the vendor's form."""
    async with asked(door, parts) as client, client.get("/v1_1/demo/" + "x" * 5000) as answer:
        assert (answer.status, "4096 bytes" in (await answer.json())["error"]["message"]) == (400, True)


async def test_a_crash(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """It is answered in the vendor's form, tells nothing, and is in the log under the request's id."""

    async def crash(_: Call) -> ASGIApp:
        raise ZeroDivisionError("a secret")

    async with asked(door, crash) as client, client.get("/v1_1/demo/x") as answer:
        message = (await answer.json())["error"]["message"]
        assert (answer.status, answer.headers["x-request-id"] in message, "secret" in message) == (
            500,
            True,
            False,
        )
        assert answer.headers["x-request-id"] in caplog.text


async def test_head(door: Door) -> None:
    """It is GET without the body."""
    async with asked(door, parts) as client, client.head("/v1_1/demo/x") as answer:
        assert (answer.status, answer.headers["content-length"], await answer.read()) == (200, "27", b"")


async def reading(call: Call) -> ASGIApp:
    """Read the form, and admit who sent it."""
    form = await call.form()
    caller = call.admit_signed(form.fields, Right.WRITE, "upload")
    call.writes(caller, "upload", [form.fields.text("public_id") or ""])
    return Answer({"caller": caller.name})


@pytest.mark.parametrize("size", [2000, 3_000_000, 40_000_000])
async def test_a_refused_body_is_read_on(door: Door, size: int) -> None:
    """So the caller reads why, and does not find its connection closed while it sends."""
    form = FormData()
    form.add_field("file", io.BytesIO(b"x" * size), filename="k.jpg")
    async with asked(door, reading) as client, client.post("/v1_1/demo/x", data=form) as answer:
        assert (answer.status, "file" in (await answer.json())["error"]["message"].lower()) == (400, True)


async def test_a_caller_who_waits_to_be_asked(door: Door) -> None:
    """`Expect: 100-continue` is answered at once by a refusal, without the body; or by asking for it."""
    async with asked(door, reading) as client:
        async with client.put("/v1_1/demo/x", data=io.BytesIO(b"x" * 2_000_000), expect100=True) as answer:
            assert answer.status == 404
        async with client.post("/v1_1/demo/x", data={"a": "x" * 500}, expect100=True, headers=AUTH) as answer:
            assert answer.status == 200


async def test_the_audit_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """A call that changes something has one line: who, what, how it ended; no secret, no forged line."""
    with caplog.at_level(logging.INFO, "streams.gateway.audit"):
        async with asked(door, reading) as client:
            body = {"public_id": "a\nkey=forged", "signature": "s", "tags": "testsecret"}
            async with client.post("/v1_1/demo/x", data=body, headers=AUTH) as answer:
                request = answer.headers["x-request-id"]
            async with client.post("/v1_1/demo/x", data=body) as answer:
                assert answer.status == 401
    lines = [record.getMessage() for record in caplog.records if record.name == "streams.gateway.audit"]
    assert lines == [
        f'cloud=demo key=testkey action=upload public_id=["a\\nkey=forged"] request={request} status=200'
    ]


async def test_rates_of_uploads(door: Door) -> None:
    """Too many have the one status that the SDKs read as such."""
    statuses = []
    async with asked(door, reading) as client:
        for _ in range(12):
            async with client.post("/v1_1/demo/x", data={"a": "1"}, headers=AUTH) as answer:
                statuses.append(answer.status)
                message = await answer.text()
    assert statuses == [200] * 10 + [420] * 2
    assert "try again in" in message


async def test_rates_of_the_admin_api(door: Door) -> None:
    """Each answer says how many calls are left of the hour, and when it ends."""

    async def admin(call: Call) -> ASGIApp:
        return Answer({"caller": call.admit_admin(Right.READ).name})

    seen = []
    async with asked(door, admin) as client:
        for _ in range(4):
            async with client.get("/v1_1/demo/ping", headers=AUTH) as answer:
                headers = answer.headers
                seen.append(
                    (
                        answer.status,
                        headers["x-featureratelimit-limit"],
                        headers["x-featureratelimit-remaining"],
                    )
                )
                message = await answer.text()
    assert seen == [(200, "3", "2"), (200, "3", "1"), (200, "3", "0"), (420, "3", "0")]
    assert headers["x-featureratelimit-reset"] == "Sun, 29 Nov 2026 22:00:00 GMT"
    assert "Rate Limit Exceeded. Limit of 3 api operations reached" in message


async def test_calls_at_once(door: Door) -> None:
    """A key has so many; the next is told to come again, and may when one is answered."""
    go, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def waiting(call: Call) -> ASGIApp:
        call.admit_admin(Right.READ)
        begun.release()
        await go.wait()
        return Answer({})

    async with asked(door, waiting) as client:

        async def get() -> int:
            async with client.get("/v1_1/demo/x", headers=AUTH) as answer:
                return answer.status

        first = [asyncio.create_task(get()) for _ in range(2)]
        for _ in first:
            await begun.acquire()
        assert await get() == 420
        go.set()
        assert [await task for task in first] == [200, 200]


async def test_areas(door: Door) -> None:
    """The longest prefix answers, and says why not in its own way."""

    def own(error: Exception) -> Answer:
        return Answer({"own": str(error)}, 404)

    areas = [Area("/", [route("GET", "(?P<rest>.*)", parts)], vendors_problem), Area("/v2/", [], own)]
    async with (
        serving(create_gateway(door, areas)) as port,
        ClientSession(f"http://127.0.0.1:{port}") as client,
    ):
        async with client.get("/demo/image") as answer:
            assert await answer.json() == {"rest": "demo/image"}
        async with client.get("/v2/tags") as answer:
            assert json.loads(await answer.read()).keys() == {"own"}


async def test_what_is_no_call(door: Door) -> None:
    """What is no HTTP, or has too long a head, is refused in the vendor's form as well."""
    app = create_gateway(door, [])
    async with serving(app, GatewayConnection) as port:
        for said in (b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\nx: " + b"y" * 40_000 + b"\r\n\r\n"):
            head, _, body = (await said_to(port, said)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400 ")
            assert json.loads(body)["error"]["message"]


async def test_too_many_connections(door: Door) -> None:
    """Where all have calls under way, one more is told to come again with the status that SDKs read."""

    class One(GatewayConnection):
        most = 1

    go, begun = asyncio.Event(), asyncio.Event()

    async def waiting(call: Call) -> ASGIApp:
        begun.set()
        await go.wait()
        return Answer({"path": call.path})

    app = create_gateway(door, [Area("/", [route("GET", ".*", waiting)], vendors_problem)])
    async with serving(app, One) as port, ClientSession(f"http://127.0.0.1:{port}") as client:
        first = asyncio.create_task(client.get("/x"))
        await begun.wait()
        head, _, body = (await said_to(port, b"")).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 420 ")
        assert "again" in json.loads(body)["error"]["message"]
        go.set()
        async with await first as answer:
            assert answer.status == 200


async def said_to(port: int, content: bytes) -> bytes:
    """Say something, and give all that comes back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(content)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer
