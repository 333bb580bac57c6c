"""The hosts that a chaos run's uploads name: one that is well, and others that flap."""

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator

from aiohttp import web
from support.judge.workload import photo_at

FETCH_TIMEOUT = 30  # seconds; a frozen worker's fetches from the good host must survive the freeze
_HANGS, _RESETS = 1, 25  # of 256 uploads; the others are told to come again


class PhotoServer:
    """Serves the photos of a workload on several ports, as fast as sources are. The first port does its work.

    The others flap: an upload from there fails once or twice before it is served. It is told 503 with
    Retry-After or without; its connection is cut off; or nothing is said until the worker gives up.

    Attributes:
        told: How often each of these happened.
    """

    def __init__(self, flapping_ports: int = 8) -> None:
        self.told: Counter[str] = Counter()
        self._ports = 1 + flapping_ports
        self._failures: dict[str, int] = {}

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[list[str]]:
        """Serve; return scheme, host and port of each."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        try:
            for _ in range(self._ports):
                await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield [f"http://127.0.0.1:{address[1]}" for address in runner.addresses]
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        await asyncio.sleep(_takes(request.path))
        if request.query_string and not self._has_failed_enough(request.query_string):
            return await self._fail(request)
        content = photo_at(request.path)
        self.told["served" if content is not None else "404"] += 1
        return web.Response(body=content) if content is not None else web.Response(status=404)

    def _has_failed_enough(self, upload: str) -> bool:
        if upload not in self._failures:
            self._failures[upload] = 1 + _hash(upload)[1] % 2
        self._failures[upload] -= 1
        return self._failures[upload] < 0

    async def _fail(self, request: web.Request) -> web.Response:
        kind = _hash(f"{request.query_string} {self._failures[request.query_string]}")[0]
        if kind < _HANGS:
            self.told["hung"] += 1
            await asyncio.sleep(FETCH_TIMEOUT + 5)
        elif kind < _RESETS:
            self.told["cut off"] += 1
            if request.transport is not None:
                request.transport.abort()
        else:
            self.told["503"] += 1
        return web.Response(status=503, headers={"retry-after": "1"} if kind % 2 else {})


def _takes(path: str) -> float:
    """Seconds until a source answers: some tens of milliseconds, for one in a hundred a second or two."""
    first, second, *_ = _hash(path)
    return 0.02 + first / 2000 if second > 2 else 1.0 + first / 200


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
