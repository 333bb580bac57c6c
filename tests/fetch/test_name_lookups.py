"""Look-ups of host names, beside name servers that never answer."""

from __future__ import annotations

import asyncio
import socket
import sys
import threading
from typing import TYPE_CHECKING

import pytest
from support.photo_server import PHOTOS, PhotoServer

from streams.fetch.addresses import AddressPolicy, NameLookups
from streams.fetch.errors import SourceBusyError
from streams.fetch.fetcher import Fetcher, FetchLimits

if TYPE_CHECKING:
    from collections.abc import Iterator

    Entries = list[tuple[object, ...]]


class NameServer:
    """Answers at once, but for names that contain `stuck`: those get no answer until the test lets them."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.waiting = 0
        self._lock = threading.Lock()

    def getaddrinfo(self, host: str, port: int, **_: object) -> Entries:
        if "stuck" in host:
            with self._lock:
                self.waiting += 1
            assert self.let_go.wait(30)
            with self._lock:
                self.waiting -= 1
        if "unknown" in host:
            raise socket.gaierror(-2, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[NameServer]:
    server = NameServer()
    monkeypatch.setattr("streams.fetch.addresses.getaddrinfo", server.getaddrinfo)
    yield server
    server.let_go.set()


async def look_up(lookups: NameLookups, host: str) -> list[str]:
    return [address for address, _ in await lookups.addresses(host, 80, socket.AF_UNSPEC)]


async def until_waiting(names: NameServer, number: int) -> None:
    async with asyncio.timeout(10):
        while names.waiting != number:
            await asyncio.sleep(0.005)


async def test_a_name_server_that_never_answers_holds_up_nobody_else(names: NameServer) -> None:
    """However many fetches wait for its names: others' names are found, and asyncio's threads are free."""
    limits = FetchLimits(
        max_bytes=1_000_000, max_bytes_in_flight=4_000_000, deadline=30, answer=30, concurrency=60, per_host=4
    )
    async with PhotoServer() as server, Fetcher(AddressPolicy.parse("127.0.0.0/8"), limits) as fetcher:
        urls = [server.url("/koala.jpg", f"stuck-{number}.test") for number in range(50)]
        stuck = [asyncio.create_task(fetcher.fetch(url)) for url in urls]
        await until_waiting(names, 50)
        assert await asyncio.to_thread(threading.active_count) > 50
        for number in range(5):
            with await fetcher.fetch(server.url("/koala.jpg", f"good-{number}.test")) as fetched:
                assert fetched.data == (PHOTOS / "koala.jpg").read_bytes()
        assert not any(task.done() for task in stuck)
        for task in stuck:
            task.cancel()
        await asyncio.gather(*stuck, return_exceptions=True)


async def test_a_look_up_has_the_deadline_of_its_fetch(names: NameServer) -> None:
    """A name that is not found in time is a source that may be reached later."""
    limits = FetchLimits(
        max_bytes=10, max_bytes_in_flight=20, deadline=0.2, answer=0.2, concurrency=2, per_host=2
    )
    async with Fetcher(AddressPolicy(), limits) as fetcher:
        with pytest.raises(SourceBusyError) as caught:
            await fetcher.fetch("http://stuck.test/")
    assert caught.value.code == "timeout"
    assert names.waiting == 1


async def test_no_more_than_the_limit_are_under_way(names: NameServer) -> None:
    """A place is taken until the look-up ends, whoever still waits for it; then the next one begins."""
    lookups = NameLookups(2)
    tasks = [asyncio.create_task(look_up(lookups, f"stuck-{number}.test")) for number in range(5)]
    await until_waiting(names, 2)
    for task in tasks[:2]:
        task.cancel()
    await asyncio.gather(*tasks[:2], return_exceptions=True)
    await asyncio.sleep(0.05)
    assert names.waiting == 2
    names.let_go.set()
    assert await asyncio.gather(*tasks[2:]) == [["127.0.0.1"]] * 3
    assert await look_up(lookups, "good.test") == ["127.0.0.1"]


async def test_faults_come_back_to_whoever_asked(names: NameServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without an address, a name that is none, a machine without another thread: errors, no leaks."""
    lookups = NameLookups(1)
    with pytest.raises(OSError, match="Name or service not known"):
        await look_up(lookups, "unknown.test")
    monkeypatch.setattr("streams.fetch.addresses.getaddrinfo", socket.getaddrinfo)
    with pytest.raises(UnicodeError):
        await look_up(lookups, "a" * 64 + ".test")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(OSError, match="can't start new thread"):
            await look_up(lookups, "good.test")
    assert await look_up(lookups, "127.0.0.1") == ["127.0.0.1"]
    assert names.waiting == 0


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


STUCK_PROCESS = """
import asyncio, contextlib, threading
from streams.fetch import addresses
addresses.getaddrinfo = lambda *_, **__: threading.Event().wait()
async def main():
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(addresses.NameLookups(1).addresses("stuck.test", 80, 0), 0.05)
asyncio.run(main())
print("the end")
"""


async def test_a_process_ends_beside_a_look_up_that_does_not() -> None:
    """A worker that is told to stop does not wait for a name server."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", STUCK_PROCESS, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert (process.returncode, output) == (0, b"the end\n")
