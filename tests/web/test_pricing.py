"""Questions cost what they take of the interpreter, in the event loop and in threads; waits cost nothing."""

import asyncio
import functools
import time

import pytest

from streams.web.access.pricing import CREDIT, Cost, Priced, Purse, off_loop
from streams.web.access.query_gate import QueryGate
from streams.web.access.refusals import BusyError

GREEDY, MODEST = "greedy", "modest"


def burn(seconds: float) -> str:
    """Take CPU time."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
    return "burnt"


async def test_what_questions_cost() -> None:
    """Each part between two waits counts, and what is done in threads; waits do not."""
    cost = Cost()

    async def work() -> str:
        burn(0.05)
        await asyncio.sleep(0.2)
        burn(0.05)
        return await off_loop(burn, 0.1)

    assert await Priced(work(), cost) == "burnt"
    assert 0.2 <= cost.seconds < 0.3


async def test_questions_compute_one_at_a_time() -> None:
    """Threads would share one interpreter, and the event loop would have to win it back from each of them."""
    gate, most, at_work = QueryGate(8, 10), list[int](), set[int]()

    def compute(number: int) -> None:
        at_work.add(number)
        most.append(len(at_work))
        burn(0.005)
        at_work.discard(number)

    await asyncio.gather(*(gate.run(functools.partial(off_loop, compute, number)) for number in range(8)))
    assert most == [1] * 8


async def test_questions_that_fail_and_those_that_are_given_up() -> None:
    """An error comes out as it was, a cancellation reaches the work, and both have cost something."""
    cost, ended = Cost(), asyncio.Event()

    async def fail() -> None:
        burn(0.02)
        await asyncio.sleep(0)
        raise ValueError("koala")

    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            burn(0.02)
            ended.set()

    with pytest.raises(ValueError, match="koala"):
        await Priced(fail(), cost)

    async def ask() -> None:
        await Priced(never(), cost)

    task = asyncio.create_task(ask())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert cost.seconds >= 0.04


async def test_a_caller_waits_for_what_its_questions_cost() -> None:
    """After half a second's worth of work at once each waits; others' questions are answered at once."""
    gate = QueryGate(8, 10, Purse(0.5))

    async def work() -> float:
        await off_loop(burn, 0.1)
        return time.monotonic()

    began = time.monotonic()
    greedy = [asyncio.create_task(gate.run(work, GREEDY)) for _ in range(16)]
    await asyncio.wait(greedy, return_when=asyncio.FIRST_COMPLETED)
    modest = await gate.run(work, MODEST) - began
    ended = max(await asyncio.gather(*greedy)) - began
    # Eight at once beyond the credit are four questions in work, whose cost nobody knew before.
    assert ended >= (16 * 0.1 - CREDIT - 4 * 0.1) / 0.5
    assert modest < ended
    await gate.close()


async def test_without_a_name_or_a_limit_nobody_waits() -> None:
    """Where no tokens are needed there is nobody to tell apart; an operator may set no limit."""
    cost = Cost()
    cost.seconds = 100.0
    for purse, caller in ((Purse(0.1), ""), (Purse(0), GREEDY)):
        purse.spend(caller, cost)
        assert purse.wait(caller) == 0


async def test_who_waits_too_long_is_told_to_come_back() -> None:
    """The wait is part of a question's time."""
    gate = QueryGate(2, 2.0, Purse(0.01))

    async def dear() -> str:
        return burn(0.6)

    await gate.run(dear, GREEDY)
    with pytest.raises(BusyError):
        await gate.run(dear, GREEDY)
    await gate.close()


def test_what_is_spent_is_made_up_for_as_time_goes_by() -> None:
    """A share of a quarter: a second of work is made up for in four."""
    now = 0.0
    purse, cost = Purse(0.25, lambda: now), Cost()
    cost.seconds = 1.0
    purse.spend(GREEDY, cost)
    assert purse.wait(GREEDY) == pytest.approx(4 - CREDIT / 0.25)
    now = 3.0
    assert purse.wait(GREEDY) == 0
    purse.spend(GREEDY, cost)
    assert purse.wait(GREEDY) == pytest.approx(4 + 4 - CREDIT / 0.25 - 3)
