"""What is committed, as server-sent events: a few times a second all that came, and how many did not fit."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import msgspec
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from streams.page.replies import start
from streams.page.requests import AnyRequest, caller_of, question_of
from streams.page.watching.feed import Feed, Wants, Watcher
from streams.page.watching.telling import Told
from streams.web.access.refusals import BusyError
from streams.web.api.parameters import Tenant

MOST = 16  # who watch at once
PACE = 0.25  # seconds between two messages
_SILENCE = 10.0  # seconds after which a message without events shows that all is well
_HEADERS = {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # nginx would hold events back until some kilobytes have come
}


@dataclass(frozen=True, kw_only=True)
class LiveQuestion:
    """Parameters of `GET /page/live`."""

    tenant: Tenant


class Message(msgspec.Struct, frozen=True):
    """What came since the message before.

    Attributes:
        skipped: How many outputs are not among the events, as there were too many.
    """

    events: list[Told]
    skipped: int


class Live:
    """Tells browsers what is committed."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    async def stream(self, request: AnyRequest) -> ASGIResponse:
        """Answer with events, until the browser goes.

        Raises:
            BusyError: Too many watch already.
        """
        question, caller = question_of(request, LiveQuestion), caller_of(request)
        if self._feed.watchers >= MOST:
            raise BusyError("busy", f"{MOST} pages watch already; close one, or ask another worker", 10)

        def wants(told: Told) -> bool:
            return told.tenant == question.tenant or (told.tenant is None and caller.tenants is None)

        return _Events(self._feed, wants)


class _Events(ASGIResponse):
    """One browser that watches."""

    def __init__(self, feed: Feed, wants: Wants) -> None:
        self.status_code = 200
        self._feed = feed
        self._wants = wants

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with self._feed.watch(self._wants) as watcher:
            going = asyncio.create_task(_close_when_gone(receive, watcher))
            try:
                await start(send, HTTPStatus.OK, _HEADERS)
                await send({"type": "http.response.body", "body": b"retry: 2000\n\n", "more_body": True})
                while not watcher.closed:
                    body = _encoded(await watcher.some(_SILENCE), watcher)
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                    await asyncio.sleep(PACE)
            finally:
                going.cancel()
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _close_when_gone(receive: Receive, watcher: Watcher) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    watcher.close()


def _encoded(found: Sequence[tuple[Told, object]], watcher: Watcher) -> bytes:
    message = Message([told for told, _ in found], watcher.take_skipped())
    return b"data: " + msgspec.json.encode(message) + b"\n\n"
