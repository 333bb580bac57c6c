"""An object store's HTTP side: any object of any bucket is there, as bytes that the stub tagger reads."""

from collections import Counter
from typing import Self

from aiohttp import web

CONTENT = b'{"koala": 0.9, "tree": 0.6}'


class Bucket:
    """Serves objects. Use as an async context manager.

    Attributes:
        asked: How often each path was asked for.
        missing: Paths that are not there.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.missing: set[str] = set()
        self.port = 0
        app = web.Application()
        app.router.add_get("/{path:.*}", self._object)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _object(self, request: web.Request) -> web.Response:
        self.asked[request.raw_path] += 1
        if request.path in self.missing:
            raise web.HTTPNotFound
        return web.Response(body=CONTENT)
