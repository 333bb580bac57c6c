"""What the page is answered with besides JSON: files, pictures, events as they come."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from http import HTTPStatus

from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send


class Bytes(ASGIResponse):
    """Bytes that are there already."""

    def __init__(self, body: bytes, headers: Mapping[str, str], status: HTTPStatus = HTTPStatus.OK) -> None:
        self.body = body
        self.status_code = status
        self._headers = dict(headers)

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send them."""
        if self.status_code != HTTPStatus.NOT_MODIFIED:
            self._headers["content-length"] = str(len(self.body))
        await start(send, self.status_code, self._headers)
        await send({"type": "http.response.body", "body": self.body, "more_body": False})


class Stream(ASGIResponse):
    """Bytes that come piece by piece; the first is waited for before anything is told."""

    def __init__(self, pieces: AsyncGenerator[bytes, None], headers: Mapping[str, str]) -> None:
        self.status_code = HTTPStatus.OK
        self._pieces = pieces
        self._headers = headers

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        """Send them as they come, and let go of them where the browser goes."""
        async with aclosing(self._pieces):
            first = await anext(self._pieces, b"")
            await start(send, self.status_code, self._headers)
            await send({"type": "http.response.body", "body": first, "more_body": True})
            async for piece in self._pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the head of an answer."""
    encoded = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
