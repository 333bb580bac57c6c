"""`tagstream trends`: what is used, what rises, how it went."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import click

from schemas.answers.images import RelatedTags
from schemas.answers.trends import ComparedTags, RisingTags, TagLines, TagList, TagSeries, TopTags
from streams.cli.ask.asking import Asking, DefaultGroup, Given, asks
from streams.cli.ask.image_views import related_view
from streams.cli.ask.query_client import NoAnswerError
from streams.cli.ask.trend_views import (
    compare_view,
    lines_view,
    rising_view,
    series_view,
    tags_view,
    top_view,
)
from streams.web.api.image_questions import RelatedQuestion
from streams.web.api.parameters import MAX_LIMIT, Parameter, Tenant, whole_number
from streams.web.api.trend_questions import (
    BoundedWindow,
    CompareQuestion,
    LinesQuestion,
    RisingQuestion,
    SeriesQuestion,
    TagsQuestion,
    TopQuestion,
)

MOST_SERIES = 40  # questions that sparklines may cost; a longer table has none
_AT_ONCE = 4
_OVERVIEW = 10


@click.group(cls=DefaultGroup, default="overview")
def trends() -> None:
    """Show what is used, what rises and how it went.

    Without a command it is `overview`, and takes its options: top and rising tags of 24 hours.

    Exit codes: 0 with an answer, 1 where the API gives a reason instead, 78 when it cannot be asked.
    """


@dataclass(frozen=True, kw_only=True)
class OverviewQuestion:
    """Parameters of both questions of the overview."""

    window: BoundedWindow
    limit: Annotated[
        int, Parameter(whole_number(1, MAX_LIMIT), "At most so many rows of each.", default=_OVERVIEW)
    ]
    tenant: Tenant


@trends.command()
@asks(OverviewQuestion)
def overview(asking: Asking) -> None:
    """Show the most used and the rising tags of a window."""
    given = {"limit": [str(_OVERVIEW)], **asking.given}
    top = asking.get("/trends/top", TopTags, given)
    rising = asking.get("/trends/rising", RisingTags, given)
    tags = {tag.tag for tag in top.answer.tags} | {tag.tag for tag in rising.answer.tags}
    series = _series(asking, tags)
    asking.show(top, partial(top_view, series=series))
    if not asking.as_json:
        click.echo()
    asking.show(rising, partial(rising_view, series=series))


@trends.command()
@asks(TopQuestion)
def top(asking: Asking) -> None:
    """Show the most used tags of a window."""
    received = asking.get("/trends/top", TopTags)
    # A series counts images from all add-ons, which would mislead beside the counts of one.
    tags = [] if "add_on" in asking.given else [tag.tag for tag in received.answer.tags]
    asking.show(received, partial(top_view, series=_series(asking, tags)))


@trends.command()
@asks(RisingQuestion)
def rising(asking: Asking) -> None:
    """Show the tags that are used more than their past lets expect."""
    received = asking.get("/trends/rising", RisingTags)
    series = _series(asking, [tag.tag for tag in received.answer.tags])
    asking.show(received, partial(rising_view, series=series))


@trends.command()
@asks(SeriesQuestion)
def show(asking: Asking) -> None:
    """Show a tag over time."""
    asking.show(asking.get("/trends/tags/{tag}", TagSeries), series_view)


@trends.command()
@asks(LinesQuestion)
def lines(asking: Asking) -> None:
    """Show several tags over time."""
    asking.show(asking.get("/trends/series", TagLines), lines_view)


@trends.command()
@asks(CompareQuestion)
def compare(asking: Asking) -> None:
    """Put two windows side by side: --a and --b."""
    asking.show(asking.get("/trends/compare", ComparedTags), compare_view)


@trends.command()
@asks(RelatedQuestion)
def related(asking: Asking) -> None:
    """Show the tags that come together with a tag."""
    asking.show(asking.get("/trends/tags/{tag}/related", RelatedTags), related_view)


@trends.command()
@asks(TagsQuestion)
def tags(asking: Asking) -> None:
    """List all tags by name, with all-time counts."""
    asking.show(asking.get("/tags", TagList), tags_view)


def _series(asking: Asking, tags: Iterable[str]) -> dict[str, list[int]]:
    """Ask for the counts over time of some tags, where sparklines of them are drawn."""
    tags = list(tags)
    if asking.as_json or len(tags) > MOST_SERIES:
        return {}
    about: Given = {name: texts for name, texts in asking.given.items() if name in {"window", "tenant"}}

    def ask(tag: str) -> list[int]:
        try:
            received = asking.get("/trends/tags/{tag}", TagSeries, {**about, "tag": [tag]})
        except NoAnswerError:  # its last image went since, or these are too many questions at once
            return []
        return [point.count for point in received.answer.points]

    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return dict(zip(tags, threads.map(ask, tags), strict=True))
