"""Connections that cannot be used to sit on: bounded in number, and ended when they make no progress.

When there are as many as there may be, a new one takes the place of the one that has been idle for longest.
So whoever opens all of them and leaves them open keeps nobody out, and no probe of a worker's health fails.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from operator import itemgetter
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

    def make_room(self) -> bool:
        """End the connection that has been idle for longest if there are too many; False: none is idle."""
        if len(self.open) <= self.most:
            return True
        idle = [
            (since, connection) for connection in self.open if (since := connection.idle_since) is not None
        ]
        if not idle:
            return False
        _, longest = min(idle, key=itemgetter(0))
        longest.give_way()
        return True

    def _request(self, message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:  # noqa: ANN401
        protocol.asked = True
        protocol.idle_since = None
        return self._make(_unexpecting(message), payload, protocol, *rest)


def _unexpecting(message: Any) -> Any:  # noqa: ANN401 - as web.Server
    """Take out `Expect`: aiohttp would answer it before anybody looks at the request. No body is wanted."""
    if "Expect" not in message.headers:
        return message
    headers = message.headers.copy()
    headers.popall("Expect")
    return message._replace(headers=type(message.headers)(headers))


class Connection(web.RequestHandler):
    """One connection.

    Attributes:
        asked: Whether a whole request has come.
        idle_since: When the connection was made, or the last answer was given; None: there is one to give.
    """

    __slots__ = ("_server", "_stuck", "_wire", "asked", "idle_since")

    def __init__(self, server: QueryServer, options: Mapping[str, Any]) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._server = server
        self._stuck = 0
        self._wire: asyncio.Transport | None = None
        self.asked = False
        self.idle_since: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, unless there are too many, and all are busy."""
        self._wire = cast("asyncio.Transport", transport)
        self._server.open.add(self)
        if self._server.make_room():
            self.idle_since = asyncio.get_running_loop().time()
            super().connection_made(transport)
        else:
            self._refuse()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        self._server.open.discard(self)
        super().connection_lost(exc)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Give an answer."""
        finished = await super().finish_response(request, resp, start_time)
        self.idle_since = asyncio.get_running_loop().time()
        return finished

    def give_way(self) -> None:
        """End now, while idle, so that another connection has the place."""
        self._server.open.discard(self)
        if not self.asked:
            self._refuse()  # its request may be on its way
        elif self._wire is not None:
            self._wire.abort()  # an answer that is not taken would hold the place

    def _refuse(self) -> None:
        if self._wire is not None:
            self._wire.write(_FULL)
            self._wire.close()

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
