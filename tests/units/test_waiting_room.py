import asyncio
import logging
import time

import pytest

from streams.units.waiting_room import MAX_BYTES, Load, WaitingRoom


class Waiting:
    """So many events wait, with so many bytes, at a time that the test decides."""

    def __init__(self, most: int = 10) -> None:
        self.load = Load()
        self.now = 100.0
        self.room = WaitingRoom(7, most, self.load, lambda: self.now)

    def passes(self, seconds_ago: float = 0) -> None:
        self.room.note_success(self.now - seconds_ago)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


@pytest.mark.parametrize(("number", "size"), [(10, 0), (0, MAX_BYTES)])
def test_what_fails_is_given_up_only_if_others_get_through(waiting: Waiting, number: int, size: int) -> None:
    """What got through before the room was full proves nothing, nor does what was long ago."""
    waiting.passes()
    waiting.load.add(number, size)
    assert not waiting.room.turns_away
    waiting.now += 1
    waiting.passes(2)
    assert not waiting.room.turns_away
    waiting.passes()
    assert waiting.room.turns_away
    waiting.now += 10
    assert not waiting.room.turns_away


def test_where_twice_as_many_wait_none_begins_to(waiting: Waiting) -> None:
    """Memory is bounded, whatever else happens; who waits already waits on."""
    waiting.load.number = 19
    assert not waiting.room.is_full
    waiting.load.number = 20
    assert waiting.room.is_full
    assert not waiting.room.turns_away


async def test_intake_is_slowest_where_twice_as_many_wait(
    waiting: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One event a minute becomes a dead letter at most."""
    monkeypatch.setattr("streams.units.waiting_room._POLL", 0.001)
    for number, seconds in ((10, 5), (20, 60)):
        waiting.load.number = number
        entering = asyncio.ensure_future(waiting.room.enter())
        await asyncio.sleep(0.01)
        waiting.now += seconds - 1
        await asyncio.sleep(0.02)
        assert not entering.done()
        waiting.now += 1
        await entering


def test_a_room_that_is_almost_full_needs_no_new_proof(waiting: Waiting) -> None:
    """Places that come and go change nothing; with a fifth of them free the room is as new."""
    waiting.load.number = 10
    assert not waiting.room.turns_away
    waiting.now += 1
    waiting.passes()
    for number, turns_away in ((10, True), (9, False), (10, True), (7, False), (10, False)):
        waiting.load.number = number
        assert waiting.room.turns_away == turns_away


async def test_uploads_enter_one_after_the_other(waiting: Waiting, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many are there when nothing gets through, one of them finds out at a time."""
    monkeypatch.setattr("streams.units.waiting_room._POLL", 0.001)
    waiting.load.number = 10
    entering = [asyncio.ensure_future(waiting.room.enter()) for _ in range(3)]
    await asyncio.sleep(0.01)
    for entered in range(1, 4):
        waiting.now += 5
        await entering[entered - 1]
        await asyncio.sleep(0.02)
        assert sum(each.done() for each in entering) == entered


async def test_intake_is_slow_until_something_gets_through(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It never stops for good: the upload that comes finds out whether others get through."""
    caplog.set_level(logging.WARNING)
    monkeypatch.setattr("streams.units.waiting_room._SLOW", 0.2)
    monkeypatch.setattr("streams.units.waiting_room._POLL", 0.001)
    waiting = Waiting()
    waiting.room._clock = time.monotonic
    await waiting.room.enter()
    waiting.load.number = 10
    started = time.monotonic()
    await waiting.room.enter()
    assert time.monotonic() - started >= 0.2
    entering = asyncio.ensure_future(waiting.room.enter())
    await asyncio.sleep(0.01)
    assert not entering.done()
    waiting.room.note_success(time.monotonic())
    await entering
    waiting.load.number = 0
    await waiting.room.enter()
    assert [record.getMessage().partition("; ")[2] for record in caplog.records] == [
        "sources are asked slowly, as little gets through",
        "what fails now is given up, as others get through",
        "there is room again",
    ]
