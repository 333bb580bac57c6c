"""Trends as people read them: each function takes an answer and gives what is printed."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.answers import ComparedTag, ComparedTags, RisingTags, TagList, TagSeries, TopTags
from streams.commands.charts import (
    SPARKLINE_WIDTH,
    bar,
    counted,
    name,
    number,
    printable,
    share,
    sparkline,
    table,
    when,
)
from streams.commands.framing import framed, more, window_text

Series = Mapping[str, Sequence[int]]
NO_SERIES: Series = {}
_MANY = 1000.0


class _Rows(NamedTuple):
    """How a series of one step is cut into rows: their name and form, a point's place, the most places."""

    name: str
    form: str
    place: Callable[[datetime], int]
    places: int


_ROWS = {
    "minute": _Rows("hour", "%Y-%m-%d %H:00", lambda start: start.minute, 60),
    "hour": _Rows("day", "%Y-%m-%d", lambda start: start.hour, 24),
    "day": _Rows("month", "%Y-%m", lambda start: start.day - 1, 31),
}


def top_view(answer: TopTags, series: Series = NO_SERIES) -> RenderableType:
    """Show the most used tags; `series` are counts of the same window by tag."""
    title = f"Top tags, {window_text(answer.window)}"
    by_uploaders = answer.uploaders_error is not None
    heads = (
        "tag",
        "images",
        *(["uploaders"] if by_uploaders else []),
        "",
        *(["over time"] if series else []),
    )
    rows = table(*heads, right=("images", "uploaders"), whole=("", "over time"))
    sizes = [(tag.uploaders or 0) if by_uploaders else tag.count for tag in answer.tags]
    for tag, size in zip(answer.tags, sizes, strict=True):
        uploaders = [number(tag.uploaders)] if by_uploaders else []
        drawn = Text(bar(size, max(sizes)), style="cyan")
        rows.add_row(name(tag.tag), number(tag.count), *uploaders, drawn, *_over_time(tag.tag, series))
    if not answer.tags:
        return framed(title, None, answer, "no tags; a longer --window may have some")
    return framed(title, rows, answer, *_estimated(answer.uploaders_error))


def rising_view(answer: RisingTags, series: Series = NO_SERIES) -> RenderableType:
    """Show the tags that rise; bars are of score times recency, which orders them."""
    title = f"Rising tags, {window_text(answer.window)}"
    held = f"held against {window_text(answer.baseline)}; score: {printable(answer.method)}"
    heads = (
        "tag",
        "images",
        "expected",
        "score",
        "recency",
        "uploaders",
        "",
        *(["over time"] if series else []),
    )
    rows = table(*heads, right=heads[1:6], whole=("", "over time"))
    weights = [tag.score * tag.recency for tag in answer.tags]
    for tag, weight in zip(answer.tags, weights, strict=True):
        figures = (number(tag.observed), f"{tag.expected:.1f}", f"{tag.score:,.1f}", f"{tag.recency:.0%}")
        drawn = Text(bar(weight, max(weights)), style="green")
        over_time = _over_time(tag.tag, series)
        rows.add_row(name(tag.tag), *figures, number(tag.uploaders), drawn, *over_time)
    if not answer.tags:
        hint = "none; --least-uses and --least-uploaders of `tagstream trends rising` lower the floors"
        return framed(title, None, answer, hint, held)
    return framed(title, rows, answer, held, *_estimated(answer.uploaders_error))


def _over_time(tag: str, series: Series) -> list[str]:
    return [sparkline(series.get(tag, ()), SPARKLINE_WIDTH)] if series else []


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
    for stretch, group in groupby(answer.points, key=lambda point: when(point.start, cut.form)):
        points = list(group)
        counts = [point.count for point in points]
        line = " " * cut.place(points[0].start.astimezone(UTC)) + sparkline(counts, top=top)
        rows.add_row(stretch, number(sum(counts)), Text(line.ljust(cut.places), style="cyan"))
    return rows


def compare_view(answer: ComparedTags) -> RenderableType:
    """Show two windows side by side."""
    title = f"a is {window_text(answer.window)}; b is {window_text(answer.b)}"
    rows = table("tag", "a", "", "b", " ", "a : b", right=("a", "b", "a : b"), whole=("", " "))
    top = max((max(tag.a, tag.b) for tag in answer.tags), default=0)
    for tag in answer.tags:
        bars = (Text(bar(count, top), style=style) for count, style in ((tag.a, "cyan"), (tag.b, "dim cyan")))
        rows.add_row(name(tag.tag), number(tag.a), next(bars), number(tag.b), next(bars), _ratio(tag))
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
    rows = table("tag", "images", "", right=("images",), whole=("",))
    top = max((tag.count for tag in answer.tags), default=0)
    for tag in answer.tags:
        rows.add_row(name(tag.tag), number(tag.count), Text(bar(tag.count, top), style="cyan"))
    body = rows if answer.tags else None
    return framed("Tags, all time", body, answer, *([] if answer.tags else ["none"]), *more(answer.cursor))
