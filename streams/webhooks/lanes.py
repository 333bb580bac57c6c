"""Whose turn it is: the pending notifications of a partition, each behind the earlier ones of its asset.

A lane is what one asset has for one receiver; only its first notification is ever on its way. A receiver is
a host as one cloud knows it: clouds share neither room nor faults there. One that has not answered yet, or
failed the last time, gets one request at a time: those that hang are in nobody's way.
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from streams.webhooks.rows import PendingRow, encode

LaneKey = tuple[str, str, str]
_SHOWN = 200
_BACK_EVERY = 60.0  # seconds
_REMEMBERED = 1000  # receivers for which nothing waits


@dataclass(frozen=True)
class Room:
    """How much may wait in a partition.

    Attributes:
        per_receiver: Most notifications for one receiver; beyond, a new one is a dead letter at once.
        rows: Most of all; beyond, those of a receiver that does not take any are dead letters at once, and
            reading waits for the others.
        size: The same in bytes.
        at_once: Most requests under way to a receiver that takes them.
    """

    per_receiver: int = 10_000
    rows: int = 40_000
    size: int = 32_000_000
    at_once: int = 8


@dataclass
class _Lane:
    rows: deque[PendingRow] = field(default_factory=deque)
    attempts: int = 0


@dataclass
class _Receiver:
    """What is known of a receiver.

    Attributes:
        ready: Lanes whose next notification may be sent.
        put_off: Lanes whose next notification waits, with the time until which it does.
        waiting: Notifications for it.
        answers: Whether it took the last one.
        back_at: When it was last found to be back.
    """

    ready: deque[LaneKey] = field(default_factory=deque)
    put_off: dict[LaneKey, float] = field(default_factory=dict)
    under_way: int = 0
    waiting: int = 0
    answers: bool = False
    back_at: float | None = None


class Turn(NamedTuple):
    """A notification to be sent now, and how often it failed before."""

    row: PendingRow
    attempts: int


class Lanes:
    """All that is pending in a partition. Times are in seconds, of a clock that never goes back."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lanes: dict[LaneKey, _Lane] = {}
        self._receivers: dict[str, _Receiver] = {}
        self._offering: OrderedDict[str, None] = OrderedDict()  # receivers that have a turn to give
        self._due: list[tuple[float, LaneKey]] = []
        self._ages: list[tuple[int, int]] = []  # a heap of when rows were made, with their numbers
        self._pending: set[int] = set()  # the numbers of those that are not settled
        self._rows = self._size = 0

    def __len__(self) -> int:
        return self._rows

    @property
    def oldest_since(self) -> int | None:
        """When the oldest notification that waits was made, milliseconds since the epoch.

        Any thread may ask.
        """
        oldest = self._ages[:1]
        return oldest[0][0] if oldest else None

    @property
    def must_drain(self) -> bool:
        """Whether no more should be read until some are taken."""
        return self._is_full and any(each.answers and each.waiting for each in self._receivers.values())

    def has_room_for(self, row: PendingRow) -> bool:
        """Whether a notification may wait; otherwise it is a dead letter at once."""
        if self._rows >= 2 * self._room.rows or self._size >= 2 * self._room.size:
            return False
        receiver = self._receivers.get(_receiver(row.lane))
        if receiver is None or not receiver.waiting:
            return True
        return receiver.waiting < self._room.per_receiver and (receiver.answers or not self._is_full)

    @property
    def _is_full(self) -> bool:
        return self._rows >= self._room.rows or self._size >= self._room.size

    def add(self, row: PendingRow) -> None:
        """Let a notification wait for its turn."""
        lane = self._lanes.setdefault(row.lane, _Lane())
        lane.rows.append(row)
        self._pending.add(row.sequence)
        heapq.heappush(self._ages, (row.since, row.sequence))
        self._count(row, 1)
        if len(lane.rows) == 1:
            self._offer(row.lane)

    def next(self, now: float) -> Turn | None:
        """Take the next turn; None: nobody has one now."""
        while self._due and self._due[0][0] <= now:
            until, key = heapq.heappop(self._due)
            receiver = self._receivers.get(_receiver(key))
            if receiver is not None and receiver.put_off.get(key) == until:  # else it came back meanwhile
                del receiver.put_off[key]
                self._offer(key)
        if not self._offering:
            return None
        name, _ = self._offering.popitem(last=False)
        receiver = self._receivers[name]
        key = receiver.ready.popleft()
        receiver.under_way += 1
        self._note(name)
        lane = self._lanes[key]
        return Turn(lane.rows[0], lane.attempts)

    def due_in(self, now: float) -> float | None:
        """Seconds until another turn may come by itself; None: only by what others do."""
        return max(self._due[0][0] - now, 0.0) if self._due else None

    def answered(self, row: PendingRow, now: float) -> None:
        """Take note that a receiver took a notification, before that is committed.

        Where it took none before, it is back: what waits for another try needs to wait no longer. Only now
        and then: one that takes some assets and fails on others is not back with each that it takes.
        """
        receiver = self._receivers[_receiver(row.lane)]
        was_away, receiver.answers = not receiver.answers, True
        if was_away and receiver.put_off and (receiver.back_at or now - _BACK_EVERY) <= now - _BACK_EVERY:
            receiver.back_at = now
            waiting = list(receiver.put_off)
            receiver.put_off.clear()
            for key in waiting:
                self._offer(key)

    def settle(self, rows: Iterable[PendingRow]) -> None:
        """Let the next ones of their lanes have their turns."""
        for row in rows:
            lane = self._lanes[row.lane]
            lane.rows.popleft()
            lane.attempts = 0
            self._pending.discard(row.sequence)
            self._leave(row)
            self._count(row, -1)
            if lane.rows:
                self._offer(row.lane)
            else:
                del self._lanes[row.lane]
        while self._ages and self._ages[0][1] not in self._pending:
            heapq.heappop(self._ages)

    def put_off(self, row: PendingRow, until: float, *, failed: bool) -> None:
        """Let a notification wait, since its receiver failed, or was not asked."""
        lane = self._lanes[row.lane]
        lane.attempts += failed
        if failed:
            self._receivers[_receiver(row.lane)].answers = False
        self._leave(row)
        self._receivers[_receiver(row.lane)].put_off[row.lane] = until
        heapq.heappush(self._due, (until, row.lane))

    def _offer(self, key: LaneKey) -> None:
        name = _receiver(key)
        self._receivers.setdefault(name, _Receiver()).ready.append(key)
        self._note(name)

    def _leave(self, row: PendingRow) -> None:
        name = _receiver(row.lane)
        receiver = self._receivers[name]
        receiver.under_way -= 1
        self._note(name)

    def _note(self, name: str) -> None:
        receiver = self._receivers[name]
        most = self._room.at_once if receiver.answers else 1
        if receiver.ready and receiver.under_way < most:
            self._offering.setdefault(name)
        else:
            self._offering.pop(name, None)

    def _count(self, row: PendingRow, change: int) -> None:
        self._rows += change
        self._size += change * len(encode(row))
        name = _receiver(row.lane)
        receiver = self._receivers.setdefault(name, _Receiver())
        receiver.waiting += change
        if not receiver.waiting and len(self._receivers) > _REMEMBERED:
            self._forget()

    def _forget(self) -> None:
        idle = [name for name, each in self._receivers.items() if not each.waiting and not each.under_way]
        for name in idle:
            del self._receivers[name]


def _receiver(lane: LaneKey) -> str:
    """Who is behind a lane: what one cloud does to a host is in no other cloud's way."""
    cloud, _, url = lane
    return f"{cloud} {receiver_of(url)}"


def receiver_of(url: str) -> str:
    """Who is behind an address: all that has the same host and port."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower() or url[:_SHOWN]
    except ValueError:
        return url[:_SHOWN]
