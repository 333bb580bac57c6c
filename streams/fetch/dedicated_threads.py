"""Calls that nothing can cancel, each in a thread that nobody else needs.

In asyncio's own few threads, one that hangs would stop whatever else runs there, and keep the process from
ending.
"""

import asyncio
import contextlib
import errno
import functools
import threading
from collections.abc import Callable
from typing import TypeVar

_Result = TypeVar("_Result")


class DedicatedThreads:
    """Runs at most `limit` calls at once, those that nobody waits for any more included."""

    def __init__(self, limit: int) -> None:
        self._free = asyncio.Semaphore(limit)

    async def run(self, call: Callable[[], _Result]) -> _Result:
        """Return what a call returns, or raise what it raises.

        Raises:
            OSError: The machine has no thread left.
        """
        await self._free.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_Result] = loop.create_future()

        def settle(finish: Callable[[], None]) -> None:
            self._free.release()
            if not answer.done():  # otherwise it was cancelled meanwhile
                finish()

        def work() -> None:
            finish: Callable[[], None]
            try:
                finish = functools.partial(answer.set_result, call())
            except Exception as error:  # noqa: BLE001 - whoever asked decides what it means
                finish = functools.partial(answer.set_exception, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(settle, finish)

        try:
            threading.Thread(target=work, daemon=True).start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(errno.EAGAIN, str(error)) from error
        return await answer
