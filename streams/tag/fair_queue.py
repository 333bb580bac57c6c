"""A queue with a slow lane: when both lanes are full, most items come from the other one, but not all."""

import queue
import threading
from collections import deque
from typing import Generic, TypeVar

Item = TypeVar("Item")

_RATIO = 4  # items of the fast lane for each one of the slow lane, where there are such


class FairQueue(Generic[Item]):
    """A queue for threads. Each lane keeps its order, and neither starves."""

    def __init__(self) -> None:
        self._fast: deque[Item] = deque()
        self._slow: deque[Item] = deque()
        self._since_slow = 0
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._fast) + len(self._slow)

    def put(self, item: Item, *, slow: bool = False) -> None:
        """Add an item."""
        with self._changed:
            (self._slow if slow else self._fast).append(item)
            self._changed.notify()

    def close(self) -> None:
        """Let those that wait for an item go when none is left."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def get(self) -> Item | None:
        """Wait for an item; None: the queue is closed, and empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._fast or self._slow or self._closed)
            return self._next() if self._fast or self._slow else None

    def get_nowait(self) -> Item:
        """Remove and return an item.

        Raises:
            queue.Empty: There is none.
        """
        with self._changed:
            if not (self._fast or self._slow):
                raise queue.Empty
            return self._next()

    def _next(self) -> Item:
        if self._slow and (not self._fast or self._since_slow >= _RATIO):
            self._since_slow = 0
            return self._slow.popleft()
        self._since_slow += 1
        return self._fast.popleft()
