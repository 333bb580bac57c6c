"""Whose turn it is, by what their work cost so far: start-time fair queueing.

Each has a clock that goes by the cost of what was done for it, and the one whose clock is furthest behind is
served. A clock that stood still while others were served is put forward to theirs: nobody saves up turns.
(Goyal, Vin and Cheng, "Start-time Fair Queuing", 1996.)
"""

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

_MOST_IDLE = 200  # clocks of those who have nothing waiting


class Waits(Protocol):
    """What may have items waiting."""

    def has(self, *, prompt: bool, dear: bool) -> bool:
        """Whether it has any of these kinds."""


Each = TypeVar("Each", bound=Waits)


class Clocks(Generic[Each]):
    """Those who take turns, by name; they may be `Clocks` themselves."""

    def __init__(self) -> None:
        self._each: dict[str, Each] = {}
        self._clocks: dict[str, float] = {}
        self._served_at = 0.0

    def has(self, *, prompt: bool, dear: bool) -> bool:
        """Whether any has items of these kinds."""
        return any(each.has(prompt=prompt, dear=dear) for each in self._each.values())

    def get(self, name: str) -> Each | None:
        """The one with a name."""
        return self._each.get(name)

    def joining(self, name: str, make: Callable[[], Each]) -> Each:
        """The one with a name, who is about to get an item."""
        each = self._each.get(name)
        if each is None:
            self._forget_idle()
            each = self._each[name] = make()
        if not each.has(prompt=True, dear=True):
            self._clocks[name] = max(self._clocks.get(name, 0.0), self._served_at)
        return each

    def next(self, *, prompt: bool, dear: bool) -> str | None:
        """The name of the one whose turn it is, of those that have items of these kinds."""
        names = (name for name, each in self._each.items() if each.has(prompt=prompt, dear=dear))
        return min(names, key=self._clocks.__getitem__, default=None)

    def serve(self, name: str, cost: float) -> None:
        """Take note that an item of one is begun, and of what it costs."""
        self._served_at = max(self._served_at, self._clocks[name])
        self._clocks[name] += cost

    def charge(self, name: str, cost: float) -> None:
        """Take note that an item cost more than was said, or less."""
        if name in self._clocks:
            self._clocks[name] += cost

    def values(self) -> list[Each]:
        """All of them."""
        return list(self._each.values())

    def _forget_idle(self) -> None:
        if len(self._each) < _MOST_IDLE:
            return
        for name in [name for name, each in self._each.items() if not each.has(prompt=True, dear=True)]:
            del self._each[name], self._clocks[name]
