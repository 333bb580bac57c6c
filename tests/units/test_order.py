"""Records in work: who leaves when, and who is parked. Law: the order of each image is the log's."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fakes import record

from schemas.dead_letters import Fault
from streams.fold.outcomes import Deferred, Outcome, Parked, Rejected
from streams.units.order import Entry, Order, Turn

if TYPE_CHECKING:
    from collections.abc import Callable

OUTCOME = Rejected(Fault("x", "parse", False, "E", "m"))
WAITS_ON = Deferred(Fault("x", "fetch", True, "E", "m"), 0, None)


@pytest.fixture
def entry() -> Callable[..., Entry]:
    return make


def make(offset: int, image: str | None = None, *, waits: bool = False) -> Entry:
    outcome = asyncio.get_running_loop().create_future()
    return Entry(record(offset), outcome, Turn(image or str(offset), waits=waits), None)  # type: ignore[arg-type]


def finish(*entries: Entry, overdue: bool = False, outcome: Outcome = OUTCOME) -> None:
    for entry in entries:
        if not entry.done:
            entry.outcome.set_result(outcome)  # type: ignore[attr-defined]
            entry.finish()
        entry.overdue = entry.overdue or overdue


def order_of(*entries: Entry) -> Order:
    order = Order()
    for entry in entries:
        order.append(entry)
    return order


def offsets(entries: list[Entry]) -> list[int]:
    return [entry.record.offset for entry in entries]


async def test_records_leave_in_order() -> None:
    """One that is not done holds back those behind it, however long they have been done."""
    entries = [make(number) for number in range(4)]
    order = order_of(*entries)
    finish(entries[0], entries[2], overdue=True)
    assert offsets(order.take(10)[1]) == [0]
    assert not order.any_leaves
    finish(entries[1])
    assert offsets(order.take(10)[1]) == [1, 2]


async def test_how_long_we_took_for_what_leaves() -> None:
    """It begins when the source has answered; one that waits for its source does not count at all."""
    silent, answered, failed = make(0, waits=True), make(1, waits=True), make(2, waits=True)
    order = order_of(silent, answered, failed, make(3))
    for entry in (silent, answered, failed):
        entry.turn.since = time.monotonic() - 1e6
    assert order.longest_took == 0
    finish(failed, overdue=True)
    assert order.longest_took == 0
    answered.turn.go_on()
    answered.turn.since -= 5
    finish(answered)
    assert 5 <= order.longest_took < 1000


async def test_no_more_leave_than_asked_for() -> None:
    """A transaction has a size."""
    entries = [make(number) for number in range(4)]
    order = order_of(*entries)
    finish(*entries)
    assert offsets(order.take(3)[1]) == [0, 1, 2]
    assert offsets(order.take(3)[1]) == [3]


async def test_who_waits_for_a_source_makes_way_for_those_that_are_overdue() -> None:
    """It stays in work, and comes out when it is done; those behind the overdue one keep their turns."""
    entries = [make(number, waits=number != 2) for number in range(5)]
    order = order_of(*entries)
    finish(entries[2])
    assert not order.any_leaves
    finish(entries[2], overdue=True)
    late, in_turn = order.take(10)
    assert (late, offsets(in_turn)) == ([], [0, 1, 2])
    assert [isinstance(entry.leave(), Parked) for entry in in_turn] == [True, True, False]
    assert order.parked == entries[:2]
    assert all(entry.turn.late for entry in entries[:2])
    assert not order.any_leaves
    finish(entries[1])
    assert [offsets(taken) for taken in order.take(10)] == [[1], []]
    assert order.parked == entries[:1]


async def test_who_waits_for_a_source_that_failed_makes_way_at_once() -> None:
    """Nobody waits for a second attempt, but for another source's first one."""
    entries = [make(0, waits=True), make(1), make(2, waits=True), make(3)]
    order = order_of(*entries)
    entries[0].turn.source_failed = True
    finish(entries[1], entries[3])
    assert offsets(order.take(10)[1]) == [0, 1]
    assert order.parked == entries[:1]
    assert not order.any_leaves
    entries[2].turn.source_failed = True
    assert offsets(order.take(10)[1]) == [2, 3]


async def test_who_is_in_our_hands_makes_no_way() -> None:
    """What is decoded and inferred now is done soon: nobody overtakes it."""
    entries = [make(0, waits=True), make(1), make(2)]
    order = order_of(*entries)
    finish(entries[2], overdue=True)
    assert not order.any_leaves
    finish(entries[1])
    assert offsets(order.take(10)[1]) == [0, 1, 2]


async def test_who_needs_those_before_it_is_not_in_their_way() -> None:
    """A record that waits until its image's have left lets all be parked for who is overdue behind it."""
    entries = [make(0, waits=True), make(1), make(2)]
    order = order_of(*entries)
    entries[1].turn.awaits_predecessors = True
    finish(entries[2])
    assert not order.any_leaves
    finish(entries[2], overdue=True)
    assert offsets(order.take(10)[1]) == [0]
    assert not order.any_leaves
    entries[1].turn.awaits_predecessors = False
    finish(entries[1])
    assert offsets(order.take(10)[1]) == [1, 2]


async def test_a_crowd_of_slow_sources_makes_way() -> None:
    """Where all that is in work waits for sources, and others cannot begin, all of it is parked."""
    entries = [make(number, waits=True) for number in range(3)]
    order = order_of(*entries)
    assert not order.any_leaves
    order.starved = True
    entries[1].turn.go_on()
    assert not order.any_leaves
    entries[1].turn.wait_for_source(None)
    assert order.take(10)[1] == order.parked == entries


async def test_an_image_keeps_the_order_of_its_records() -> None:
    """What follows a parked record is parked as well, also when it is done, and waits for it."""
    entries = [make(0, "a", waits=True), make(1, "a"), make(2, "b"), make(3, "a")]
    order = order_of(*entries)
    finish(*entries[1:3], overdue=True)
    assert [entry.parked for entry in order.take(3)[1]] == [True, True, False]
    finish(entries[3])
    assert [entry.parked for entry in order.take(3)[1]] == [True]
    assert not order.any_leaves
    finish(entries[0])
    assert offsets(order.take(10)[0]) == [0, 1, 3]
    assert list(order) == []


async def test_a_retry_is_waited_for_by_nobody() -> None:
    """Once its source has failed, an upload does not hold back a newer one of its image."""
    order = Order()
    retried, newer = make(0, "a"), make(1, "a")
    order.add_late(retried)
    order.append(newer)
    finish(newer)
    assert [offsets(taken) for taken in order.take(10)] == [[], [1]]
    assert not newer.parked
    assert list(order) == [retried]


async def test_a_flood_of_late_records_leaves_by_and_by() -> None:
    """Beside others few of them leave at once; alone, as many as a transaction holds."""
    order = Order()
    for number in range(20):
        order.add_late(make(number))
    finish(*order)
    order.append(make(99))
    finish(*order)
    assert [len(taken) for taken in order.take(10)] == [4, 1]
    assert [len(taken) for taken in order.take(10)] == [10, 0]


async def test_late_records_that_wait_on_leave_at_once() -> None:
    """They have no counts that others would wait for."""
    order = Order()
    for number in range(20):
        order.add_late(make(number))
    finish(*list(order)[::2], outcome=WAITS_ON)
    finish(*order)
    order.append(make(99))
    finish(*order)
    late, _ = order.take(15)
    assert offsets(late) == sorted([*range(0, 20, 2), 1, 3, 5, 7])

    another = Order()
    for number in range(20):
        another.add_late(make(number))
    finish(*another, outcome=WAITS_ON)
    assert [len(taken) for taken in another.take(15)] == [15, 0]


async def test_slots_are_given_back_once() -> None:
    """Whoever is parked lets another record begin; its own end gives nothing back again."""
    slots = asyncio.Semaphore(0)
    entry = make(0)
    entry.slots = slots
    for _ in range(2):
        entry.give_slot_back()
    assert slots._value == 1


Steps = list[tuple[int, bool, bool]]


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    st.lists(st.tuples(st.integers(0, 11), st.booleans(), st.booleans()), max_size=60),
    st.integers(1, 5),
)
def test_each_record_comes_out_once_and_images_keep_their_order(
    images: list[str], steps: Steps, most: int
) -> None:
    """Law: whoever waits and whenever each is done, each outcome is given once, an image's in its order."""

    async def run() -> None:
        entries = [make(number, image) for number, image in enumerate(images)]
        order = order_of(*entries)
        given: list[int] = []

        def take() -> None:
            late, in_turn = order.take(most)
            given.extend(offsets(late) + offsets([entry for entry in in_turn if not entry.parked]))

        for place, waits, overdue in steps:
            entry = entries[place % len(entries)]
            if waits and not entry.done:
                entry.turn.waits, entry.turn.source_failed = not entry.turn.waits, overdue
            else:
                finish(entry, overdue=overdue, outcome=WAITS_ON if place % 3 else OUTCOME)
            take()
        finish(*entries, overdue=True)
        while order.any_leaves:
            take()
        assert sorted(given) == list(range(len(images)))
        for image in set(images):
            of_image = [number for number in given if images[number] == image]
            assert of_image == sorted(of_image)

    asyncio.run(run())
