"""What a question costs: the time for which it has the interpreter, in the event loop and in threads.

Waiting costs nothing. Each next question of a caller waits until what the last ones cost is made up for.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Generator
from contextvars import ContextVar
from typing import Any, Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")
CREDIT = 0.5  # seconds of the interpreter that a caller who has not asked for a while may take at once


class Cost:
    """What a question costs.

    Attributes:
        seconds: CPU time so far.
        turn: Held while a thread computes for it: several would share one interpreter, and the event loop
            would have to win it back from each of them.
    """

    __slots__ = ("seconds", "turn")

    def __init__(self, turn: asyncio.Semaphore | None = None) -> None:
        self.seconds = 0.0
        self.turn = turn or asyncio.Semaphore(1)


_cost: ContextVar[Cost | None] = ContextVar("cost", default=None)


class Priced(Awaitable[T], Generic[T]):
    """Work whose time in the event loop, and in threads of `off_loop`, is added up."""

    def __init__(self, work: Awaitable[T], cost: Cost) -> None:
        self._work = work
        self._cost = cost

    def __await__(self) -> Generator[Any, Any, T]:
        """Drive the work step by step, as the event loop would."""
        token = _cost.set(self._cost)
        steps = self._work.__await__()
        answer, error = None, None
        try:
            while True:
                began = time.thread_time()
                try:
                    waited = steps.throw(error) if error is not None else steps.send(answer)
                except StopIteration as end:
                    return cast("T", end.value)
                finally:
                    self._cost.seconds += time.thread_time() - began
                answer, error = None, None
                try:
                    answer = yield waited
                except BaseException as caught:  # noqa: BLE001 - a cancellation is the work's, too
                    error = caught
        finally:
            _cost.reset(token)


async def off_loop(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Do what takes milliseconds in a thread, at the expense of the question that it is for, in its turn."""
    cost = _cost.get() or Cost()
    async with cost.turn:
        return await asyncio.to_thread(_at_expense, cost, lambda: work(*args, **kwargs))


def _at_expense(cost: Cost, work: Callable[[], T]) -> T:
    began = time.thread_time()
    try:
        return work()
    finally:
        cost.seconds += time.thread_time() - began


class Purse:
    """What callers may still spend: so much of each second, and some at once."""

    def __init__(self, share: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare.

        Args:
            share: Seconds of CPU time per second that one caller's questions may take; 0: no limit.
            clock: Gives seconds; it never goes back.
        """
        self._share = share
        self._clock = clock
        self._even_at: dict[str, float] = {}  # when what a caller has spent is made up for

    def wait(self, caller: str) -> float:
        """Give the seconds until a caller may ask again; callers without a name are not told apart."""
        if not self._share or not caller:
            return 0.0
        return max(self._even_at.get(caller, 0.0) - CREDIT / self._share - self._clock(), 0.0)

    def spend(self, caller: str, cost: Cost) -> None:
        """Take what a question cost."""
        if self._share and caller:
            now = self._clock()
            self._even_at[caller] = max(self._even_at.get(caller, now), now) + cost.seconds / self._share
