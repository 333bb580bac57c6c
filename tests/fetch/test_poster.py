"""Sending to receivers."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from streams.fetch.addresses import AddressPolicy
from streams.fetch.circuit_breakers import OPENS_AFTER, CircuitBreakers
from streams.fetch.errors import SourceBusyError
from streams.fetch.sending.poster import Poster


@pytest.fixture
async def url() -> AsyncIterator[str]:
    """A host that takes what comes to `/well`, and nothing else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        status = b"200 OK" if b"/well" in head else b"503 Busy"
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_what_fails_for_one_sender_stops_no_other(url: str) -> None:
    """A host whose circuit is open for one cloud is asked for another one all the same."""
    now = 0.0
    async with Poster(AddressPolicy.parse("127.0.0.1"), deadline=5, at_once=2) as poster:
        poster.circuit_breakers = CircuitBreakers(lambda: now)
        for number in range(OPENS_AFTER):
            now += 1
            with pytest.raises(SourceBusyError, match="status 503"):
                await poster.post(f"{url}/dead", b"{}", {}, f"asset-{number}", "one")
        with pytest.raises(SourceBusyError, match="left alone"):
            await poster.post(f"{url}/well", b"{}", {}, "asset", "one")
        await poster.post(f"{url}/well", b"{}", {}, "asset", "other")
