"""What comes over a connection, counted for the answer that it belongs to."""

import asyncio

import aiohttp
from aiohttp import web

from streams.fetch.wire.connector import open_connector

_BODY = b"x" * 100_000  # little enough to be there before anybody reads


async def test_what_is_read_late_of_one_answer_does_not_count_for_the_next() -> None:
    """A connection goes on to the next request once an answer is there, read or not: both answers come."""
    asked, may_answer = asyncio.Event(), asyncio.Event()
    peers = set()

    async def answer(request: web.Request) -> web.Response:
        peers.add(request.transport.get_extra_info("peername") if request.transport else None)
        if request.path == "/second":
            asked.set()
            await may_answer.wait()
        return web.Response(body=_BODY)

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    connector = open_connector(aiohttp.ThreadedResolver(), 1)
    async with asyncio.timeout(30), aiohttp.ClientSession(connector=connector) as session:
        first = await session.get(f"{url}/first")
        await first.content.wait_eof()
        second = asyncio.create_task(session.get(f"{url}/second"))
        await asked.wait()
        assert await first.read() == _BODY
        may_answer.set()
        async with await second as response:
            assert await response.read() == _BODY
    await runner.cleanup()
    assert len(peers) == 1
