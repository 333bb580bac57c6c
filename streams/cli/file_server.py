"""Serves the files that `tagstream publish` names, and nothing else, while their results are awaited."""

import secrets
from pathlib import Path
from typing import Self
from urllib.parse import quote

from aiohttp import web


class ServingError(OSError):
    """Files cannot be served at the address that was chosen."""


class FileServer:
    """HTTP server for a fixed list of files. Use as an async context manager.

    Attributes:
        port: Where it listens, once it does.
    """

    def __init__(self, files: list[Path], host: str, port: int) -> None:
        self._token = secrets.token_urlsafe(12)  # strangers on this machine cannot guess a path
        self._files = {f"{index}-{path.name}": path for index, path in enumerate(files)}
        self._host = host
        self.port = port
        app = web.Application()
        app.router.add_get(f"/{self._token}/{{name}}", self._file)
        self._runner = web.AppRunner(app, access_log=None)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port).start()
        except OSError as error:
            await self._runner.cleanup()
            cure = "choose another port or address, one that the workers' TAGSTREAM_ALLOW_SOURCES names"
            fault = f"files cannot be served on {self._host}:{self.port} ({error.strerror})"
            raise ServingError(f"{fault}: {cure}") from error
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def url(self, index: int) -> str:
        """The URL of the file with this place in the list."""
        name = list(self._files)[index]
        return f"http://{self._host}:{self.port}/{self._token}/{quote(name)}"

    async def _file(self, request: web.Request) -> web.StreamResponse:
        path = self._files.get(request.match_info["name"])
        if path is None or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)
