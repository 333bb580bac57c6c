"""The queue of the tagger's threads: whose turn it is, dear items, memory."""

import queue
import threading

import pytest

from streams.tag.fair_queue import FairQueue, Share

GOOD, HOSTILE, LATE = Share("good", "a.test"), Share("hostile", "b.test"), Share("good", "a.test", late=True)


def drain(items: FairQueue[int]) -> list[int]:
    found = []
    try:
        while True:
            found.append(items.get_nowait())
    except queue.Empty:
        return found


def test_one_account_is_a_queue() -> None:
    """What comes first leaves first, prompt or late."""
    for share in (GOOD, LATE):
        items = FairQueue[int]()
        for number in range(10):
            items.put(number, share)
        assert drain(items) == list(range(10))


def test_a_flood_of_late_ones_delays_others_little() -> None:
    """Of five items one is late, so that neither starves."""
    items = FairQueue[int]()
    for number in range(100):
        items.put(1000 + number, LATE)
    for number in range(20):
        items.put(number, GOOD)
    found = drain(items)
    prompt = [place for place, item in enumerate(found) if item < 1000]
    assert prompt[-1] <= 26
    assert [item for item in found if item < 1000] == list(range(20))
    assert [item for item in found if item >= 1000] == list(range(1000, 1100))


def test_tenants_take_turns_by_cost() -> None:
    """A tenant that has many sources, each with many items, leaves others half of the time."""
    items = FairQueue[int]()
    for number in range(300):
        items.put(1000 + number, Share("hostile", f"{number % 100}.test"), cost=10)
    for number in range(30):
        items.put(number, GOOD, cost=30)
    found = drain(items)[:60]
    costs = sum(30 if item < 1000 else 0 for item in found), sum(10 if item >= 1000 else 0 for item in found)
    assert abs(costs[0] - costs[1]) <= 40


def test_sources_of_a_tenant_take_turns() -> None:
    """One source with a flood does not keep another one's items of the same tenant away."""
    items = FairQueue[int]()
    for number in range(100):
        items.put(1000 + number, Share("t", "flood.test"))
    items.put(1, Share("t", "other.test"))
    assert drain(items).index(1) <= 1


def test_what_turns_out_dear_is_paid_for() -> None:
    """Who says less than it costs waits afterwards; turns are not saved up."""
    items = FairQueue[int]()
    for number in range(10):
        items.put(1000 + number, HOSTILE)
        items.put(number, GOOD)
    assert items.get_nowait() >= 1000
    items.charge(HOSTILE, 5)
    assert [items.get_nowait() for _ in range(6)] == list(range(6))


def test_dear_items_have_so_many_lanes() -> None:
    """No more are worked on at once; others are taken meanwhile, and are older ones of a source first."""
    items = FairQueue[int](dear_at_once=1)
    for number in (1, 2):
        items.put_dear(number, HOSTILE, cost=1000, memory=0)
    items.put(3, HOSTILE)
    assert items.get() == 1
    assert items.get() == 3
    with pytest.raises(queue.Empty):
        items.get_nowait()
    items.finish_dear(0)
    assert items.get() == 2


def test_nobody_waits_for_memory_with_an_item_in_hand() -> None:
    """A dear item is given out once its memory is free, and none that needs memory overtakes it."""
    items = FairQueue[int](dear_at_once=8, memory=100)
    items.put_dear(1, GOOD, cost=1, memory=70)
    items.put_dear(2, GOOD, cost=1, memory=1_000)  # has all, if it needs more than there is
    items.put_dear(3, GOOD, cost=1, memory=10)
    assert items.get() == 1
    items.put(4, GOOD)
    assert items.get() == 4
    assert not items.take_memory(10), "it would overtake the second"
    items.finish_dear(70)
    assert items.get() == 2
    assert not items.take_memory(1)
    items.finish_dear(1_000)
    assert items.take_memory(90)
    assert items.get() == 3
    items.free_memory(90)


def test_dear_items_have_so_much_room() -> None:
    """What waits may have so many bytes; one may wait whatever it has."""
    items = FairQueue[int](room=10)
    assert items.put_dear(1, GOOD, cost=1, memory=0, size=50)
    assert not items.put_dear(2, HOSTILE, cost=1, memory=0, size=1)
    assert items.get() == 1
    assert items.put_dear(2, HOSTILE, cost=1, memory=0, size=6)
    assert items.put_dear(3, HOSTILE, cost=1, memory=0, size=4)
    assert not items.put_dear(4, HOSTILE, cost=1, memory=0, size=1)


@pytest.mark.timeout(30)
def test_closing_lets_threads_go() -> None:
    """What waits is handed back, and each thread gets None."""
    items = FairQueue[int](dear_at_once=0)
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(items.get())) for _ in range(3)]
    items.put_dear(7, GOOD, cost=1, memory=0)
    for thread in threads:
        thread.start()
    assert items.close() == [7]
    for thread in threads:
        thread.join()
    assert found == [None, None, None]
    with pytest.raises(RuntimeError):
        items.put(1)
