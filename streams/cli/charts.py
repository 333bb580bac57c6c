"""Figures and names as a terminal shows them: sparklines, bars, tables. Nothing here asks or prints."""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_LEVELS = "▁▂▃▄▅▆▇█"  # the lowest stands for none at all
_EIGHTHS = " ▏▎▍▌▋▊▉"
# C0, DEL and C1 command terminals; the others turn the direction of what follows them.
_UNPRINTABLE = re.compile("[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
MISSING = "-"
SPARKLINE_WIDTH = 24
BAR_WIDTH = 20


def sparkline(counts: Sequence[float], width: int | None = None, top: float | None = None) -> str:
    """Draw a series, oldest first.

    Heights are from zero to `top`; what is not zero stands higher than what is. A series that is longer than
    `width` is drawn by means over stretches of equal length, the newest one whole.

    Args:
        counts: The values, none negative.
        width: Most characters; None: one per value.
        top: The value of full height; None: the greatest that is drawn.
    """
    drawn = list(counts) if width is None else _means(counts, width)
    top = max(drawn, default=0) if top is None else top
    return "".join(_level(value, top) for value in drawn)


def _means(counts: Sequence[float], width: int) -> list[float]:
    length = -(-len(counts) // width)
    ends = range(len(counts), 0, -length) if length else ()
    parts = [counts[max(end - length, 0) : end] for end in ends]
    return [sum(part) / len(part) for part in reversed(parts)]


def _level(value: float, top: float) -> str:
    if value <= 0 or top <= 0:
        return _LEVELS[0]
    above = len(_LEVELS) - 1
    return _LEVELS[min(max(-int(-value * above // top), 1), above)]


def bar(value: float, top: float, width: int = BAR_WIDTH) -> str:
    """Draw a bar whose length is to `width` as `value` is to `top`, in eighths of a character.

    What is not zero is an eighth at least.
    """
    if value <= 0 or top <= 0:
        return ""
    eighths = min(max(round(value / top * width * 8), 1), width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


@dataclass(frozen=True)
class Chart:
    """A drawing that takes the room that there is, up to its width."""

    draw: Callable[[int], str]
    width: int
    style: str = ""

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        yield Text(self.draw(max(min(self.width, options.max_width), 1)), style=self.style)

    def __rich_measure__(self, _console: Console, options: ConsoleOptions) -> Measurement:
        """The room that it takes."""
        return Measurement(1, min(self.width, options.max_width))


def bar_of(value: float, top: float, style: str = "cyan", width: int = BAR_WIDTH) -> Chart:
    """A bar as a table's cell."""
    return Chart(partial(bar, value, top), width, style)


def sparkline_of(counts: Sequence[float]) -> Chart:
    """A sparkline as a table's cell."""
    return Chart(partial(sparkline, counts), SPARKLINE_WIDTH)


def printable(text: str) -> str:
    """Text from strangers without what commands a terminal."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def name(text: str | None, style: str = "") -> Text:
    """A name, whatever characters it has."""
    return Text(MISSING, style="dim") if text is None else Text(printable(text), style=style)


def number(value: int | None) -> str:
    """A count with its thousands apart."""
    return MISSING if value is None else f"{value:,}"


def counted(count: int, thing: str) -> str:
    """A count with what is counted, in the singular where it is one."""
    return f"{number(count)} {thing}{'' if count == 1 else 's'}"


def share(value: float) -> str:
    """A share of 1 in percent."""
    return f"{value:.1%}"


def when(moment: datetime | None, form: str = "%Y-%m-%d %H:%M") -> str:
    """A moment in UTC, to the minute unless `form` says otherwise."""
    return MISSING if moment is None else moment.astimezone(UTC).strftime(form)


def table(*columns: str, right: Iterable[str] = (), whole: Iterable[str] = ()) -> Table:
    """Make a table.

    Args:
        columns: Their heads; the first stands out.
        right: Columns of figures.
        whole: Columns that are never broken into lines.
    """
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for place, column in enumerate(columns):
        figures = column in set(right)
        made.add_column(
            column,
            justify="right" if figures else "left",
            style="bold" if place == 0 else "",
            no_wrap=figures or column in set(whole),
            overflow="fold",
        )
    return made
