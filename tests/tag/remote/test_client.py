"""Asking a model server: batches, bounds of time, bytes, calls and images, and what its faults cost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from aiohttp import web
from support.cluster import free_port
from support.own.model_servers import describe_colours

from streams.fetch.errors import SourceBusyError
from streams.tag.remote import client
from streams.tag.remote.client import HourlyBudget, RemoteAddOn
from streams.tag.remote.pictures import Seen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from model import Tag

POISON = 13


class Server:
    """A model server that can be told to misbehave; it says how red, green and blue images are."""

    def __init__(self) -> None:
        self.port = 0
        self.batches: list[int] = []
        self.at_once = 0
        self.most_at_once = 0
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.answer: web.Response | None = None

    async def infer(self, request: web.Request) -> web.Response:
        (tensor,) = json.loads(await request.read())["inputs"]
        pixels = np.array(tensor["data"]).reshape(tensor["shape"])
        self.batches.append(len(pixels))
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await self.go_on.wait()
        self.at_once -= 1
        if self.answer is not None:
            return web.Response(status=self.answer.status, text=self.answer.text)
        if (pixels[:, 0, 0, 0] == POISON).any():
            return web.Response(status=400, text="poisoned")
        shares = (pixels.reshape(len(pixels), -1, 3).mean(axis=1) / 255).ravel().tolist()
        output = {"name": "shares", "shape": [len(pixels), 3], "datatype": "FP32", "data": shares}
        return web.json_response({"model_name": "colours", "outputs": [output]})


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    served = Server()
    app = web.Application(client_max_size=100_000_000)
    app.router.add_post("/v2/models/colours/infer", served.infer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    served.port = runner.addresses[0][1]
    yield served
    served.go_on.set()
    await runner.cleanup()


@pytest.fixture
async def make(server: Server, tmp_path: Path) -> AsyncIterator[Any]:
    made: list[RemoteAddOn] = []

    def add_on(**changes: object) -> RemoteAddOn:
        path = describe_colours(tmp_path, server.port)
        lines = "".join(f"{name} = {json.dumps(value)}\n" for name, value in changes.items())
        path.write_text(lines + path.read_text())
        made.append(RemoteAddOn.load(path, {}))
        return made[-1]

    yield add_on
    for each in made:
        await each.aclose()


def image(red: int, size: int = 64) -> Seen:
    return Seen(np.full((1, size, size, 3), (red, 0, 255), np.uint8), size, size)


async def outcome(remote: RemoteAddOn, red: int = 100) -> list[Tag] | SourceBusyError:
    try:
        return await remote.tags(image(red))
    except SourceBusyError as error:
        return error


async def until(condition: Any) -> None:  # noqa: ANN401 - a function
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_waits_goes_in_batches(server: Server, make: Any) -> None:  # noqa: ANN401
    """Of eight at most, four calls at once; each image gets its own tags."""
    remote = make()
    server.go_on.clear()
    tasks = [asyncio.create_task(remote.tags(image(red))) for red in range(100, 140)]
    await until(lambda: len(server.batches) == 4)
    server.go_on.set()
    found = await asyncio.gather(*tasks)
    reds = [next(tag.confidence for tag in tags if tag.name == "red") for tags in found]
    assert [round(red * 255) for red in reds] == [*range(100, 140)]
    assert sum(server.batches) == 40
    assert max(server.batches) == 8
    assert server.most_at_once == 4


async def test_an_image_has_a_deadline(server: Server, make: Any) -> None:  # noqa: ANN401
    """It ends whether the image waits for a call or for an answer; the next one is asked all the same."""
    remote = make(timeout=0.5, at_once=1)
    server.go_on.clear()
    found = await asyncio.gather(*(outcome(remote) for _ in range(20)))
    assert {error.code for error in found if isinstance(error, SourceBusyError)} == {"timeout"}
    assert len(found) == 20
    server.go_on.set()
    await until(lambda: server.at_once == 0)
    assert isinstance(await outcome(remote), list)


async def test_one_image_costs_no_other_its_tags(server: Server, make: Any) -> None:  # noqa: ANN401
    """Where a batch is refused, each of its images is asked for alone."""
    remote = make(at_once=1)
    server.go_on.clear()
    first = asyncio.create_task(outcome(remote))
    await until(lambda: server.batches)
    tasks = [asyncio.create_task(outcome(remote, red)) for red in (50, POISON, 60)]
    await asyncio.sleep(0)
    server.go_on.set()
    found = [await first, *[await task for task in tasks]]
    assert server.batches == [1, 3, 1, 1, 1]
    assert [type(each) for each in found] == [list, list, SourceBusyError, list]
    assert "status 400" in str(found[2])
    assert "poisoned" in str(found[2])


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (web.Response(status=503, text="loading"), "http_503"),
        (web.Response(text="<html>"), "model_server_fault"),
        (web.Response(text="[" * 2_000), "model_server_fault"),
        (web.Response(text=" " * 2_000_000), "model_server_fault"),
    ],
)
async def test_answers_that_are_none(server: Server, make: Any, answer: web.Response, code: str) -> None:  # noqa: ANN401
    """A status, no JSON, too deep, too long: each is a fault of its own kind."""
    server.answer = answer
    found = await outcome(make())
    assert isinstance(found, SourceBusyError)
    assert found.code == code


async def test_a_server_that_is_gone_is_left_alone(make: Any, server: Server) -> None:  # noqa: ANN401
    """After five failures over a second it is asked no more: images learn that at once. Then it is tried."""
    server.port = free_port()
    remote = make()

    async def is_left_alone() -> bool:
        found = await outcome(remote)
        assert isinstance(found, SourceBusyError)
        return found.code == "circuit_open"

    async with asyncio.timeout(20):
        while not await is_left_alone():
            await asyncio.sleep(0.1)


async def test_an_hour_has_so_many_images(make: Any, server: Server) -> None:  # noqa: ANN401
    """What is beyond the budget is not sent, and the fault says what to raise."""
    remote = make(per_hour=2)
    found = [await outcome(remote) for _ in range(3)]
    assert [type(each) for each in found] == [list, list, SourceBusyError]
    assert "has had its 2 images per hour: raise per_hour" in str(found[2])
    assert sum(server.batches) == 2


def test_a_budget_fills_up_again() -> None:
    """By its hourly share, and never above it."""
    now = [0.0]
    budget = HourlyBudget(60, lambda: now[0])
    for _ in range(60):
        budget.take("m")
    with pytest.raises(SourceBusyError) as caught:
        budget.take("m")
    assert caught.value.retry_after == pytest.approx(60)
    now[0] += 120
    budget.take("m")
    budget.take("m")
    with pytest.raises(SourceBusyError):
        budget.take("m")


async def test_bytes_that_wait_are_bounded(
    server: Server,
    make: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beyond them an image fails at once instead of filling the memory."""
    monkeypatch.setattr(client, "MOST_WAITING", 3 * 64 * 64 * 3)
    remote = make()
    server.go_on.clear()
    tasks = [asyncio.create_task(outcome(remote)) for _ in range(3)]
    await until(lambda: server.batches)
    refused = await outcome(remote)
    assert isinstance(refused, SourceBusyError)
    assert refused.code == "model_server_busy"
    server.go_on.set()
    assert [type(await task) for task in tasks] == [list] * 3
    assert isinstance(await outcome(remote), list)
