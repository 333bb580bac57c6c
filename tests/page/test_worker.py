"""What the page asks of a real worker with a real broker: live events, edits, letters, health, its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession
from support.cluster import Cluster

from schemas.uploads import UploadData
from streams.web.access.callers import Scope
from streams.web.access.tokens import lines_of

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

OURS = {"x-tagstream-page": "1"}
TOKENS = {"left": ["left"], "right": ["right"], "all": ["*"]}


@dataclass
class Site:
    """A worker with the page, and who asks it."""

    cluster: Cluster
    client: ClientSession

    async def ask(self, method: str, path: str, token: str, body: object = None) -> tuple[int, Any]:
        headers = {**OURS, "authorization": f"Bearer ts_{token}"}
        async with self.client.request(method, path, headers=headers, json=body) as answer:
            return answer.status, await answer.json()

    @asynccontextmanager
    async def live(self, token: str) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The live events, one by one, once the worker listens."""
        headers = {"authorization": f"Bearer ts_{token}"}
        async with self.client.get("/page/live", headers=headers) as answer:
            assert answer.status == 200
            assert answer.headers["content-type"] == "text/event-stream"

            async def events() -> AsyncIterator[dict[str, Any]]:
                async for line in answer.content:
                    if line.startswith(b"data: "):
                        for event in json.loads(line[6:])["events"]:
                            yield event

            yield events()


@pytest.fixture
async def site(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Site]:
    """One whose callers are of two tenants, or operators."""
    path = tmp_path / "tokens.toml"
    entries = [
        lines_of(f"ts_{name}", [Scope.READ, Scope.WRITE], tenants, name) for name, tenants in TOKENS.items()
    ]
    path.write_text("\n".join(entries), "utf-8")
    path.chmod(0o600)
    settings = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_ROLES": "tag,query,page",
        "TAGSTREAM_TOKENS": str(path),
    }
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=settings)
    try:
        await cluster.start(0)
        async with ClientSession(f"http://127.0.0.1:{cluster.ports[0]}") as client:
            site = Site(cluster, client)
            async with asyncio.timeout(60):
                while await status_of(site) != "ready":
                    await asyncio.sleep(0.1)
            yield site
    finally:
        await cluster.close()


async def status_of(site: Site) -> str:
    try:
        return str((await site.ask("GET", "/readyz", "all"))[1]["status"])
    except OSError:
        return "not listening"


def image(public_id: str, tenant: str, **tags: float) -> UploadData:
    url = f"data:application/json,{quote(json.dumps(tags or {'koala': 0.9}))}"
    return UploadData(public_id=public_id, tenant=tenant, url=url, auto_tagging=0.5, event_id=public_id)


def broken(public_id: str, tenant: str) -> UploadData:
    return UploadData(public_id=public_id, tenant=tenant, url="data:,", event_id=public_id)


async def test_each_tenant_watches_its_own(site: Site) -> None:
    """Results, changes of tags and dead letters come to their tenant alone."""
    async with site.live("left") as left, site.live("right") as right:
        await site.cluster.publish([image("a", "left"), broken("b", "left"), image("c", "right")])
        told = {(event["kind"], event["public_id"]) for event in [await anext(left) for _ in range(3)]}
        assert told == {("categorization", "a"), ("tag-update", "a"), ("dead-letter", "b")}
        assert {(await anext(right))["public_id"] for _ in range(2)} == {"c"}


async def test_an_upload_is_answered_with_what_became_of_it(site: Site) -> None:
    """The categorization, or the reason of its dead letter."""
    headers = {**OURS, "authorization": "Bearer ts_left"}
    query = "threshold=0.5&tenant=left"
    async with site.client.post(
        f"/page/uploads?public_id=good&{query}", data=b'{"koala": 0.9}', headers=headers
    ) as answer:
        told = await answer.json()
        assert (told["state"], told["result"]["tags"]) == ("tagged", ["koala"])
        assert told["result"]["url"].startswith("store:///_page/")
    async with site.client.post(
        f"/page/uploads?public_id=bad&{query}", data=b"no json", headers=headers
    ) as answer:
        told = await answer.json()
        assert (told["state"], told["refusal"]["reason"]) == ("refused", "not_an_image")
    _, image = await site.ask("GET", "/images/good", "left")
    assert [tag["tag"] for tag in image["tags"]] == ["koala"]


async def test_an_edit_is_told_once_it_is_folded(site: Site) -> None:
    """Whoever edits sees it in the next answer, with who said it."""
    await site.cluster.publish([image("a", "left"), image("b", "left")])
    async with asyncio.timeout(30):
        while (await site.ask("GET", "/images?tag=koala", "left"))[1]["total"] < 2:
            await asyncio.sleep(0.05)
    edit = {"public_ids": ["a", "b"], "added": ["pet"], "removed": ["koala"], "tenant": "left"}
    assert await site.ask("POST", "/page/edits", "left", edit) == (200, {"published": 2, "folded": True})
    status, told = await site.ask("GET", "/images/a", "left")
    assert (status, [tag["tag"] for tag in told["tags"]]) == (200, ["pet"])
    assert {each["by"] for each in told["edits"]} == {"left"}


async def test_dead_letters_are_shown_and_published_again(site: Site) -> None:
    """By reason with the cure; of their own tenant alone, and what cannot be read to operators alone."""
    await site.cluster.publish([broken("a", "left"), broken("b", "right")])
    await site.cluster.publish_raw([(b"key", b"no json", [])])
    async with asyncio.timeout(30):
        while len(await site.cluster.read(site.cluster.names.dead_letters)) < 3:
            await asyncio.sleep(0.1)
    _, told = await site.ask("GET", "/page/dead-letters", "left")
    assert [(each["reason"], each["count"]) for each in told["reasons"]] == [("not_an_image", 1)]
    assert told["reasons"][0]["cure"]
    (letter,) = told["letters"]
    assert (letter["public_id"], letter["whole"]) == ("a", True)
    _, everything = await site.ask("GET", "/page/dead-letters?tenant=left", "all")
    assert {each["reason"] for each in everything["reasons"]} == {"not_an_image", "invalid_json"}
    _, others = await site.ask("GET", "/page/dead-letters", "right")
    (foreign,) = others["letters"]
    places = [[foreign["partition"], foreign["offset"]]]
    replay = {"places": places, "tenant": "left"}
    status, refused = await site.ask("POST", "/page/dead-letters/replay", "left", replay)
    assert (status, refused["error"]) == (400, "invalid_places")
    replay["places"] = [[letter["partition"], letter["offset"]]]
    assert await site.ask("POST", "/page/dead-letters/replay", "left", replay) == (
        200,
        {"sent": 1, "foreign": 0},
    )
    async with asyncio.timeout(30):
        while (await site.ask("GET", "/page/dead-letters", "left"))[1]["looked_at"] < 2:
            await asyncio.sleep(0.1)


async def test_operators_see_how_it_is_and_how_it_is_set(site: Site) -> None:
    """Partitions, models, circuits and checks; each setting with its value, and which ones somebody said."""
    _, health = await site.ask("GET", "/page/health", "all")
    assert (health["status"], health["roles"]) == ("ready", ["page", "query", "tag"])
    assert [each["owned"] for each in health["partitions"]] == [True, True]
    assert health["circuits"] == []
    assert {each["add_on"] for each in health["models"]} >= {"imagga_tagging"}
    async with asyncio.timeout(60):
        while health["checks"] is None:
            await asyncio.sleep(0.2)
            _, health = await site.ask("GET", "/page/health", "all")
    assert {each["level"] for each in health["checks"]} <= {"ok", "warning", "fault"}
    _, told = await site.ask("GET", "/page/settings", "all")
    said = {each["variable"]: each["value"] for each in told["settings"] if each["said"]}
    assert said["TAGSTREAM_TAGGER"] == "stub"
    assert "TAGSTREAM_THREADS" not in said


async def test_a_stop_waits_for_nobody_who_watches(site: Site) -> None:
    """A page that is open lets the worker end, and is told that nothing more comes."""
    async with site.live("left") as events:
        await site.cluster.publish([image("a", "left")])
        await anext(events)
        assert await asyncio.wait_for(site.cluster.stop(0), 20) == 0
        async with asyncio.timeout(5):
            assert [event["public_id"] async for event in events if event["public_id"] != "a"] == []


async def test_so_many_may_watch(site: Site) -> None:
    """One more is told to come back; when one goes another may come."""
    headers = {"authorization": "Bearer ts_left"}
    opened = [await site.client.get("/page/live", headers=headers) for _ in range(16)]
    assert (await site.ask("GET", "/page/live", "left"))[1]["error"] == "busy"
    opened[0].close()
    async with asyncio.timeout(15):
        while True:
            async with site.client.get("/page/live", headers=headers) as answer:
                if answer.status == 200:
                    break
            await asyncio.sleep(0.1)
    for each in opened:
        each.close()
