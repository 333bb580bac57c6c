"""Between wire and application: each path in one spelling, headers of all answers, no unread bodies."""

from collections.abc import Iterable
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

    def __init__(self, app: ASGIApp, paths: Iterable[str] = ()) -> None:
        """Stand around an application.

        Args:
            app: The application.
            paths: Its paths with a name in them, `{name}`, that may have slashes.
        """
        self._app = app
        self._slashed = Slashed(paths)

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

        await self._app(_routable(scope, self._slashed), body.receive if body.unread else receive, answer)


class Slashed:
    """Paths whose names may have slashes: `/images/a/b.jpg` is image `a/b.jpg`, as `/images/a%2Fb.jpg` is.

    What ends as another route does, such as `/images/a/duplicates`, is that route's.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        self._ends: dict[str, set[str]] = {}
        for path in paths:
            begin, brace, rest = path.partition("{")
            if brace and "{" not in rest:
                self._ends.setdefault(begin, set()).add(rest.partition("}")[2].strip("/"))

    def joined(self, path: str) -> str:
        """The path with the slashes of its name written `%2F`."""
        begin = max((each for each in self._ends if path.startswith(each)), key=len, default=None)
        if begin is None:
            return path
        *parts, last = path[len(begin) :].split("/")
        if not parts:
            return path
        if last in self._ends[begin]:
            return f"{begin}{'%2F'.join(parts)}/{last}"
        return f"{begin}{'%2F'.join((*parts, last))}" if "" in self._ends[begin] else path


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


def _routable(scope: HTTPScope, slashed: "Slashed") -> Scope:
    """A request as routes are found by: its path undecoded, so that %2F divides no name; HEAD as GET.

    The server knows the method that was sent, and leaves the body of an answer to HEAD out. OPTIONS becomes a
    method that no route has: Litestar would answer it by itself, and no other site is to be let in.
    """
    path, method = scope["raw_path"].decode("ascii"), scope["method"]
    plain = path.startswith("/") and "//" not in path and not path.endswith("/")
    routed = {
        "path": slashed.joined(path) if plain or path == "/" else NOWHERE,
        "method": _METHODS.get(method, method),
    }
    return cast("Scope", {**scope, **routed})
