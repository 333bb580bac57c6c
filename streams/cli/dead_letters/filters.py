"""The options that say which dead letters are meant; every subcommand that takes several has them."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from schemas.origins import TopicPartitionOffset

STAGES = ("parse", "fetch", "decode")
_AGO = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class TimeParam(click.ParamType):
    """A moment, as milliseconds since the epoch: RFC 3339, or so long ago, such as 90m or 7d."""

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - click's
        """Read a moment."""
        if isinstance(value, int):
            return value
        if ago := _AGO.fullmatch(value):
            return int((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1000)
        try:
            moment = datetime.fromisoformat(value)
            return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
        except (ValueError, OverflowError):
            rule = "a moment is 2026-01-31T12:00:00Z, or so long ago: 30s, 90m, 12h, 7d"
            self.fail(f"{value!r}: {rule}", param, ctx)


class LetterPlace(click.ParamType):
    """PARTITION/OFFSET of a dead letter."""

    name = "PARTITION/OFFSET"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> tuple[int, int]:
        """Read a place."""
        if isinstance(value, tuple):
            return value
        place = TopicPartitionOffset.parse(f"x/{value}")
        if place is None:
            self.fail(f"{value!r} is no PARTITION/OFFSET, such as 0/12", param, ctx)
        return place.partition, place.offset


def filters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options. They arrive under the names that `Selection` has, and `new_only`, `limit`."""
    options = (
        click.option(
            "--reason", "reasons", multiple=True, help="Only these reasons; http_5* is a pattern. [all]"
        ),
        click.option("--stage", "stages", multiple=True, type=click.Choice(STAGES), help="Only these. [all]"),
        click.option(
            "--retryable/--permanent",
            default=None,
            help="Only those that may pass as they are, or only the others.",
        ),
        click.option(
            "--since", type=TimeParam(), help="Only those from then on: RFC 3339, or 90m, 12h, 7d ago."
        ),
        click.option("--until", type=TimeParam(), help="Only those before."),
        click.option(
            "--host", "hosts", multiple=True, help="Only these sources, HOST or HOST:PORT of the event's URL."
        ),
        click.option(
            "--max-replays",
            type=click.IntRange(min=1),
            help="Only those of events that were replayed less often than so. [all]",
        ),
        click.option("--new-only", is_flag=True, help="Only those that were not replayed yet."),
        click.option("--limit", type=click.IntRange(min=1), help="Only so many, the newest."),
    )
    for option in reversed(options):
        command = option(command)
    return command
