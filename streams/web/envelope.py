"""Between wire and application: each path in one spelling, headers of all answers, no unread bodies."""

from typing import cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

HEADERS = {
    b"cache-control": b"no-store",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"cross-origin-resource-policy": b"same-origin",
    b"referrer-policy": b"no-referrer",
    b"server": b"tagstream",
    b"x-content-type-options": b"nosniff",
}
"""Of every answer; one that says something else has its own."""
_ALL = list(HEADERS.items())
NOWHERE = "/%2F"  # no route has such a segment
_LAST = (b"connection", b"close")
_METHODS = {"HEAD": "GET", "OPTIONS": "options"}


class Envelope:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and its answer back."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        body = _Body(receive, unread=_announces_body(scope))

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = dict(message["headers"])
                headers = [*message["headers"], *(each for each in _ALL if each[0] not in given)]
                message["headers"] = [*headers, _LAST] if body.unread else headers
            await send(message)

        await self._app(_routable(scope), body.receive if body.unread else receive, answer)


class _Body:
    """Notes whether all of a request's body was read: the connection is not kept for what was not."""

    def __init__(self, receive: Receive, *, unread: bool) -> None:
        self._receive = receive
        self.unread = unread

    async def receive(self) -> HTTPReceiveMessage:
        message = cast("HTTPReceiveMessage", await self._receive())
        self.unread = self.unread and bool(message.get("more_body", False))
        return message


def _announces_body(scope: HTTPScope) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


def _routable(scope: HTTPScope) -> Scope:
    """A request as routes are found by: its path undecoded, so that %2F divides no name; HEAD as GET.

    The server knows the method that was sent, and leaves the body of an answer to HEAD out. OPTIONS becomes a
    method that no route has: Litestar would answer it by itself, and no other site is to be let in.
    """
    path, method = scope["raw_path"].decode("ascii"), scope["method"]
    plain = path.startswith("/") and "//" not in path and not path.endswith("/")
    routed = {"path": path if plain or path == "/" else NOWHERE, "method": _METHODS.get(method, method)}
    return cast("Scope", {**scope, **routed})
