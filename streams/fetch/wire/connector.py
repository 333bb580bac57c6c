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

MAX_UNREAD_ANSWERS = 16
SPARE_BYTES = 131_072
"""Bytes of an answer that may be no body, whatever its size: heads, sizes of chunks, trailers."""

BODY_PER_SPARE = 8
"""As many bytes of body allow for one more that is none: of chunks, those of 50 bytes and more pass."""

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

    def set_response_params(self, **params: Any) -> None:  # noqa: ANN401 - handed on as they are
        """Begin with the answer to the next request."""
        self._on_the_wire = 0
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Take what came over the wire, and leave a server that floods it."""
        self._on_the_wire += len(data)
        super().data_received(data)
        if len(self) > MAX_UNREAD_ANSWERS:
            self._leave(FloodedError(f"more than {MAX_UNREAD_ANSWERS} answers to one request"))
            return
        body = self._payload.total_bytes if self._payload is not None else 0
        spare = SPARE_BYTES + body // BODY_PER_SPARE + (_HELD_BACK if self._reading_paused else 0)
        if self._on_the_wire - body > spare:
            self._leave(FloodedError(f"{self._on_the_wire:,} bytes on the wire for {body:,} of a body"))

    def _leave(self, error: FloodedError) -> None:
        if self.transport is None:
            return
        self.set_exception(error)
        if self._payload is not None:
            self._payload.set_exception(error)
        self.transport.abort()
