"""Large pictures that lie elsewhere: fetched by the worker, within the bounds of uploads."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from support.fakes import RULES, record, tagged, upload
from support.photo_server import PHOTOS, PhotoServer, says
from support.web_client import client_of

from streams.app.services.page import fetcher_of
from streams.app.settings import Settings
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import ObjectStore
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.fold.outcomes import Done
from streams.page.pictures import Pictures
from streams.page.requests import handler
from streams.state.partition import PartitionState
from streams.web.app import create_api

MOST = 100_000
HTML = b"<html><script>alert(1)</script></html>"


@dataclass
class Site:
    """Pictures of images that lie at a source, and a client of them."""

    client: ClientSession
    source: PhotoServer
    fetcher: Fetcher

    async def ask(self, name: str) -> tuple[int, Any]:
        async with self.client.get(f"/page/pictures/{name}") as answer:
            body = await answer.read()
            return answer.status, body if answer.content_type.startswith("image") else await answer.json()


def rows(urls: dict[str, str]) -> PartitionState:
    state = PartitionState(0)
    for offset, (public_id, url) in enumerate(urls.items()):
        outcome = replace(tagged(upload(public_id, public_id, at=offset + 1), koala=0.9), url=url)
        changes = Changes(state.rows)
        fold(changes, Done(record(offset), outcome), RULES)
        for table, key, value in changes.encoded():
            state.apply(table, key, value)
    return state


@pytest.fixture
def site(tmp_path: Path) -> Callable[..., AbstractAsyncContextManager[Site]]:
    """Makes one, with such settings."""

    @asynccontextmanager
    async def made(**given: object) -> AsyncIterator[Site]:
        async with PhotoServer() as source:
            settings = Settings.from_mapping(
                {}, allow_sources=f"127.0.0.1:{source.port}", max_image_bytes=MOST, **given
            )
            objects = ObjectStore.parse("", tmp_path)
            async with fetcher_of(settings, objects) as fetcher:
                pictures = Pictures(objects, fetcher if settings.page_fetches else None)
                names = ("boat.jpg", "page.jpg", "gone.jpg", "busy.jpg", "huge.jpg")
                urls = {name.removesuffix(".jpg"): source.url(f"/{name}") for name in names}
                pictures.states[0] = rows({**urls, "inside": "http://127.0.0.1:1/secret.jpg"})
                source.scripts["/page.jpg"] = says("200 OK", "content-type: image/jpeg", body=HTML)
                source.scripts["/busy.jpg"] = says("503 Service Unavailable")
                source.scripts["/huge.jpg"] = says("200 OK", body=b"\xff\xd8\xff" + bytes(MOST))
                app = create_api(
                    [], handlers=[handler("GET", "/page/pictures/{public_id:str}", pictures.picture)]
                )
                async with client_of(app) as client:
                    yield Site(client, source, fetcher)

    return made


async def test_a_large_picture_comes_from_its_source(site: Any) -> None:  # noqa: ANN401 - see the fixture
    """As it is there, by the worker, in a sandbox; its memory is free once it is sent."""
    async with site() as it, it.client.get("/page/pictures/boat") as answer:
        assert await answer.read() == (PHOTOS / "boat.jpg").read_bytes()
        assert answer.headers["content-type"] == "image/jpeg"
        assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
        assert it.source.targets == ["/boat.jpg"]
        assert it.fetcher.budget.used == 0


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("page", 404, "no_picture"),
        ("gone", 404, "no_picture"),
        ("huge", 404, "no_picture"),
        ("inside", 404, "no_picture"),
        ("busy", 503, "source_busy"),
    ],
)
async def test_what_is_no_picture_is_not_shown(site: Any, name: str, status: int, code: str) -> None:  # noqa: ANN401
    """Nor what is gone, too large or out of reach: the walls of uploads hold. What is busy may come back."""
    async with site() as it:
        told = await it.ask(name)
        assert (told[0], told[1]["error"]) == (status, code)
        assert it.fetcher.budget.used == 0


async def test_an_operator_may_have_nothing_fetched(site: Any) -> None:  # noqa: ANN401
    """Then the small picture is all that there is, and no source hears of who looks."""
    async with site(page_fetches=False) as it:
        status, told = await it.ask("boat")
        assert (status, told["error"]) == (404, "no_picture")
        assert "TAGSTREAM_PAGE_FETCHES" in told["reason"]
        assert it.source.targets == []
