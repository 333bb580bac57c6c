"""The gateway's application: calls to their routes, and answers that every client reads, whatever happens."""

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from streams.gateway.calls import Area, Call, Door, vendors_problem
from streams.gateway.meter import GatewayMeter
from streams.gateway.requests.problems import (
    BadCallError,
    GatewayError,
    UnknownAssetError,
    shown,
)
from streams.web.envelope import Envelope

log = logging.getLogger(__name__)

MAX_PATH = 4096  # bytes, with the query
DRAIN_BYTES = 256 * 1024 * 1024
DRAIN_SECONDS = 5.0


def create_gateway(door: Door, areas: Iterable[Area], meter: GatewayMeter | None = None) -> ASGIApp:
    """Make the application.

    Args:
        door: What every call is let in by.
        areas: All that is answered. One with the prefix `/` is asked last.
        meter: Is told of each answer; None: nobody is.
    """
    asked = sorted(areas, key=lambda area: -len(area.prefix))
    if meter is not None:
        meter.name(area.kind_of(route) for area in asked for route in area.routes)
    return Envelope(_Gateway(door, asked, meter))


class _Gateway:
    """Finds a call's route and answers it."""

    def __init__(self, door: Door, areas: Sequence[Area], meter: GatewayMeter | None) -> None:
        self._door = door
        self._areas = areas
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await _lifespan(receive, send)
            return
        body = _Body(scope, receive)
        path = unquote(scope["raw_path"].decode("latin-1"), errors="replace")
        area = next((each for each in self._areas if path.startswith(each.prefix)), None)
        received = cast("Receive", body.receive)
        call, started = Call(scope, received, self._door, path, {}), time.perf_counter()
        async with call.ending:
            answer, status = await self._answer(call, area)
            if self._meter is not None:
                seconds = time.perf_counter() - started
                self._meter.note(call.kind, status or HTTPStatus.OK, seconds)
            if status is not None:
                await body.drain()
            await answer(scope, received, _noting(call, send))

    async def _answer(self, call: Call, area: Area | None) -> tuple[ASGIApp, int | None]:
        """The answer of a call, and its status if it is a refusal."""
        try:
            return await self._handle(call, area), None
        except GatewayError as error:
            refused = error
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                log.warning("call %s %s failed: %s", call.request_id, shown(call.path), error)
        except Exception:
            log.exception("call %s %s %s failed", call.request_id, call.method, shown(call.path))
            refused = GatewayError(f"Internal error; the gateway's log tells of request {call.request_id}")
        return (area.explain if area else vendors_problem)(refused), refused.status

    async def _handle(self, call: Call, area: Area | None) -> ASGIApp:
        scope = call.scope
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_PATH:
            raise BadCallError(f"Path and query have more than {MAX_PATH} bytes; send fields in the body")
        rest = call.path[len(area.prefix) :] if area else ""
        methods: set[str] = set()
        for route in area.routes if area else ():
            if (match := route.pattern.fullmatch(rest)) is None:
                continue
            if area is not None and call.method in route.methods:
                call.kind = area.kind_of(route)
                call.parts = {name: text or "" for name, text in match.groupdict().items()}
                return await route.handler(call)
            methods |= route.methods
        found = f"use {' or '.join(sorted(methods))}" if methods else "there is no such path"
        raise UnknownAssetError(
            f"{call.method.upper()[:16]} {shown(call.path)} is not answered here: {found}"
        )


class _Body:
    """A request's body that can be thrown away: a caller that still sends would not read the answer."""

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        headers = dict(scope["headers"])
        self._receive = receive
        self._waits = headers.get(b"expect", b"").lower() == b"100-continue"
        self._more = b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"

    async def receive(self) -> HTTPReceiveMessage:
        """Give the next message."""
        self._waits = False
        message = cast("HTTPReceiveMessage", await self._receive())
        self._more = self._more and bool(message.get("more_body", False))
        return message

    async def drain(self) -> None:
        """Read on for a while, unless the caller waits to be asked for its body."""
        left = DRAIN_BYTES
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._more and not self._waits and left > 0:
                    message = await self.receive()
                    left -= len(cast("bytes", message.get("body", b"")))


def _noting(call: Call, send: Send) -> Send:
    """Send, with the headers of the call, and a line in the audit log when the status is known."""

    async def answer(message: Message) -> None:
        if message["type"] == "http.response.start":
            more = {"x-request-id": call.request_id, **call.headers}
            given = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *(
                    (name.encode(), value.encode())
                    for name, value in more.items()
                    if name.encode() not in given
                ),
            ]
            call.log(message["status"])
        await send(message)

    return answer


async def _lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401 - Litestar has no type for these messages
    """There is nothing to start or to end here."""
    for expected in ("lifespan.startup", "lifespan.shutdown"):
        while (await receive())["type"] != expected:
            pass
        await send({"type": f"{expected}.complete"})
