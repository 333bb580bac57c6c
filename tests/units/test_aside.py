"""Slots and places aside. Law: none is lost, and no more are taken than there are."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streams.units.aside import Patience, PlacesAside, Slot


def patience(places: PlacesAside, seconds: float = 0.01, *, overloaded: list[bool]) -> Patience:
    return Patience(seconds, places, 0, lambda: overloaded[0], lambda: None)


def free(places: PlacesAside, partition: int) -> int:
    """How many a partition would get, one after the other."""
    number = 0
    while places.take(partition):
        number += 1
    for _ in range(number):
        places.give_back(partition)
    return number


def test_a_partition_alone_has_half_of_the_places() -> None:
    """The next one has half of what is left: fifty of them need no more room."""
    places = PlacesAside(100)
    assert [places.take(0) for _ in range(60)].count(True) == 50
    assert [places.take(1) for _ in range(60)].count(True) == 25
    assert not places.take(0)
    assert sum(places.take(partition) for partition in range(2, 60) for _ in range(60)) <= 25


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=80))
def test_no_place_is_lost(steps: list[tuple[int, bool]]) -> None:
    """Law: whoever takes and gives back, all together never have more than there are, and all come back."""
    places, taken = PlacesAside(9), [0, 0, 0, 0]
    for partition, takes in steps:
        if takes:
            taken[partition] += places.take(partition)
        elif taken[partition]:
            taken[partition] -= 1
            places.give_back(partition)
        assert sum(taken) <= 9
    for partition, number in enumerate(taken):
        for _ in range(number):
            places.give_back(partition)
    assert free(places, 0) == 5


async def test_who_waits_long_lets_others_begin() -> None:
    """Its slot is theirs, and it has a place aside until it is done."""
    slots, places = asyncio.Semaphore(0), PlacesAside(9)
    slot = Slot(slots, patience(places, overloaded=[False]))
    slot.wait()
    async with asyncio.timeout(5):
        await slots.acquire()
    assert slot.is_aside
    assert free(places, 1) == 4
    slot.give_back()
    assert slots.locked()
    assert free(places, 1) == 5


async def test_who_waits_shortly_keeps_its_slot() -> None:
    """It gives it back once, at its end."""
    slots = asyncio.Semaphore(0)
    slot = Slot(slots, patience(PlacesAside(10), overloaded=[False]))
    slot.wait()
    slot.go_on()
    await asyncio.sleep(0.03)
    assert slots.locked()
    slot.give_back()
    assert not slots.locked()


async def test_nobody_goes_aside_without_a_place_or_under_our_own_load() -> None:
    """It is tried again until there is one, and until the worker is the reason no more."""
    slots, places, overloaded = asyncio.Semaphore(0), PlacesAside(1), [True]
    assert places.take(1)
    slot = Slot(slots, patience(places, overloaded=overloaded))
    slot.wait()
    await asyncio.sleep(0.03)
    overloaded[0] = False
    await asyncio.sleep(0.03)
    assert not slot.is_aside
    places.give_back(1)
    async with asyncio.timeout(5):
        await slots.acquire()
    slot.give_back()
    assert places.take(1)
