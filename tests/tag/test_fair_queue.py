"""The queue of the tagger's threads."""

import queue
import threading

import pytest

from streams.tag.fair_queue import FairQueue


def drain(items: FairQueue[int]) -> list[int]:
    found = []
    try:
        while True:
            found.append(items.get_nowait())
    except queue.Empty:
        return found


def test_one_lane_is_a_queue() -> None:
    """What comes first leaves first, in either lane."""
    for slow in (False, True):
        items = FairQueue[int]()
        for number in range(10):
            items.put(number, slow=slow)
        assert drain(items) == list(range(10))


def test_a_flood_in_the_slow_lane_delays_others_little() -> None:
    """Of five items one is from the slow lane, so that it does not starve either."""
    items = FairQueue[int]()
    for number in range(100):
        items.put(1000 + number, slow=True)
    for number in range(20):
        items.put(number)
    found = drain(items)
    fast = [place for place, item in enumerate(found) if item < 1000]
    assert fast[-1] <= 25
    assert [item for item in found if item < 1000] == list(range(20))
    assert [item for item in found if item >= 1000] == list(range(1000, 1100))


@pytest.mark.timeout(30)
def test_closing_lets_threads_go() -> None:
    """What was put in is given out; then each thread that waits gets None."""
    items = FairQueue[int]()
    found: list[int | None] = []
    threads = [threading.Thread(target=lambda: found.append(items.get())) for _ in range(3)]
    for thread in threads:
        thread.start()
    items.put(7)
    items.close()
    for thread in threads:
        thread.join()
    assert sorted(found, key=str) == [7, None, None]
