import asyncio
import logging
import time

import pytest

from streams.telemetry.loop_watch import TELL_AFTER, LoopHeldError, LoopWatch


def burn(seconds: float) -> None:
    """Take CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


async def until_longer(watch: LoopWatch, seconds: float) -> None:
    async with asyncio.timeout(10):
        while watch.longest.seconds < seconds:
            await asyncio.sleep(0.01)


async def test_what_holds_the_loop_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """A loop that stands for longer than 0.2 s is a warning, with what it is at."""
    with LoopWatch() as watch, caplog.at_level(logging.WARNING):
        while not caplog.records:
            burn(2 * TELL_AFTER)
            await asyncio.sleep(0.01)
    assert watch.longest.cpu >= TELL_AFTER
    assert "in burn" in caplog.text


async def test_a_loop_that_waits_is_not_one_that_works() -> None:
    """What blocks without working is seen as well, and is no CPU time."""
    with LoopWatch() as watch:
        await asyncio.sleep(0.1)
        time.sleep(0.5)  # noqa: ASYNC251 - the fault that is to be seen
        await until_longer(watch, 0.3)
    assert watch.longest.cpu < 0.1


async def test_tests_fail_where_the_loop_is_held() -> None:
    """With a limit, whoever made the watch is told what was beyond it."""
    faults: list[LoopHeldError] = []
    with LoopWatch(0.05, faults.append):
        while not faults:
            burn(0.2)
            await asyncio.sleep(0.01)
    assert "more than 0.05" in str(faults[0])
    assert "in burn" in str(faults[0])


async def test_an_idle_loop_is_not_held() -> None:
    """Waiting is no fault, and the end waits for nothing."""
    faults: list[LoopHeldError] = []
    with LoopWatch(0.5, faults.append) as watch:
        await asyncio.sleep(0.3)
    assert not faults
    assert watch.longest.cpu < 0.5
