"""`tagstream dead-letters`: what could not be handled, why, and once more from the beginning."""

import asyncio
import contextlib
import sys
from typing import Any

import click
from aiokafka.errors import KafkaError
from rich.console import Console

from schemas.topics import TopicNames
from streams.cli.dead_letters.filters import LetterPlace, filters
from streams.cli.dead_letters.views import as_json, explanation, line, summary_table
from streams.cli.options import asked_cluster, kafka_options, require_topics, run_command, topic_names
from streams.cli.rendering import counting_progress
from streams.cli.terminal import console
from streams.kafka.connection import KafkaConnection
from streams.kafka.letters.box import DeadLetterBox, SelectedLetters, choose
from streams.kafka.letters.letters import Letter, Selection
from streams.kafka.letters.replay import Replayer

LISTED = 50
_SHOWN_EVERY = 500  # a look at each record would cost more than reading it
PartitionOffset = tuple[int, int]


@click.group("dead-letters", short_help="List, explain and replay what could not be handled.")
def dead_letters() -> None:
    """List, explain and replay the events that could not be handled.

    A dead letter is named by its partition and offset, such as 0/12.
    """


@dead_letters.command("list", short_help="Show dead letters, and how many of each reason there are.")
@kafka_options
@filters
@click.option("--json", "as_lines", is_flag=True, help="One line of JSON per letter, and no summary.")
def list_letters(  # noqa: PLR0917 - click passes each option by name
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    new_only: bool,  # noqa: FBT001 - a flag
    limit: int | None,
    as_lines: bool,  # noqa: FBT001 - a flag
    **which: Any,  # noqa: ANN401 - the fields of Selection
) -> None:
    """Show dead letters, the newest last, and the number of each reason with its cure.

    Without --limit the newest 50 are shown, with --json all. In the lines a * marks what may pass if it is
    published again as it is.

    Exit codes: 0, 78 when nothing can be read.
    """
    connection, names = asked_cluster("dead-letters", broker), topic_names(app_id, topic_prefix)
    limit = limit if limit or as_lines else LISTED
    out = console()

    def show(letter: Letter) -> None:
        if as_lines:
            click.echo(as_json(letter))
        else:
            out.print(line(letter), soft_wrap=True)

    async def run() -> SelectedLetters:
        chosen = await _choose(connection, names, Selection(**which), new_only=new_only, limit=limit)
        async with contextlib.aclosing(chosen.letters()) as letters:
            async for letter in letters:
                show(letter)
        return chosen

    chosen = run_command("dead-letters", run())
    if not as_lines:
        _summarize(out, chosen)


@dead_letters.command(short_help="Show a dead letter, what was wrong with it, and the cure.")
@click.argument("place", type=LetterPlace(), metavar="PARTITION/OFFSET")
@kafka_options
@click.option("--json", "as_lines", is_flag=True, help="As one line of JSON.")
def explain(
    place: PartitionOffset,
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    as_lines: bool,  # noqa: FBT001 - a flag
) -> None:
    """Show a dead letter with its event, what was wrong with it, and the cure.

    Exit codes: 0, 78 when there is no such letter or nothing can be read.
    """
    connection, names = asked_cluster("dead-letters", broker), topic_names(app_id, topic_prefix)

    async def run() -> Letter:
        await require_topics(connection, names)
        return await (await DeadLetterBox.open(connection, names)).letter_at(*place)

    letter = run_command("dead-letters", run())
    if as_lines:
        click.echo(as_json(letter, everything=True))
        return
    out = console()
    out.print(explanation(letter, names.dead_letters), soft_wrap=True)
    out.print("\nTo publish it again: tagstream dead-letters replay {}/{}".format(*place))


@dead_letters.command(short_help="Publish the events of dead letters again, as they were.")
@click.argument("places", type=LetterPlace(), nargs=-1, metavar="[PARTITION/OFFSET]…")
@kafka_options
@filters
@click.option("--dry-run", is_flag=True, help="Only say what would be published.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def replay(  # noqa: PLR0917 - click passes each option by name
    places: tuple[PartitionOffset, ...],
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    new_only: bool,  # noqa: FBT001 - a flag
    limit: int | None,
    dry_run: bool,  # noqa: FBT001 - a flag
    yes: bool,  # noqa: FBT001 - a flag
    **which: Any,  # noqa: ANN401 - the fields of Selection
) -> None:
    """Publish the events of dead letters again, as they were, to the topic of uploads.

    They take the usual way from there, and stay the same events: what was handled meanwhile is not counted
    again. Without filters all letters are meant. With --new-only a replay that was cut short is completed,
    and one that was not is not repeated.

    Exit codes: 0, 1 when not all could be published, 78 when nothing can be read.
    """
    connection, names = asked_cluster("dead-letters", broker), topic_names(app_id, topic_prefix)
    selection = Selection(**which, places=frozenset(places))
    chosen = run_command(
        "dead-letters", _choose(connection, names, selection, new_only=new_only, limit=limit)
    )
    _summarize(console(), chosen)
    if not len(chosen):
        return
    if dry_run:
        click.echo(f"{len(chosen):,} events would be published to {names.uploads}")
        return
    if not yes:
        click.confirm(f"Publish {len(chosen):,} events to {names.uploads}?", abort=True)
    _replay(connection, names, chosen)


def _replay(connection: KafkaConnection, names: TopicNames, chosen: SelectedLetters) -> None:
    fault, topic = None, names.uploads
    with counting_progress() as progress:
        bar = progress.add_task("publishing", total=len(chosen))
        replayer = Replayer(connection, names, lambda count: progress.advance(bar, count))
        try:
            asyncio.run(_send(replayer, chosen))
        except (ValueError, OSError, KafkaError) as error:
            fault = f"{type(error).__name__}: {error}"
        except KeyboardInterrupt:
            fault = "interrupted"
    told = f"{replayer.sent:,} of {len(chosen):,} events were published to {topic}"
    if replayer.in_doubt:
        told += f", and perhaps {replayer.in_doubt:,} more"
    click.echo(told)
    if replayer.foreign:
        rest = "are from elsewhere or hold no event, and were left alone"
        click.echo(f"{replayer.foreign:,} letters {rest}", err=True)
    if fault:
        click.echo(f"tagstream dead-letters: {fault}; the same with --new-only publishes the rest", err=True)
        sys.exit(1)


async def _send(replayer: Replayer, chosen: SelectedLetters) -> None:
    async with replayer, contextlib.aclosing(chosen.letters()) as letters:
        await replayer.replay(letters)


async def _choose(
    connection: KafkaConnection, names: TopicNames, selection: Selection, *, new_only: bool, limit: int | None
) -> SelectedLetters:
    await require_topics(connection, names)
    box = await DeadLetterBox.open(connection, names, selection.since)
    with counting_progress() as progress:
        bar = progress.add_task("reading", total=None)
        seen = 0

        def on_read() -> None:
            nonlocal seen
            seen += 1
            if seen % _SHOWN_EVERY == 0:
                progress.update(bar, completed=seen)

        return await choose(box, selection, new_only=new_only, limit=limit, on_read=on_read)


def _summarize(out: Console, chosen: SelectedLetters) -> None:
    if not len(chosen.summary):
        out.print("no dead letter matches")
        return
    if chosen.skip:
        matching = len(chosen.summary)
        out.print(
            f"the newest {len(chosen):,} of {matching:,} that match; --limit says how many", style="dim"
        )
    out.print(summary_table(chosen.summary))
