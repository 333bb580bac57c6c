"""Much work in small pieces, so that the event loop gets its turns in between.

For what would take long in one go, and longer in a thread, where it has to fight for the interpreter.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from typing import TypeVar

TURN = 0.004  # seconds of work before the event loop gets a turn

T = TypeVar("T")


async def in_turns(items: Iterable[T], turn: float = TURN) -> AsyncIterator[T]:
    """Give one item after the other, and after so many seconds the event loop its turn.

    No turn comes between taking an item and giving it.
    """
    began = time.perf_counter()
    for item in items:
        yield item
        if time.perf_counter() - began > turn:
            await asyncio.sleep(0)
            began = time.perf_counter()
