"""Connections that cannot be used to sit on: bounded in number, and ended when they make no progress."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, Self, cast

from aiohttp import web

HEAD_SECONDS = 20.0  # for a connection's first request head, for taking in an answer, and for a close
IDLE_SECONDS = 75.0  # between two requests; more than nginx keeps a connection to us
MAX_CONNECTIONS = 512
_LOOKS = 4  # how often a connection is looked at before it is ended
_FULL = b"HTTP/1.1 503 Busy\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_OPTIONS = {
    "keepalive_timeout": IDLE_SECONDS,
    "lingering_time": 2.0,
}  # the latter: for a body that is not read
Refusal = Callable[[int], web.StreamResponse]


class QueryServer(web.Server):
    """Serves an application's requests over connections that are watched."""

    def __init__(
        self,
        app: web.Server,
        refusal: Refusal,
        *,
        most: int = MAX_CONNECTIONS,
        seconds: float = HEAD_SECONDS,
        **options: Any,  # noqa: ANN401 - as web.Server
    ) -> None:
        """Prepare; call it in the loop that it serves in.

        Args:
            app: The application's own server, whose requests are served.
            refusal: Makes the answer to what is no HTTP, from its status.
            most: Connections at once.
            seconds: After which a connection without progress is ended.
            options: Of `web.RequestHandler`.
        """
        super().__init__(app.request_handler, request_factory=self._request)
        self._make = app.request_factory
        self._options: Mapping[str, Any] = {**_OPTIONS, **options}
        self._seconds = seconds
        self._watching: asyncio.Task[None] | None = None
        self.refusal = refusal
        self.most = most
        self.open: set[Connection] = set()

    def __call__(self) -> web.RequestHandler:
        """Give the protocol of a new connection."""
        return Connection(self, self._options)

    async def __aenter__(self) -> Self:
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._seconds / _LOOKS)
            for connection in list(self.open):
                connection.look()

    def _request(self, message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:  # noqa: ANN401
        protocol.asked = True
        return self._make(message, payload, protocol, *rest)


class Connection(web.RequestHandler):
    """One connection.

    Attributes:
        asked: Whether a whole request has come.
    """

    __slots__ = ("_server", "_stuck", "_wire", "asked")

    def __init__(self, server: QueryServer, options: Mapping[str, Any]) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._server = server
        self._stuck = 0
        self._wire: asyncio.Transport | None = None
        self.asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many."""
        self._wire = cast("asyncio.Transport", transport)
        self._server.open.add(self)
        if len(self._server.open) > self._server.most:
            self._wire.write(_FULL)
            self._wire.close()
        else:
            super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._server.open.discard(self)
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        """Go on writing: the other side has read."""
        self._stuck = 0
        super().resume_writing()

    def look(self) -> None:
        """End the connection if it has made no progress for several looks.

        That is: no request has come, or an answer is not taken, or a close does not get through.
        """
        if self._wire is None:
            return
        stuck = not self.asked or self.writing_paused or self._wire.is_closing()
        self._stuck = self._stuck + 1 if stuck else 0
        if self._stuck >= _LOOKS:
            self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """Answer what is no HTTP: briefly, and without a line in the log for each."""
        self.logger.debug("bad request from %s", request.remote, exc_info=exc)
        response = self._server.refusal(status)
        response.force_close()
        return response
