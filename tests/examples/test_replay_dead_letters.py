"""Dead letters of a source that is up again."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web
from support.cluster import Cluster
from support.examples import PHOTOS, Programs, listening, until

from schemas.dead_letters import read_fault
from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


@dataclass
class Flaky:
    """A source that is overloaded, until it is not."""

    url: str
    busy: bool = True

    async def answer(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(status=503) if self.busy else web.FileResponse(PHOTOS / "koala.jpg")


@pytest_asyncio.fixture(loop_scope="session")
async def flaky(flaky_port: int) -> AsyncIterator[Flaky]:
    flaky = Flaky(f"http://127.0.0.1:{flaky_port}/koala.jpg")
    app = web.Application()
    app.router.add_get("/koala.jpg", flaky.answer)
    async with listening(app, flaky_port):
        yield flaky


async def test_what_failed_is_tagged(cluster: Cluster, programs: Programs, flaky: Flaky) -> None:
    """Only letters of the reason that was asked for are replayed, once, and their events are tagged."""
    await cluster.publish([UploadData(public_id="flaky", url=flaky.url)])

    async def letters() -> list[str]:
        return [
            read_fault(letter.headers).reason for letter in await cluster.read(cluster.names.dead_letters)
        ]

    [reason] = await until(letters)
    assert reason in {"http_503", "circuit_open"}  # as the last attempt found the source
    flaky.busy = False
    program = "examples/replay_dead_letters.py"
    assert await programs.output(program, "timeout") == ""
    printed = await programs.output(program, reason)
    [place] = re.findall(rf"^replayed ({re.escape(cluster.names.uploads)}/\d/\d+): ", printed, re.MULTILINE)

    async def causes() -> list[str]:
        results = await cluster.results()
        return [result["cause"]["id"] for result in results if result["public_id"] == "flaky"]

    assert await until(causes) == [place]  # the event that failed, not another one
    assert await programs.output(program, reason) == ""
