"""How much is worked on at once. A question that is given up holds its place until it really ends."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from streams.access.refusals import BusyError

log = logging.getLogger(__name__)

T = TypeVar("T")
QUEUE = 4  # questions that may wait, for each one in work


class QueryGate:
    """Lets so many questions be worked on, some wait, and sends the others away."""

    def __init__(self, most: int, seconds: float) -> None:
        """Prepare.

        Args:
            most: Questions in work at once.
            seconds: How long one may take, its wait included.
        """
        self._most = most
        self._seconds = seconds
        self._places = asyncio.Semaphore(most)
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work when there is a place for it.

        Raises:
            BusyError: Too many wait already, or the work takes too long.
        """
        if len(self._tasks) >= self._most * (1 + QUEUE):
            message = f"{len(self._tasks)} questions are in work or wait; ask again in a second"
            raise BusyError("busy", message)
        started = asyncio.Event()
        task = asyncio.create_task(self._in_turn(work, started))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.wait({task}, timeout=self._seconds)
        if task.done():
            return task.result()
        self._give_up(task, started.is_set())
        message = f"no answer after {self._seconds:g} s; ask for less, or later"
        raise BusyError("query_timeout", message)

    async def close(self) -> None:
        """End what is in work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _in_turn(self, work: Callable[[], Awaitable[T]], started: asyncio.Event) -> T:
        async with self._places:
            started.set()
            return await work()

    def _give_up(self, task: asyncio.Task[Any], in_work: bool) -> None:  # noqa: FBT001 - one caller
        # A thread cannot be cancelled: its place is free when it ends, or threads would pile up.
        if in_work:
            task.add_done_callback(_forget)
        else:
            task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("a question that was given up failed: %r", task.exception())
