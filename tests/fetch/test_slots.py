"""Slots that slow fetches leave. Law: never more at once than slots and places, and none is lost."""

import asyncio
from dataclasses import dataclass, field

import pytest

from streams.fetch.room.slots import PLACES_PER_SLOT, FetchSlots, HostSlots


@dataclass
class Fetches:
    """Fetches that take until the test ends them."""

    slots: FetchSlots | HostSlots
    running: list[asyncio.Event] = field(default_factory=list)

    async def run(self) -> None:
        async with self.slots.hold():
            ended = asyncio.Event()
            self.running.append(ended)
            await ended.wait()

    def start(self, number: int) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.run()) for _ in range(number)]

    async def cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def until_running(self, number: int) -> None:
        async with asyncio.timeout(5):
            while len(self.running) < number:
                await asyncio.sleep(0.005)
        await asyncio.sleep(0.05)  # for more of them than may
        assert len(self.running) == number


@pytest.fixture
def fetches() -> Fetches:
    return Fetches(FetchSlots(2, lambda: True))


async def test_quick_fetches_keep_to_the_slots(fetches: Fetches) -> None:
    """Each that ends lets the next one begin."""
    tasks = fetches.start(5)
    for number in range(2, 6):
        await fetches.until_running(number)
        fetches.running[number - 2].set()
    fetches.running[-1].set()
    await asyncio.gather(*tasks)


async def test_slow_fetches_leave_their_slots(fetches: Fetches, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until all places apart are taken; one that becomes free is taken by a fetch that waits for it."""
    monkeypatch.setattr("streams.fetch.room.slots._PATIENCE", 0.01)
    tasks = fetches.start(20)
    assert fetches.slots.most == 8
    await fetches.until_running(8)
    fetches.running[0].set()
    await fetches.until_running(9)
    await fetches.cancel(tasks)
    fetches.running.clear()
    again = fetches.start(20)
    await fetches.until_running(8)
    await fetches.cancel(again)


async def test_slots_are_crowded_while_places_are_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits then waits for quick fetches; where slow ones have taken all places, for strangers."""
    monkeypatch.setattr("streams.fetch.room.slots._PATIENCE", 0.05)
    slots = FetchSlots(2, lambda: True)
    fetches = Fetches(slots)
    assert not slots.is_crowded
    tasks = fetches.start(20)
    await asyncio.sleep(0.01)
    assert slots.is_crowded
    await fetches.until_running(8)
    assert not slots.is_crowded
    await fetches.cancel(tasks)
    assert not slots.is_crowded


async def test_where_more_would_not_get_on_none_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where memory is short. It is asked again and again."""
    monkeypatch.setattr("streams.fetch.room.slots._PATIENCE", 0.01)
    gets_on = False
    fetches = Fetches(FetchSlots(2, lambda: gets_on))
    tasks = fetches.start(5)
    await fetches.until_running(2)
    gets_on = True
    await fetches.until_running(5)
    await fetches.cancel(tasks)


async def test_a_fetch_that_others_overtake_leaves_its_slot() -> None:
    """Once as many as there are slots have begun after it and ended before it."""
    fetches = Fetches(HostSlots(2))
    tasks = fetches.start(20)
    await fetches.until_running(2)  # the first one hangs
    fetches.running[1].set()
    await fetches.until_running(3)
    fetches.running[2].set()
    await fetches.until_running(5)  # overtaken twice: two more run beside it
    await fetches.cancel(tasks)


async def test_a_host_that_is_slow_as_a_whole_gets_no_more_at_once() -> None:
    """Its fetches end in the order in which they began: none is overtaken."""
    fetches = Fetches(HostSlots(2))
    tasks = fetches.start(10)
    for number in range(2, 10):
        await fetches.until_running(number)
        fetches.running[number - 2].set()
    await fetches.until_running(10)
    await fetches.cancel(tasks)


async def test_places_apart_are_bounded_and_given_back() -> None:
    """A host nearly all of whose objects hang is asked for slots and places at once, and not for more."""
    slots = HostSlots(2)
    most = 2 * (1 + PLACES_PER_SLOT)
    for _ in range(2):
        fetches = Fetches(slots)
        tasks = fetches.start(60)
        for _ in range(40):
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            busy = [fetch for fetch in fetches.running if not fetch.is_set()]
            assert len(busy) <= most
            busy[-1].set()
        assert len(busy) == most
        await fetches.cancel(tasks)
    assert not slots._overtaken
    assert slots._free_places == most - 2
