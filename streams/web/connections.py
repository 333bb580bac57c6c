"""Connections: bounded in number and in the size of a request's head, and ended where nothing goes on.

When there are as many as there may be, a new one takes the place of the one that has been idle for longest.
So whoever opens all of them and leaves them open keeps nobody out, and no probe of a worker's health fails.
"""

import asyncio
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from operator import itemgetter
from typing import Any, cast

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from schemas.answers.trends import Problem
from streams.web.envelope import HEADERS

IDLE_SECONDS = 75  # until a head is whole, or an answer is taken; more than nginx keeps a connection to us
MAX_CONNECTIONS = 512
MAX_HEAD = 32_768  # bytes of request line and headers
_NO_HTTP = Problem("http_400", "this is no HTTP request that is understood here")
_FULL = Problem("busy", "all connections have questions under way; ask again in a second")
_NONE: Mapping[bytes, bytes] = {}
_SOON = {b"retry-after": b"1"}  # seconds


class Connection(HttpToolsProtocol):
    """One connection. Its timer runs whenever no question is under way."""

    most = MAX_CONNECTIONS
    _asked = False  # whether a whole head has come
    _head: int | None = None  # bytes of a head that is not whole yet

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, in the place of an idle one if there are too many."""
        full, idle = len(self.connections) >= self.most, _longest_idle(self.connections)
        super().connection_made(cast("asyncio.Transport", _OneWrite(transport, self.loop)))
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        if full:
            (idle or self).give_way()

    def data_received(self, data: bytes) -> None:
        """Read on. The timer goes on until a head is whole: no byte now and then keeps a connection."""
        timer, self.timeout_keep_alive_task = self.timeout_keep_alive_task, None
        super().data_received(data)
        if not self._asked or self.cycle.response_complete:
            self.timeout_keep_alive_task = timer
        elif timer is not None:
            timer.cancel()
        if self._head is not None:
            self._head += len(data)
            if self._head > MAX_HEAD:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        """Begin to count."""
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Begin to answer; what is raised here is answered with 400."""
        self._head = None
        if len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > MAX_HEAD:
            raise ValueError(MAX_HEAD)
        super().on_headers_complete()
        self._asked = True

    def timeout_keep_alive_handler(self) -> None:
        """End, also where the other side does not take its answer: a close would wait for that."""
        self.transport.abort()

    def give_way(self) -> None:
        """End now, so that another connection has the place."""
        self.connections.discard(self)
        if self._asked:
            self.transport.abort()  # an answer that is not taken would hold the place
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, _FULL, _SOON)  # a question may be on its way

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it is always the same
        """Answer what is no HTTP."""
        self._refuse(HTTPStatus.BAD_REQUEST, _NO_HTTP)

    def explain(self, status: HTTPStatus, problem: Problem) -> tuple[HTTPStatus | int, bytes]:
        """Give status and body of a refusal; an application whose clients read another form has its own."""
        return status, msgspec.json.encode(problem)

    def _refuse(self, refused: HTTPStatus, problem: Problem, more: Mapping[bytes, bytes] = _NONE) -> None:
        status, body = self.explain(refused, problem)
        headers = {
            **HEADERS,
            **more,
            b"content-type": b"application/json",
            b"content-length": b"%d" % len(body),
            b"connection": b"close",
        }
        lines = [b"HTTP/1.1 %d %s" % (status, refused.phrase.encode()), *map(b": ".join, headers.items())]
        self.transport.write(b"\r\n".join([*lines, b"", body]))
        self.transport.close()


class _OneWrite:
    """A transport that sends the head of an answer along with its body: one system call instead of two."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting.append(data)

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all else is the transport's
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._waiting:
            # Not writelines: from Python 3.12 on asyncio's raises where the connection is lost.
            self._transport.write(b"".join(self._waiting))
            self._waiting = []


def _longest_idle(connections: Iterable[object]) -> Connection | None:
    """The connection whose timer has run for longest."""
    timers = [
        (each.timeout_keep_alive_task.when(), each)
        for each in connections
        if isinstance(each, Connection) and each.timeout_keep_alive_task is not None
    ]
    return min(timers, key=itemgetter(0))[1] if timers else None
