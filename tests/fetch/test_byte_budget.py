"""Memory for images: what is counted, who waits, and that nobody waits for ever."""

from __future__ import annotations

import asyncio
import io
import tracemalloc
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from support.fakes import record
from support.photo_server import PhotoServer, drips, says

from model import Tagger
from schemas.results import ModelInfo
from streams.fetch.addresses import AddressPolicy
from streams.fetch.errors import SourceBusyError, SourceGoneError
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.fetch.room.byte_budget import ByteBudget, Reservation
from streams.fold.outcomes import Tagged
from streams.tag.categorizer import Categorizer, Offer
from streams.tag.pool import TaggerPool
from streams.units.order import Turn

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from support.photo_server import Connection, Script

LARGEST = 10
LIMIT = 50  # 40 are shared, no host gets more than 20 of them


def holding(budget: ByteBudget, host: str, size: int) -> Reservation:
    """A fetch that got so far, and stands still."""
    reservation = budget.reserve(host)
    assert reservation.expect(size)
    assert reservation.add(size)
    return reservation


async def waiting(reservation: Reservation, size: int) -> asyncio.Task[None]:
    """A fetch for which there is no room."""
    assert not reservation.expect(size)
    task = asyncio.create_task(reservation.room())
    await asyncio.sleep(0)
    assert not task.done()
    return task


async def settled(task: asyncio.Task[None]) -> bool:
    for _ in range(3):
        await asyncio.sleep(0)
    return task.done()


def test_what_a_source_claims_is_taken_at_once() -> None:
    """A fetch holds nothing at first, then what it expects, then what has arrived, then nothing again."""
    budget = ByteBudget(LIMIT, LARGEST)
    reservation = budget.reserve("a")
    assert budget.used == 0
    assert reservation.expect(9)
    assert reservation.add(3)
    assert budget.used == 9
    reservation.complete()
    assert budget.used == 3
    for _ in range(2):
        reservation.release()
        assert budget.used == 0
    assert not budget._of_hosts
    assert not budget._fetching


def test_without_a_claim_it_grows_with_what_arrives() -> None:
    """Twice as much is held as has arrived, never more than the largest image may have."""
    budget = ByteBudget(LIMIT, LARGEST)
    reservation = budget.reserve("a")
    for size, held in ((1, 2), (1, 2), (1, 6), (3, 6), (1, 10), (3, 10)):
        assert reservation.add(size)
        assert budget.used == held


def test_a_whole_image_is_counted_as_what_it_turned_out_to_be() -> None:
    """Who got room for the largest image gives back what it did not need, as soon as it is complete."""
    budget = ByteBudget(LIMIT, LARGEST)
    others = [holding(budget, host, 10) for host in "aabb"]
    last = holding(budget, "c", 1)
    assert budget.used == 50
    assert last.add(5)
    last.complete()
    assert budget.used == 46
    for reservation in (*others, last):
        reservation.release()
    assert budget.used == 0


async def test_who_waits_goes_on_when_an_image_is_released() -> None:
    """Room that comes free is given to those that wait, the first of them first."""
    budget = ByteBudget(LIMIT, LARGEST)
    held = [holding(budget, host, 10) for host in "aabbc"]  # the last one with a whole image's room
    first, second = budget.reserve("d"), budget.reserve("e")
    tasks = [await waiting(first, 6), await waiting(second, 6)]
    held[0].complete()
    assert not await settled(tasks[0])
    held[0].release()
    assert await settled(tasks[0])
    assert not tasks[1].done()
    first.release()
    assert await settled(tasks[1])


async def test_nobody_overtakes_those_that_wait_for_a_whole_image() -> None:
    """The room for one whole image goes to the one that has waited longest."""
    budget = ByteBudget(LIMIT, LARGEST)
    for host in "aabb":
        holding(budget, host, 10)
    whole = holding(budget, "c", 1)
    waits = await waiting(budget.reserve("d"), 1)
    whole.release()
    assert not budget.reserve("e").expect(1)
    assert await settled(waits)


async def test_a_host_gets_half_of_the_shared_room() -> None:
    """However many fetches a host draws out, others find room; its next ones wait for its own."""
    budget = ByteBudget(LIMIT, LARGEST)
    slow = [holding(budget, "slow", 5) for _ in range(5)]
    assert [reservation.held for reservation in slow] == [5, 5, 5, 5, LARGEST]
    waits = await waiting(budget.reserve("slow"), 1)
    for number in range(5):
        assert budget.used <= LIMIT
        other = holding(budget, f"good-{number}", 10)
        other.complete()
        other.release()
    assert not waits.done()
    slow[0].complete()  # it waits for its decoder now, and is its host's no longer
    assert await settled(waits)


async def test_giving_up_leaves_nothing_behind() -> None:
    """A fetch that is cancelled while it waits makes way for the next one."""
    budget = ByteBudget(LIMIT, LARGEST)
    held = [holding(budget, host, 10) for host in "aabbc"]
    first, second = budget.reserve("d"), budget.reserve("e")
    tasks = [await waiting(first, 6), await waiting(second, 6)]
    tasks[0].cancel()
    assert await settled(tasks[0])
    first.release()
    held[0].release()
    assert await settled(tasks[1])
    for reservation in (*held, second):
        reservation.release()
    assert budget.used == 0
    assert not budget._waiting


async def test_who_does_not_fill_what_it_took_loses_it() -> None:
    """While others wait, only sources that are on course to send the rest keep the room for it."""
    budget = ByteBudget(12_000, 2_000, every=0.01)
    steady, slow = budget.reserve("a"), budget.reserve("b")
    for reservation in (steady, slow):
        assert reservation.expect(2_000)
        assert reservation.add(200)
    others = [holding(budget, host, 2_000) for host in "ccd"]
    whole = budget.reserve("e")
    assert whole.expect(2_000)
    await asyncio.sleep(0.1)
    assert slow.held == 2_000  # nobody waits
    waits = await waiting(budget.reserve("f"), 1_800)
    while not waits.done():
        assert steady.add(max((2_000 - steady.arrived) // 5, 1))
        assert steady.held == 2_000
        await asyncio.sleep(0)
    assert (slow.held, whole.held) == (200, 2_000)
    assert not slow.add(1)  # it comes last again
    others[0].release()
    assert slow.add(1)
    assert budget.used <= 12_000


def test_a_limit_without_room_for_two_is_refused() -> None:
    """One image that may always be finished, and room for others besides."""
    with pytest.raises(ValueError, match="no room for two images"):
        ByteBudget(19, LARGEST)


Plan = list[tuple[str, int, list[int], int]]


def plans() -> st.SearchStrategy[Plan]:
    """Fetches: host, claim, the pieces in which they arrive, how many turns decoding takes."""
    pieces = st.lists(st.integers(1, LARGEST), max_size=LARGEST).map(_up_to_largest)
    claims = st.integers(0, LARGEST)
    return st.lists(st.tuples(st.sampled_from("abc"), claims, pieces, st.integers(0, 5)), max_size=30)


def _up_to_largest(pieces: list[int]) -> list[int]:
    return [size for index, size in enumerate(pieces) if sum(pieces[: index + 1]) <= LARGEST]


@given(plans(), st.integers(2 * LARGEST, LIMIT))
def test_nobody_waits_for_ever(plan: Plan, limit: int) -> None:
    """Law: however fetches come and grow, the limit holds and every one of them ends."""

    async def one(budget: ByteBudget, host: str, claim: int, pieces: list[int], turns: int) -> None:
        reservation = budget.reserve(host)
        if not reservation.expect(claim):
            await reservation.room()
        for size in pieces:
            if not reservation.add(size):
                await reservation.room()
            assert reservation.held >= reservation.arrived
            assert budget.used <= limit
            await asyncio.sleep(0)
        reservation.complete()
        assert budget.used <= limit
        for _ in range(turns):
            await asyncio.sleep(0)
        reservation.release()

    async def everything() -> None:
        budget = ByteBudget(limit, LARGEST, every=0.0001)
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            for fetch in plan:
                tasks.create_task(one(budget, *fetch))
        assert budget.used == 0
        assert not budget._of_hosts

    asyncio.run(everything())


@pytest.fixture
async def server() -> AsyncIterator[PhotoServer]:
    async with PhotoServer() as started:
        yield started


@pytest.fixture
def test_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each name below .test leads to loopback."""
    monkeypatch.setattr(
        "streams.fetch.addresses.getaddrinfo", lambda _, port, **__: [(2, 1, 6, "", ("127.0.0.1", port))]
    )


@pytest.fixture(scope="module")
def pool() -> Iterator[TaggerPool]:
    pool = TaggerPool({"imagga_tagging": Tagger.load()}, threads=2, max_batch=8)
    pool.start()
    yield pool
    pool.stop()


def in_pieces(body: bytes) -> Script:
    """Send a photo as it is taken: this process is not to hold what the client has not read."""

    async def script(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
        for start in range(0, len(body), 1 << 14):
            await connection.send(body[start : start + (1 << 14)])

    return script


def progressive_jpeg() -> bytes:
    """Some 2 MB that take long to decode."""
    noise = np.random.default_rng(1).integers(0, 255, (1200, 1600, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=90, progressive=True)
    return file.getvalue()


@pytest.mark.slow
@pytest.mark.usefixtures("test_names")
async def test_many_large_images_keep_to_the_limit(server: PhotoServer, pool: TaggerPool) -> None:
    """Sixty large progressive JPEGs at once: each is tagged, and memory holds a few of them at a time."""
    image = progressive_jpeg()
    server.scripts["/large"] = in_pieces(image)
    largest = len(image) + 1000
    limits = FetchLimits(
        max_bytes=largest, max_bytes_in_flight=4 * largest, deadline=60, answer=60, concurrency=8, per_host=3
    )
    urls = [server.url("/large", f"host-{number % 5}.test") for number in range(60)]
    offer = Offer({"imagga_tagging": ModelInfo("m", "1")}, ("imagga_tagging",))
    async with Fetcher(AddressPolicy.parse(",".join(f"host-{n}.test" for n in range(5))), limits) as fetcher:
        categorizer = Categorizer(fetcher, pool, offer)
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, fetcher.budget.used)
                await asyncio.sleep(0.001)

        watching = asyncio.create_task(watch())
        tracemalloc.start()
        outcomes = await asyncio.gather(
            *(
                categorizer.outcome(
                    record(offset, b'{"public_id":"i","url":"%s"}' % url.encode()),
                    {},
                    lambda: asyncio.sleep(0),
                    Turn(),
                )
                for offset, url in enumerate(urls)
            )
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        watching.cancel()
        assert fetcher.budget.used == 0
    assert [outcome for outcome in outcomes if not isinstance(outcome, Tagged)] == []
    assert largest < most <= 4 * largest
    assert peak < 12 * largest  # besides: what sockets buffer, a copy at the end, batches of pixels


@pytest.mark.usefixtures("test_names")
async def test_a_dripping_host_leaves_room_for_others(server: PhotoServer) -> None:
    """A host that stops short of its images' ends holds what it sent, no more than its share; others come."""
    server.scripts["/stops"] = drips(
        b"HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n" + bytes(800_000), b"", 1
    )
    server.scripts["/good"] = says("200 OK", body=bytes(700_000))
    policy = AddressPolicy.parse("slow.test, good.test")
    limits = FetchLimits(
        max_bytes=1_000_000, max_bytes_in_flight=5_000_000, deadline=60, answer=60, concurrency=16, per_host=8
    )
    async with Fetcher(policy, limits) as fetcher:
        slow = [asyncio.create_task(fetcher.fetch(server.url("/stops", "slow.test"))) for _ in range(8)]
        while not fetcher.budget._waiting:
            await asyncio.sleep(0.01)
        for _ in range(10):
            with await fetcher.fetch(server.url("/good", "good.test")) as fetched:
                assert len(fetched.data) == 700_000
        assert not any(task.done() for task in slow)
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
        assert fetcher.budget.used == 0


@pytest.mark.usefixtures("test_names")
async def test_waiting_for_room_is_not_the_sources_fault(server: PhotoServer) -> None:
    """It does not count as the source's time; it ends all the same, and no circuit opens for it."""
    server.scripts["/good"] = says("200 OK", body=bytes(900_000))
    policy = AddressPolicy.parse("a.test, b.test, c.test")
    limits = FetchLimits(
        max_bytes=1_000_000,
        max_bytes_in_flight=2_000_000,
        deadline=0.4,
        answer=0.4,
        concurrency=16,
        per_host=8,
    )
    async with Fetcher(policy, limits) as fetcher:
        with await fetcher.fetch(server.url("/good", "a.test")):
            later = asyncio.create_task(fetcher.fetch(server.url("/good", "b.test")))
            await asyncio.sleep(0.2)
            with await later:  # the rest goes to it, whole
                for _ in range(5):
                    with pytest.raises(SourceBusyError) as caught:
                        await fetcher.fetch(server.url("/good", "c.test"))
                    assert caught.value.code == "memory_busy"
                    assert caught.value.retry_after
        assert fetcher.budget.used == 0
        assert fetcher.circuit_breakers.open_hosts == []
        with await fetcher.fetch(server.url("/good", "c.test")) as fetched:
            assert len(fetched.data) == 900_000


async def test_faults_hold_no_room(server: PhotoServer) -> None:
    """A fetch that fails, whenever it does, gives its room back at once."""
    server.scripts["/stops"] = drips(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(500_000), b"", 1)
    server.scripts["/long"] = says("200 OK", body=bytes(1_000_001))
    limits = FetchLimits(
        max_bytes=1_000_000,
        max_bytes_in_flight=2_000_000,
        deadline=0.2,
        answer=0.2,
        concurrency=4,
        per_host=4,
    )
    async with Fetcher(AddressPolicy.parse("127.0.0.1"), limits) as fetcher:
        for path, kind in (
            ("/stops", SourceBusyError),
            ("/long", SourceGoneError),
            ("/none", SourceGoneError),
        ):
            with pytest.raises(kind):
                await fetcher.fetch(server.url(path))
            assert fetcher.budget.used == 0


async def test_data_urls_are_counted() -> None:
    """Bytes that an event brings itself take room like others until they are decoded."""
    limits = FetchLimits(
        max_bytes=1000, max_bytes_in_flight=2000, deadline=0.1, answer=0.1, concurrency=4, per_host=4
    )
    async with Fetcher(AddressPolicy(), limits) as fetcher:
        urls = cycle(["data:," + "x" * 400])
        with await fetcher.fetch(next(urls)), await fetcher.fetch(next(urls)):
            assert 800 <= fetcher.budget.used <= 1400
        assert fetcher.budget.used == 0
