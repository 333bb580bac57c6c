"""Which uploads that wait are tried again when."""

import heapq
from typing import Any

import orjson

from streams.units.waiting_room import Load


class RetrySchedule:
    """Which rows of `retries` are due when.

    Attributes:
        waiting: Those that wait for that, or are in work as they were due.
        parked: Those of events that are in work for the first time.
    """

    def __init__(self) -> None:
        self.waiting = Load()
        self.parked = Load()
        self._counted: dict[str, tuple[Load, int]] = {}
        self._due: dict[str, int] = {}
        self._since: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    @property
    def oldest_since(self) -> int | None:
        """Since when the oldest of them all waits, milliseconds since the epoch; None: none does."""
        return min(self._since.values(), default=None)

    def note_parked(self, key: str, row: bytes | None) -> None:
        """Take note of the row of an event that is in work for the first time."""
        self._count(key, row, self.parked)
        self._date(key, None if row is None else orjson.loads(row))

    def note(self, key: str, row: bytes | None, now: int) -> None:
        """Take note of a row as it is at `now` (milliseconds); None: it is gone.

        A clock that was set back since the row was written makes nobody wait longer than was meant.
        """
        self._count(key, row, self.waiting)
        decoded = None if row is None else orjson.loads(row)
        self._date(key, decoded)
        if decoded is None:
            self._due.pop(key, None)
            return
        due = min(int(decoded["due"]), now + int(decoded.get("wait", decoded["due"])))
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))

    def take_due(self, now: int) -> str | None:
        """The key of a row that is due at `now` (milliseconds), and was not taken since it changed."""
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:
                return key
        return None

    def _date(self, key: str, row: dict[str, Any] | None) -> None:
        if row is None:
            self._since.pop(key, None)
        else:
            self._since[key] = int(row.get("since", row["due"]))

    def _count(self, key: str, row: bytes | None, load: Load) -> None:
        if key in self._counted:
            before, size = self._counted.pop(key)
            before.number, before.size = before.number - 1, before.size - size
        if row is not None:
            self._counted[key] = load, len(row)
            load.number, load.size = load.number + 1, load.size + len(row)
