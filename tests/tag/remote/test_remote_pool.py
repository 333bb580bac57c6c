"""Threads and servers together: each fails alone, and no thread waits for a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from model import Tag, View
from streams.fetch.errors import SourceBusyError
from streams.tag.remote.client import RemoteAddOn
from streams.tag.remote.pool import RemotePool

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from streams.tag.remote.pictures import Seen

PHOTOS = [path.read_bytes() for path in sorted((Path(__file__).parents[3] / "streams/photos").glob("*.jpg"))]


class Local:
    """An add-on that runs in the threads and sees how bright an image is."""

    def __init__(self) -> None:
        self.networks = ()
        self.glance = View(32)
        self.tag_names = ("here",)
        self.fails = False

    def tags(self, outputs: Sequence[object], glances: Sequence[NDArray[np.uint8]]) -> list[list[Tag]]:
        assert outputs == []
        if self.fails:
            raise RuntimeError("out of memory")
        return [[Tag("here", float(glance.mean()) / 255, 1.0)] for glance in glances]


class Eyes(RemoteAddOn):
    """A server without a network between; it answers when it may."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.seen: list[Seen] = []
        self.fault: Exception | None = None
        self.dialect = self  # type: ignore[assignment]
        self.view = View(64)
        self.tag_names = ()

    async def tags(self, image: Seen) -> list[Tag]:
        self.seen.append(image)
        await self.go_on.wait()
        if self.fault is not None:
            raise self.fault
        return [Tag("there", 0.5, 0.5)]

    async def aclose(self) -> None:
        pass


@pytest.fixture
def local() -> Local:
    return Local()


@pytest.fixture
async def eyes() -> Eyes:
    return Eyes()


@pytest.fixture
async def pool(local: Local, eyes: Eyes) -> AsyncIterator[RemotePool]:
    pool = RemotePool({"local": local}, {"eyes": eyes}, threads=2, max_batch=8, known_images=10)
    pool.start()
    yield pool
    pool.stop()
    await pool.aclose()


async def test_both_find_tags(pool: RemotePool, eyes: Eyes) -> None:
    """An image is decoded once; the server's square is of the size that it wants, and is not kept."""
    image = await pool.tag(PHOTOS[0], ["eyes", "local"])
    assert list(image.tags) == ["eyes", "local"]
    assert (image.failed, image.kept) == ({}, {})
    (seen,) = eyes.seen
    assert seen.squares.shape == (1, 64, 64, 3)
    assert (seen.width, seen.height) == (image.width, image.height)
    assert pool.tag_names == {"local": ("here",), "eyes": ()}


async def test_a_copy_is_not_asked_for_again(pool: RemotePool, eyes: Eyes) -> None:
    """As long as nothing failed: what a server has said once costs nothing the second time."""
    eyes.fault = SourceBusyError("timeout", "asleep")
    await pool.tag(PHOTOS[0], ["local", "eyes"])
    eyes.fault = None
    first = await pool.tag(PHOTOS[0], ["local", "eyes"])
    second = await pool.tag(PHOTOS[0], ["local", "eyes"])
    assert first.tags == second.tags
    assert len(eyes.seen) == 2
    assert (second.decode_ms, second.inference_ms) == (0.0, 0.0)


async def test_a_server_that_fails_fails_alone(pool: RemotePool, eyes: Eyes) -> None:
    eyes.fault = SourceBusyError("timeout", "no tags from eyes within 10 s")
    image = await pool.tag(PHOTOS[0], ["local", "eyes"])
    assert list(image.tags) == ["local"]
    assert image.failed == {"eyes": "SourceBusyError: no tags from eyes within 10 s"}


async def test_threads_that_fail_cost_no_server_its_tags(pool: RemotePool, local: Local) -> None:
    local.fails = True
    image = await pool.tag(PHOTOS[0], ["local", "eyes"])
    assert list(image.tags) == ["eyes"]
    assert image.failed == {"local": "RuntimeError: out of memory"}


async def test_alone_it_is_busy_and_tried_later(pool: RemotePool, eyes: Eyes, local: Local) -> None:
    """Where nothing else looked at the image, the server's fault is one that may pass."""
    eyes.fault = SourceBusyError("circuit_open", "left alone for now", 5.0)
    local.fails = True
    for add_ons in (["eyes"], ["local", "eyes"]):
        with pytest.raises(SourceBusyError) as caught:
            await pool.tag(PHOTOS[0], add_ons)
        assert (caught.value.code, caught.value.retry_after) == ("circuit_open", 5.0)


async def test_no_thread_waits_for_a_server(pool: RemotePool, eyes: Eyes) -> None:
    """While a server takes its time, its images are aside and others are tagged."""
    eyes.go_on.clear()
    aside: list[str] = []
    waiting = [
        asyncio.create_task(pool.tag(data, ["local", "eyes"], aside=lambda: aside.append("")))
        for data in PHOTOS
    ]
    async with asyncio.timeout(30):
        while len(eyes.seen) < len(PHOTOS):
            await asyncio.sleep(0.01)
    assert len(aside) == len(PHOTOS)
    others = await asyncio.gather(*(pool.tag(data, ["local"]) for data in PHOTOS))
    assert all(image.tags["local"] for image in others)
    assert not any(task.done() for task in waiting)
    eyes.go_on.set()
    assert [list(image.tags) for image in await asyncio.gather(*waiting)] == [["local", "eyes"]] * len(PHOTOS)
