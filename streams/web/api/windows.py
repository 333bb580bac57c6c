"""Windows: stretches of event time that questions name, and the buckets that make them up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from schemas.answers.trends import Window
from schemas.times import utc_datetime
from streams.fold.rows import ALL, WINDOW_SECONDS, bucket_start
from streams.state.trends.buckets import ALL_TIME, Bucket
from streams.web.api.parameters import Kind

MINUTE, HOUR, DAY = (WINDOW_SECONDS[step] for step in ("minute", "hour", "day"))
_LONGEST_FIRST = (("day", DAY), ("hour", HOUR), ("minute", MINUTE))
ROLLING = {"1h": ("minute", 60), "24h": ("hour", 24), "7d": ("hour", 168), "30d": ("day", 30)}
_LITERAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2})?$"
_LITERALS = {len("2026-11-24"): ("%Y-%m-%d", "day"), len("2026-11-24T10"): ("%Y-%m-%dT%H", "hour")}
_INNER = {"hour": "minute", "day": "hour"}  # steps of an hour, of a day


@dataclass(frozen=True)
class Span:
    """A stretch of event time, in seconds since the epoch; `end` is the first second after it.

    Attributes:
        step: What it is told in where no step is asked for: minute, hour or day.
    """

    name: str
    start: int
    end: int
    step: str

    @property
    def is_all(self) -> bool:
        """Tell whether it has neither beginning nor end."""
        return self.name == ALL

    @property
    def seconds(self) -> int:
        """Give its length."""
        return self.end - self.start

    def buckets(self) -> list[Bucket]:
        """Give the fewest buckets that cover it exactly: whole days and hours where they fit."""
        return [ALL_TIME] if self.is_all else list(_cover(self.start, self.end))

    def steps(self, step: str) -> Iterator["Span"]:
        """Cut it at the multiples of a step; its edges may cut the first and the last shorter."""
        length = WINDOW_SECONDS[step]
        for start in range(self.start // length * length, self.end, length):
            yield Span(step, max(start, self.start), min(start + length, self.end), self.step)

    def until(self, now: float) -> "Span":
        """Give the part of it that is over by `now`, at least one second long."""
        return Span(self.name, self.start, max(min(self.end, int(now)), self.start + 1), self.step)

    def before(self, seconds: int, name: str, step: str) -> "Span":
        """Give the stretch of so many seconds before it, begun earlier so as to start with a whole step."""
        length = WINDOW_SECONDS[step]
        return Span(name, (self.start - seconds) // length * length, self.start, step)

    def as_answered(self) -> Window:
        """Give it as answers do."""
        if self.is_all:
            return Window(self.name, None, None)
        return Window(self.name, utc_datetime(self.start * 1000), utc_datetime(self.end * 1000))


def _cover(start: int, end: int) -> Iterator[Bucket]:
    while start < end:
        for window, length in _LONGEST_FIRST:
            if start % length == 0 and start + length <= end:
                yield Bucket(window, start)
                start += length
                break


@dataclass(frozen=True)
class AskedWindow:
    """A window as it was asked for; what it spans depends on the time."""

    name: str

    def span(self, now: float) -> Span:
        """Give what it spans at `now`, in seconds since the epoch; a rolling window includes `now`."""
        if self.name == ALL:
            return Span(ALL, 0, 0, "day")
        if self.name in ROLLING:
            step, number = ROLLING[self.name]
            end = bucket_start(step, int(now) * 1000) + WINDOW_SECONDS[step]
            return Span(self.name, end - number * WINDOW_SECONDS[step], end, step)
        start, step = _literal(self.name)
        return Span(self.name, start, start + WINDOW_SECONDS[step], _INNER[step])


def _literal(text: str) -> tuple[int, str]:
    if not re.fullmatch(_LITERAL, text):
        raise ValueError(text)
    form, step = _LITERALS[len(text)]
    return int(datetime.strptime(text, form).replace(tzinfo=UTC).timestamp()), step


def window_kind(*, with_all: bool, words: tuple[str, ...] = ()) -> Kind[AskedWindow]:
    """Make the kind of a window.

    Args:
        with_all: Whether `all` will do.
        words: Further words that the caller understands.
    """
    named = (*ROLLING, *([ALL] if with_all else []), *words)

    def parse(text: str) -> AskedWindow:
        if text not in named:
            _literal(text)
        return AskedWindow(text)

    schema = {
        "type": "string",
        "anyOf": [{"enum": list(named)}, {"pattern": _LITERAL}],
    }
    rule = f"one of {', '.join(named)}, or an hour or day in UTC such as 2026-11-24T10 or 2026-11-24"
    return Kind(parse, rule, "24h", schema)
