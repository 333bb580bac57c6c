"""Windows of which rises are told: how long, judged how often, and what they are held against."""

from typing import NamedTuple

from streams.fold.rows import WINDOW_SECONDS

_HOUR = WINDOW_SECONDS["hour"]


class Window(NamedTuple):
    """What is counted at a step, and what that is held against.

    Attributes:
        name: As it is told.
        step: Its buckets: minute or hour. Each end of one is a step.
        number: How many of them.
        hours: Hours of the baseline before it.
    """

    name: str
    step: str
    number: int
    hours: int

    @property
    def step_seconds(self) -> int:
        """Seconds from one step to the next."""
        return WINDOW_SECONDS[self.step]

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.step_seconds * self.number

    def starts(self, moment: int) -> range:
        """Where its buckets start, if it ends at a step."""
        return range(moment - self.seconds, moment, self.step_seconds)

    def baseline(self, moment: int, first: int | None) -> tuple[range, int]:
        """Where the hours before it start, and how many seconds they are.

        Args:
            moment: The step.
            first: Where counts begin: what was before is unknown. None: there are none.
        """
        end = (moment - self.seconds) // _HOUR * _HOUR
        start = min(max(end - self.hours * _HOUR, end if first is None else first), end)
        return range(start // _HOUR * _HOUR, end, _HOUR), end - start


WINDOWS = {"1h": Window("1h", "minute", 60, 24), "24h": Window("24h", "hour", 24, 168)}
