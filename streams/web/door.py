"""The door: each request is looked at before it is routed: who looks for routes is counted too."""

from collections.abc import Mapping
from enum import Enum
from typing import cast

from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send

from streams.web.access.callers import Caller
from streams.web.access.cookies import authorizations_in
from streams.web.access.errors import QuestionError
from streams.web.access.guard import Guard
from streams.web.replies import refusal

MAX_TARGET = 8192  # bytes of path and query


class Entry(Enum):
    """Who comes in."""

    CALLERS = "those who may ask, as often as they may"
    ANYBODY = "anybody at any time: a probe must not fail"
    COUNTED = "anybody, as often as an address may"


class TooLongError(QuestionError):
    """Path and query are too long."""

    status = 414


class Door:
    """Lets requests in, or answers why not.

    Who asks is then `scope["user"]`: a `Caller`, or None for a stranger.
    """

    def __init__(
        self, app: ASGIApp, guard: Guard, entries: Mapping[str, Entry], *, cookies: bool = False
    ) -> None:
        """Stand in front of an application.

        Args:
            app: The application.
            guard: Who may ask.
            entries: Paths that are not for callers alone.
            cookies: Whether a token may come in a cookie, too.
        """
        self._app = app
        self._guard = guard
        self._entries = entries
        self._cookies = cookies

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on that may come in."""
        try:
            scope["user"] = self._admit(cast("HTTPScope", scope))
        except QuestionError as error:
            await refusal(error)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _admit(self, scope: HTTPScope) -> Caller | None:
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET:
            raise TooLongError("too_long", f"path and query exceed {MAX_TARGET} bytes; ask for less")
        self._guard.check_host(_values(scope, b"host"))
        authorizations, peer = self._authorizations(scope), scope["client"][0] if scope["client"] else ""
        entry = self._entries.get(scope["path"], Entry.CALLERS)
        if entry is Entry.CALLERS:
            return self._guard.admit(authorizations, peer)
        if entry is Entry.COUNTED:
            self._guard.count(None, peer)
        return self._guard.recognize(authorizations)

    def _authorizations(self, scope: HTTPScope) -> list[str]:
        given = _values(scope, b"authorization")
        if given or not self._cookies:
            return given
        return authorizations_in(_values(scope, b"cookie"), _values(scope, b"sec-fetch-site"))


def _values(scope: HTTPScope, header: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == header]
