"""Windows: stretches of event time that questions name, and the buckets that make them up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from schemas.answers.trends import Window
from schemas.times import utc_datetime
from streams.fold.rows import ALL, WINDOW_SECONDS, bucket_start
from streams.state.trends.buckets import ALL_TIME, Bucket
from streams.web.access.errors import BadQuestionError
from streams.web.api.kinds.moments import length_of
from streams.web.api.parameters import Kind

MINUTE, HOUR, DAY = (WINDOW_SECONDS[step] for step in ("minute", "hour", "day"))
_LONGEST_FIRST = (("day", DAY), ("hour", HOUR), ("minute", MINUTE))
ROLLING = {"1h": ("minute", 60), "24h": ("hour", 24), "7d": ("hour", 168), "30d": ("day", 30)}
_LITERAL = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2})?$"
_LITERALS = {len("2026-11-24"): ("%Y-%m-%d", "day"), len("2026-11-24T10"): ("%Y-%m-%dT%H", "hour")}
_MINUTES_UP_TO, _HOURS_UP_TO = 6 * HOUR, 14 * DAY
_LAST_MS = 253_402_300_800_000  # the year 10000
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
        if (seconds := length_of(self.name)) is not None:
            step = _step_of(seconds)
            end = bucket_start(step, int(now) * 1000) + WINDOW_SECONDS[step]
            return Span(self.name, end - seconds, end, step)
        start, step = _literal(self.name)
        return Span(self.name, start, start + WINDOW_SECONDS[step], _INNER[step])


class AskedStretch(Protocol):
    """A question about a window, or about a range that takes its place."""

    @property
    def window(self) -> AskedWindow:
        """Give the window."""

    @property
    def from_(self) -> int | None:
        """Give where the range begins."""

    @property
    def since(self) -> int | None:
        """Give the same by its other name."""

    @property
    def to(self) -> int | None:
        """Give where the range ends."""


@dataclass(frozen=True, kw_only=True)
class AskedRange:
    """A stretch between two moments, in milliseconds since the epoch.

    Attributes:
        since: Where it begins.
        until: Where it ends; None: now.
    """

    since: int
    until: int | None = None

    def span(self, now: float) -> Span:
        """Give what it spans: whole minutes, all that the two moments touch."""
        start = self.since // 1000 // MINUTE * MINUTE
        last = int(now) if self.until is None else -(-self.until // 1000)
        end = max(-(-last // MINUTE) * MINUTE, start + MINUTE)
        return Span(f"{_told(start)}/{_told(end)}", start, end, _step_of(end - start))


def asked_span(question: AskedStretch, now: float) -> Span:
    """Give what a question's window, or its `from`, `since` and `to`, span.

    Raises:
        BadQuestionError: They contradict each other.
    """
    begin = question.from_ if question.since is None else question.since
    if question.from_ is not None and question.since is not None:
        raise BadQuestionError("invalid_since", "since and from are the same; say one of them")
    if begin is None:
        if question.to is not None:
            raise BadQuestionError("invalid_to", "to needs a from; say where the range begins, too")
        return question.window.span(now)
    if question.to is not None and question.to <= begin:
        raise BadQuestionError("invalid_to", "to is not later than from; say a later one")
    if not 0 <= begin < _LAST_MS or (question.to or 0) >= _LAST_MS:
        raise BadQuestionError("invalid_from", "from and to lie in the years 1970 to 9999; say others")
    return AskedRange(since=begin, until=question.to).span(now)


def _step_of(seconds: int) -> str:
    """The step that a stretch is told in where none is asked for."""
    if seconds <= _MINUTES_UP_TO:
        return "minute"
    return "hour" if seconds <= _HOURS_UP_TO else "day"


def _told(seconds: int) -> str:
    return utc_datetime(seconds * 1000).strftime("%Y-%m-%dT%H:%MZ")


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
        if text not in named and length_of(text) is None:
            _literal(text)
        return AskedWindow(text)

    schema = {
        "type": "string",
        "anyOf": [{"enum": list(named)}, {"pattern": _LITERAL}, {"pattern": "^[1-9][0-9]{0,4}[mhdw]$"}],
    }
    rule = (
        f"one of {', '.join(named)}, so long until now such as 90m, 2h, 3d or 2w, or an hour or day in UTC "
        "such as 2026-11-24T10 or 2026-11-24"
    )
    return Kind(parse, rule, "24h", schema)
