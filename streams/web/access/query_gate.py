"""How much is worked on at once. A question that is given up holds its place until it really ends.

No caller with a token has more than half of the places, in work and in all, nor more than a share of the
interpreter's time: what one of them asks, however much and however slow, leaves room for the others, and for
tagging. Where nobody needs a token there is nobody to tell apart.
"""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from streams.web.access.pricing import Cost, Priced, Purse
from streams.web.access.refusals import BusyError

log = logging.getLogger(__name__)

T = TypeVar("T")
QUEUE = 4  # questions that may wait, for each one in work


class _Share:
    """What one caller has of the places.

    Attributes:
        most: Its questions in work or waiting at once.
        held: Those that there are.
        places: Its questions in work.
    """

    def __init__(self, in_work: int, most: int) -> None:
        self.most = most
        self.held = 0
        self.places = asyncio.Semaphore(in_work)


class QueryGate:
    """Lets so many questions be worked on, some wait, and sends the others away."""

    def __init__(self, most: int, seconds: float, purse: Purse | None = None) -> None:
        """Prepare.

        Args:
            most: Questions in work at once.
            seconds: How long one may take, its wait included.
            purse: What callers may spend; None: as much as they like.
        """
        self._purse = purse or Purse(0)
        self._most = most
        self._room = most * (1 + QUEUE)
        self._seconds = seconds
        self._places = asyncio.Semaphore(most)
        self._turn = asyncio.Semaphore(1)  # of those in work, to compute in a thread
        self._tasks: set[asyncio.Task[Any]] = set()
        self._shares: dict[str, _Share] = {}  # of callers that have questions here

    async def run(self, work: Callable[[], Awaitable[T]], caller: str = "") -> T:
        """Do the work when there is a place for it.

        Args:
            work: What to do.
            caller: The name of whoever asks; empty: somebody without a token.

        Raises:
            BusyError: Too many wait already, of all callers or of this one, or the work takes too long.
        """
        share = self._shares.get(caller) or self._new_share(caller)
        self._check_room(share)
        started = asyncio.Event()
        task = asyncio.create_task(self._in_turn(work, share, caller, started))
        self._tasks.add(task)
        self._shares[caller] = share
        share.held += 1
        task.add_done_callback(functools.partial(self._end, caller))
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

    def _new_share(self, caller: str) -> _Share:
        return _Share(max(self._most // 2, 1), self._room // 2) if caller else _Share(self._most, self._room)

    def _check_room(self, share: _Share) -> None:
        if len(self._tasks) >= self._room:
            message = f"{len(self._tasks)} questions are in work or wait; ask again in a second"
            raise BusyError("busy", message)
        if share.held >= share.most:
            message = f"{share.held} of your questions are in work or wait; ask again when some are answered"
            raise BusyError("busy", message)

    def _end(self, caller: str, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        self._shares[caller].held -= 1
        if self._shares[caller].held == 0:
            del self._shares[caller]

    async def _in_turn(
        self, work: Callable[[], Awaitable[T]], share: _Share, caller: str, started: asyncio.Event
    ) -> T:
        # Its own place first: what waits for the caller's own questions is in nobody's way.
        async with share.places:
            while seconds := self._purse.wait(caller):  # noqa: ASYNC110 - it is known how long
                await asyncio.sleep(seconds)
            async with self._places:
                started.set()
                cost = Cost(self._turn)
                try:
                    return await Priced(work(), cost)
                finally:
                    self._purse.spend(caller, cost)

    def _give_up(self, task: asyncio.Task[Any], in_work: bool) -> None:  # noqa: FBT001 - one caller
        # A thread cannot be cancelled: its place is free when it ends, or threads would pile up.
        if in_work:
            task.add_done_callback(_forget)
        else:
            task.cancel()


def _forget(task: asyncio.Task[Any]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.warning("a question that was given up failed: %r", task.exception())
