"""Connections to strangers' servers, each of which is left when it sends what is no body.

aiohttp's parser has limits of single lines, but none of what it skips: the size of a chunk may have zeros
without end, or an extension; each byte may be a chunk of its own; answers may follow that nobody asked for.
"""

import asyncio
import functools
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_proto import ResponseHandler

from streams.fetch.wire.head_lines import HeadLines

MAX_UNREAD_ANSWERS = 16
MAX_HEAD_BYTES = 65_536
"""Bytes before a body: heads, those of answers before the answer included."""

SPARE_BYTES = 16_384
"""Bytes behind a head that may be no body, whatever its size: sizes of chunks, trailers."""

BODY_PER_SPARE = 8
"""As many bytes of body allow for one more that is none: of chunks, those of 50 bytes and more pass."""

_OF_HEAD, _OF_BODY = 2_048, 16_384  # bytes that are parsed between two looks: a flood costs next to nothing
_HELD_BACK = 524_288  # bytes of a read or two that the parser keeps while its reader is behind


class FloodedError(ValueError):
    """A server sent more that is no body than any honest one does."""


def open_connector(resolver: AbstractResolver, limit: int, per_host: int = 0) -> aiohttp.TCPConnector:
    """A connector that asks the resolver right before it connects, and bears with no flood on the wire.

    Args:
        resolver: Gives the addresses; the answer that was checked is the one that is used.
        limit: Most connections at once.
        per_host: Most of them to one host; 0: as many.
    """
    connector = aiohttp.TCPConnector(
        resolver=resolver, use_dns_cache=False, limit=limit, limit_per_host=per_host
    )
    protocol: type[ResponseHandler] = _Answers
    answers = functools.partial(protocol, loop=asyncio.get_running_loop())
    connector._factory = answers  # noqa: SLF001 - no argument of the connector sets it
    return connector


class _Answers(ResponseHandler):
    """Counts what comes over the wire for one answer, and how much of that is body.

    Answers that nobody asked for, also on idle connections, would be kept: gigabytes, and an event loop
    without a pause.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop)
        self._on_the_wire = 0
        self._before_body: int | None = None
        self._earlier: aiohttp.StreamReader | None = None
        self._head = HeadLines()

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - handed on as they are
        """Begin with the answer to the next request; the one before may still be read by somebody."""
        self._earlier = self._payload
        self._on_the_wire = 0
        self._before_body = None
        self._head = HeadLines()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Take what came over the wire, and leave a server that floods it."""
        at = 0
        while at < max(len(data), 1):  # none: what was held back is parsed
            part = data[at : at + (_OF_HEAD if self._before_body is None else _OF_BODY)]
            at += len(part) or 1
            self._on_the_wire += len(part)
            super().data_received(part if self._before_body is not None else self._head.passed(part))
            if (fault := self._fault()) is not None:
                self._leave(FloodedError(fault))
                return

    def _fault(self) -> str | None:
        if len(self) > MAX_UNREAD_ANSWERS:
            return f"more than {MAX_UNREAD_ANSWERS} answers to one request"
        if self._payload is None or self._payload is self._earlier:
            if self._before_body is None and self._on_the_wire > MAX_HEAD_BYTES:
                return f"more than {MAX_HEAD_BYTES} bytes before a body"
            return None
        body = self._payload.total_bytes
        if self._before_body is None:
            self._before_body = self._on_the_wire - body
        spare = SPARE_BYTES + body // BODY_PER_SPARE + (_HELD_BACK if self._reading_paused else 0)
        if self._on_the_wire - self._before_body - body > spare:
            return f"{self._on_the_wire:,} bytes on the wire for {body:,} of a body"
        return None

    def _leave(self, error: FloodedError) -> None:
        if self.transport is None:
            return
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)
        self.transport.abort()
