"""Who may do what by the page: tokens in cookies, tenants, other sites, pictures of strangers."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import ClientSession
from support.fakes import RULES, record, tagged, upload
from support.web_client import client_of

from schemas.topics import TopicNames
from streams.app.services.page import writing_of
from streams.app.settings import Settings
from streams.fetch.object_store import ObjectStore, thumbnail_key, url_of
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done
from streams.kafka.connection import KafkaConnection
from streams.page.operations import Operations
from streams.page.page import Page
from streams.page.requests import Writing
from streams.page.session import Known
from streams.state.partition import PartitionState
from streams.web.access.callers import ANYBODY, Scope
from streams.web.access.cookies import COOKIE
from streams.web.access.guard import AccessSettings, Guard
from streams.web.access.tokens import lines_of
from streams.web.app import create_api

JPEG = (Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg").read_bytes()
HTML = b"<html><script>alert(1)</script></html>"
OURS = {"x-tagstream-page": "1"}
THUMB = "0123456789abcdef0123456789abcdef"


@dataclass
class Site:
    """A page without Kafka, and a client of it."""

    client: ClientSession
    objects: ObjectStore

    async def ask(self, method: str, path: str, token: str | None = None, **options: Any) -> tuple[int, Any]:  # noqa: ANN401 - as aiohttp's
        headers = dict(options.pop("headers", {}))
        if token is not None:
            headers["cookie"] = f"{COOKIE}={token}"
        async with self.client.request(method, path, headers=headers, **options) as answer:
            body = await answer.read()
            return answer.status, body if answer.content_type.startswith("image") else await answer.json()


def rows() -> PartitionState:
    """Images of two tenants each: with a thumbnail, elsewhere, and no picture at all."""
    state = PartitionState(0)
    urls = {"koala": url_of("_page/koala"), "page": url_of("_page/page"), "far": "http://elsewhere/1.jpg"}
    events = [(tenant, public_id) for tenant in ("left", "right") for public_id in urls]
    for offset, (tenant, public_id) in enumerate(events):
        event = upload(public_id, f"{tenant}-{public_id}", at=offset + 1, tenant=tenant)
        thumb = THUMB if public_id == "koala" else None
        outcome = replace(tagged(event, koala=0.9), url=urls[public_id], thumb=thumb)
        changes = Changes(state.rows)
        fold(changes, Done(record(offset), outcome), RULES)
        for table, key, value in changes.encoded():
            state.apply(table, key, value)
    return state


def make_site(folder: Path, settings: AccessSettings, writing: Writing, *, needs_token: bool) -> Any:  # noqa: ANN401
    objects = ObjectStore.parse("", folder)
    page = Page(
        KafkaConnection("127.0.0.1:1"),
        TopicNames("t"),
        objects,
        known=Known(needs_token=needs_token, thumbnails=True, threshold=None, add_ons=[]),
        writing=writing,
        operations=Operations(cast("Any", None), [], [], list),
        tenants=lambda: ["left", "right"],
        most=1000,
    )
    page._pictures.states[0] = rows()
    app = create_api(
        [], guard=Guard.of(settings), handlers=page.handlers(), entries=page.entries(), cookies=True
    )
    return app, objects


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """One that needs tokens: of a reader and a writer of `left`, and of an operator."""
    path = tmp_path / "tokens.toml"
    entries = [
        lines_of("ts_reader", [Scope.READ], ["left"], "reader"),
        lines_of("ts_writer", [Scope.READ, Scope.WRITE], ["left"], "writer"),
        lines_of("ts_operator", [Scope.READ], ["*"], "operator"),
    ]
    path.write_text("\n".join(entries), "utf-8")
    path.chmod(0o600)
    app, objects = make_site(tmp_path, Settings(tokens=path), Writing(local=False), needs_token=True)
    await objects.put("_page/koala", JPEG)
    await objects.put("_page/page", HTML)
    await objects.put(thumbnail_key(THUMB), b"RIFF....WEBP")
    async with client_of(app) as client:
        yield Site(client, objects)


@pytest.fixture
async def open_site(tmp_path: Path) -> AsyncIterator[Site]:
    """One on this machine that needs no token."""
    app, objects = make_site(tmp_path, Settings(), Writing(local=True), needs_token=False)
    async with client_of(app) as client:
        yield Site(client, objects)


@pytest.mark.parametrize(
    ("given", "may"),
    [
        ({}, True),
        ({"web_host": "0.0.0.0", "open_api": True}, False),
        ({"web_host": "0.0.0.0", "open_api": True, "open_page": True}, True),
        ({"web_host": "0.0.0.0", "open_page": True, "tokens": Path("tokens.toml")}, False),
        ({"tokens": Path("tokens.toml")}, False),
    ],
)
def test_who_may_write_without_a_token(given: dict[str, Any], may: bool) -> None:  # noqa: FBT001 - a parameter
    """Who is on this machine; from afar where an operator says so; nobody where tokens are needed."""
    assert writing_of(Settings(**given)).allowed(ANYBODY) is may


async def test_a_token_is_kept_where_no_script_reads_it(site: Site) -> None:
    """A known one becomes a cookie for this host's own pages alone; signing out forgets it."""
    headers = {**OURS, "authorization": "Bearer ts_reader"}
    async with site.client.post("/page/session", headers=headers) as answer:
        kept = answer.headers["set-cookie"]
        assert (await answer.json())["name"] == "reader"
    assert kept.startswith(f"{COOKIE}=ts_reader; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(kept.split("; "))
    async with site.client.delete("/page/session", headers=OURS) as answer:
        assert "Max-Age=0" in answer.headers["set-cookie"]
    async with site.client.post(
        "/page/session", headers={**OURS, "authorization": "Bearer nobody"}
    ) as answer:
        assert answer.status == 401
        assert "set-cookie" not in answer.headers


async def test_behind_https_the_cookie_stays_there(site: Site) -> None:
    """Where the browser's side is HTTPS, it is sent by nothing else."""
    headers = {**OURS, "authorization": "Bearer ts_reader", "x-forwarded-proto": "https"}
    async with site.client.post("/page/session", headers=headers) as answer:
        assert "Secure" in answer.headers["set-cookie"].split("; ")


async def test_who_is_signed_in(site: Site) -> None:
    """Strangers learn that a token is needed, and nothing of tenants; operators learn all tenants."""
    status, nobody = await site.ask("GET", "/page/session")
    assert (status, nobody["needs_token"], nobody["reads"], nobody["writes"], nobody["tenants"]) == (
        200,
        True,
        False,
        False,
        [],
    )
    _, reader = await site.ask("GET", "/page/session", "ts_reader")
    assert (reader["tenants"], reader["reads"], reader["writes"], reader["every_tenant"]) == (
        ["left"],
        True,
        False,
        False,
    )
    _, operator = await site.ask("GET", "/page/session", "ts_operator")
    assert (operator["tenants"], operator["every_tenant"]) == (["left", "right"], True)


@pytest.mark.parametrize("site_of_page", ["cross-site", "same-site"])
async def test_a_cookie_counts_for_our_own_page_alone(site: Site, site_of_page: str) -> None:
    """What another site makes a browser ask is a stranger's question, even one at another port."""
    path = "/page/thumbnails/koala"
    status, _ = await site.ask("GET", path, "ts_reader", headers={"sec-fetch-site": site_of_page})
    assert status == 401
    status, _ = await site.ask("GET", path, "ts_reader", headers={"sec-fetch-site": "same-origin"})
    assert status == 200


async def test_where_there_is_no_page_no_cookie_counts() -> None:
    """A worker without the role has no use for them."""
    async with (
        client_of(create_api([])) as client,
        client.get("/", headers={"cookie": f"{COOKIE}=x"}) as answer,
    ):
        assert answer.status == 404


async def test_pictures_have_the_walls_of_their_tenant(site: Site) -> None:
    """A reader of one tenant sees its pictures, and no other's, whether these exist or not."""
    for path in ("/page/thumbnails/koala", "/page/pictures/koala"):
        assert (await site.ask("GET", path, "ts_reader"))[0] == 200
        assert (await site.ask("GET", f"{path}?tenant=right", "ts_reader"))[0] == 403
        assert (await site.ask("GET", path))[0] == 401
        assert (await site.ask("GET", f"{path}?tenant=right", "ts_operator"))[0] == 200


async def test_a_stranger_s_picture_runs_nothing(site: Site) -> None:
    """It is served as what its first bytes are, in a sandbox; what is no picture is not served."""
    cookie = {"cookie": f"{COOKIE}=ts_reader"}
    async with site.client.get("/page/pictures/koala", headers=cookie) as answer:
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert await answer.read() == JPEG
    for path in (
        "/page/pictures/page",
        "/page/pictures/far",
        "/page/thumbnails/far",
        "/page/pictures/nothing",
    ):
        status, told = await site.ask("GET", path, "ts_reader")
        assert (status, told["error"]) == (404, "no_picture"), path


async def test_a_thumbnail_is_sent_once(site: Site) -> None:
    """A browser that has it is told so; one that is gone from the store is not found."""
    cookie = {"cookie": f"{COOKIE}=ts_reader"}
    async with site.client.get("/page/thumbnails/koala", headers=cookie) as answer:
        assert answer.headers["content-type"] == "image/webp"
        etag = answer.headers["etag"]
    async with site.client.get("/page/thumbnails/koala", headers={**cookie, "if-none-match": etag}) as again:
        assert again.status == 304
    await site.objects.delete(thumbnail_key(THUMB))
    assert (await site.ask("GET", "/page/thumbnails/koala", "ts_reader"))[0] == 404


CHANGES = [
    ("/page/edits", {"json": {"public_ids": ["koala"], "added": ["x"], "tenant": "left"}}),
    ("/page/uploads?public_id=a&tenant=left", {"data": JPEG}),
    ("/page/dead-letters/replay", {"json": {"places": [[0, 0]], "tenant": "left"}}),
]


@pytest.mark.parametrize(("path", "body"), CHANGES)
async def test_only_who_may_write_changes_anything(site: Site, path: str, body: dict[str, Any]) -> None:
    """A reader may not, nor a stranger, nor a writer in another tenant."""
    status, told = await site.ask("POST", path, "ts_reader", headers=OURS, **body)
    assert (status, told["error"]) == (403, "scope_refused")
    assert (await site.ask("POST", path, headers=OURS, **body))[0] == 401
    foreign = path.replace("left", "right")
    bodies = {**body, "json": {**body["json"], "tenant": "right"}} if "json" in body else body
    status, told = await site.ask("POST", foreign, "ts_writer", headers=OURS, **bodies)
    assert (status, told["error"]) == (403, "tenant_refused")


@pytest.mark.parametrize("headers", [{}, {**OURS, "origin": "http://evil.example"}])
@pytest.mark.parametrize(("path", "body"), CHANGES)
async def test_no_other_site_changes_anything(
    open_site: Site, path: str, body: dict[str, Any], headers: dict[str, str]
) -> None:
    """Not where no token is needed either: a form lacks our header, a script has its own origin."""
    path, body = (
        path.replace("left", ""),
        {**body, **({"json": {**body["json"], "tenant": ""}} if "json" in body else {})},
    )
    status, told = await open_site.ask("POST", path, headers=headers, **body)
    assert (status, told["error"]) == (403, "foreign_page")


async def test_whoever_is_on_this_machine_may_write_where_no_token_is_needed(open_site: Site) -> None:
    """Their edit gets as far as Kafka, which is not there."""
    body = {"public_ids": ["koala"], "added": ["x"]}
    status, told = await open_site.ask("POST", "/page/edits", headers=OURS, json=body)
    assert (status, told["error"]) == (503, "starting")


BAD_BODIES: list[tuple[str, dict[str, Any], int, str]] = [
    ("/page/edits", {"json": {"public_ids": []}}, 400, "invalid_public_ids"),
    ("/page/edits", {"json": {"public_ids": ["a"] * 501}}, 400, "invalid_public_ids"),
    ("/page/edits", {"json": {"public_ids": ["a"]}}, 400, "invalid_event"),
    ("/page/edits", {"json": {"public_ids": ["a"], "added": ["x"] * 21}}, 400, "invalid_tags"),
    ("/page/edits", {"json": {"public_ids": [1]}}, 400, "invalid_body"),
    ("/page/edits", {"data": b"{"}, 400, "invalid_body"),
    ("/page/edits", {"data": b" " * 300_000}, 400, "invalid_body"),
    ("/page/uploads?public_id=a", {"data": b"x" * 1001}, 413, "too_large"),
    ("/page/uploads?public_id=a", {"data": b""}, 400, "empty"),
    ("/page/uploads", {"data": b"x"}, 400, "invalid_public_id"),
    ("/page/uploads?public_id=a&threshold=2", {"data": b"x"}, 400, "invalid_threshold"),
    ("/page/uploads?public_id=a", {"json": {"url": "file:///etc/passwd"}}, 400, "invalid_url"),
    ("/page/uploads?public_id=a", {"json": {"url": "store:///_page/koala"}}, 400, "invalid_url"),
    ("/page/dead-letters/replay", {"json": {"places": []}}, 400, "invalid_places"),
]


@pytest.mark.parametrize(("path", "body", "status", "code"), BAD_BODIES)
async def test_what_cannot_be_is_refused_with_its_reason(
    open_site: Site, path: str, body: dict[str, Any], status: int, code: str
) -> None:
    """Value, rule and cure are told, and nothing is stored or published."""
    headers = {**OURS, "content-type": "application/json"} if "json" in body else OURS
    assert (await open_site.ask("POST", path, headers=headers, **body))[0] == status
    answer = await open_site.ask("POST", path, headers=headers, **body)
    assert answer[1]["error"] == code, answer
    assert [each async for each in open_site.objects.list()] == []


@pytest.mark.parametrize("path", ["/page/health", "/page/settings"])
async def test_operators_alone_see_what_is_of_all_tenants(site: Site, path: str) -> None:
    """A token of one tenant is told which one is needed."""
    status, told = await site.ask("GET", path, "ts_reader")
    assert (status, told["error"]) == (403, "tenant_refused")


async def test_at_most_so_many_bytes_are_read(open_site: Site) -> None:
    """A body without a length that never ends is cut off."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000
            await asyncio.sleep(0)

    status, told = await open_site.ask("POST", "/page/uploads?public_id=a", headers=OURS, data=endless())
    assert (status, told["error"]) == (413, "too_large")
