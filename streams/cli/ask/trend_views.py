"""Trends as people read them: each function takes an answer and gives what is printed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import NamedTuple

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.answers.trends import (
    ComparedTag,
    ComparedTags,
    RisingTags,
    TagLines,
    TagList,
    TagSeries,
    TopTags,
)
from streams.cli.ask.framing import framed, more, window_text
from streams.cli.charts import (
    Chart,
    bar_of,
    counted,
    name,
    number,
    printable,
    share,
    sparkline,
    sparkline_of,
    table,
    when,
)

Series = Mapping[str, Sequence[int]]
NO_SERIES: Series = {}
_MANY = 1000.0


class _Rows(NamedTuple):
    """How a series is cut into rows.

    Attributes:
        name: What a row is for.
        form: How its beginning is written.
        begin: Gives the beginning of the row that a moment is in.
        step: Length of a place.
        places: Most places in a row.
    """

    name: str
    form: str
    begin: Callable[[datetime], datetime]
    step: timedelta
    places: int

    def place(self, moment: datetime) -> int:
        """How many steps after its row's beginning a moment lies."""
        return (moment - self.begin(moment)) // self.step


def _half_hour(moment: datetime) -> datetime:
    return moment.replace(minute=moment.minute // 30 * 30, second=0)


def _day(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0)


def _month(moment: datetime) -> datetime:
    return _day(moment).replace(day=1)


_ROWS = {
    "minute": _Rows("half hour", "%Y-%m-%d %H:%M", _half_hour, timedelta(minutes=1), 30),
    "hour": _Rows("day", "%Y-%m-%d", _day, timedelta(hours=1), 24),
    "day": _Rows("month", "%Y-%m", _month, timedelta(days=1), 31),
}


def top_view(answer: TopTags, series: Series = NO_SERIES) -> RenderableType:
    """Show the most used tags; `series` are counts of the same window by tag."""
    title = f"Top tags, {window_text(answer.window)}"
    by_uploaders = answer.uploaders_error is not None
    uploaders = ["uploaders"] if by_uploaders else []
    rows = table("tag", "images", *uploaders, "", *_head(series), right=("images", "uploaders"))
    sizes = [(tag.uploaders or 0) if by_uploaders else tag.count for tag in answer.tags]
    for tag, size in zip(answer.tags, sizes, strict=True):
        figures = [number(tag.count), *([number(tag.uploaders)] if by_uploaders else [])]
        rows.add_row(name(tag.tag), *figures, bar_of(size, max(sizes)), *_over_time(tag.tag, series))
    if not answer.tags:
        return framed(title, None, answer, "no tags; a longer --window may have some")
    return framed(title, rows, answer, *_estimated(answer.uploaders_error))


def rising_view(answer: RisingTags, series: Series = NO_SERIES) -> RenderableType:
    """Show the tags that rise; `series` are counts of the same window by tag."""
    title = f"Rising tags, {window_text(answer.window)}"
    held = f"held against {window_text(answer.baseline)}; score: {printable(answer.method)}"
    figures = ("images", "expected", "score", "recency", "uploaders")
    rows = table("tag", *figures, *_head(series), right=figures)
    for tag in answer.tags:
        rows.add_row(
            name(tag.tag),
            number(tag.observed),
            f"{tag.expected:,.1f}",
            f"{tag.score:,.1f}",
            f"{tag.recency:.0%}",
            number(tag.uploaders),
            *_over_time(tag.tag, series),
        )
    if not answer.tags:
        hint = "none; --least-uses and --least-uploaders of `tagstream trends rising` lower the floors"
        return framed(title, None, answer, hint, held)
    return framed(title, rows, answer, held, *_estimated(answer.uploaders_error))


def _head(series: Series) -> list[str]:
    return ["over time"] if series else []


def _over_time(tag: str, series: Series) -> list[Chart]:
    return [sparkline_of(series.get(tag, ()))] if series else []


def _estimated(error: float | None) -> list[str]:
    return [] if error is None else [f"uploaders are estimates, standard error {share(error)}"]


def series_view(answer: TagSeries) -> RenderableType:
    """Show a tag over time: a row per hour, day or month with a sparkline of its steps."""
    title = Text.assemble(name(answer.tag, "bold"), f", {window_text(answer.window)}")
    images = f"{counted(answer.total, 'image')} by about {counted(answer.uploaders, 'uploader')}"
    split = ", ".join(f"{printable(add_on)} {number(count)}" for add_on, count in answer.by_add_on.items())
    seen = f"first seen {when(answer.first_seen)}, last seen {when(answer.last_seen)} UTC"
    notes = (f"{images}{f'; from {split}' if split else ''}", seen, *_estimated(answer.uploaders_error))
    return framed(title, _series_table(answer) if answer.points else None, answer, *notes)


def _series_table(answer: TagSeries) -> Table:
    cut, steps = _ROWS[answer.step], f"each {answer.step}"
    rows = table(cut.name, "images", steps, right=("images",), whole=(cut.name, steps))
    top = max(point.count for point in answer.points)
    counts = [(point.start.astimezone(UTC), point.count) for point in answer.points]
    for begin, group in groupby(counts, key=lambda point: cut.begin(point[0])):
        starts, row = zip(*group, strict=True)
        line = " " * cut.place(starts[0]) + sparkline(row, top=top)
        rows.add_row(when(begin, cut.form), number(sum(row)), Text(line.ljust(cut.places), style="cyan"))
    return rows


def lines_view(answer: TagLines) -> RenderableType:
    """Show several tags over time, a row for each."""
    title = f"Tags by the {answer.step}, {window_text(answer.window)}"
    rows = table("tag", "images", f"each {answer.step}", right=("images",))
    top = max((count for tag in answer.tags for count in tag.counts), default=0)
    for tag in answer.tags:
        rows.add_row(name(tag.tag), number(tag.total), Text(sparkline(tag.counts, top=top), style="cyan"))
    return framed(title, rows, answer)


def compare_view(answer: ComparedTags) -> RenderableType:
    """Show two windows side by side."""
    title = f"a is {window_text(answer.window)}; b is {window_text(answer.b)}"
    rows = table("tag", "a", "", "b", " ", "a : b", right=("a", "b", "a : b"))
    top = max((max(tag.a, tag.b) for tag in answer.tags), default=0)
    for tag in answer.tags:
        bars = (bar_of(tag.a, top), bar_of(tag.b, top, "dim cyan"))
        rows.add_row(name(tag.tag), number(tag.a), bars[0], number(tag.b), bars[1], _ratio(tag))
    if not answer.tags:
        return framed(title, None, answer, "no tags in either; longer windows may have some")
    return framed(title, rows, answer, "a : b is that of the images per hour")


def _ratio(tag: ComparedTag) -> Text:
    if tag.ratio is None:
        return Text("new" if tag.a else "", style="green")
    shown = f"{tag.ratio:.2f}" if tag.ratio < _MANY else f"{tag.ratio:,.0f}"
    return Text(shown, style="green" if tag.ratio >= 1 else "red")


def tags_view(answer: TagList) -> RenderableType:
    """Show tags by name."""
    rows = table("tag", "images", "", right=("images",))
    top = max((tag.count for tag in answer.tags), default=0)
    for tag in answer.tags:
        rows.add_row(name(tag.tag), number(tag.count), bar_of(tag.count, top))
    body = rows if answer.tags else None
    return framed("Tags, all time", body, answer, *([] if answer.tags else ["none"]), *more(answer.cursor))
