"""`tagstream webhooks`: what receivers did not take, and once more."""

import json
from collections.abc import Callable
from typing import Any

import click
from rich.text import Text

from schemas.times import utc_datetime
from schemas.topics import TopicNames
from streams.cli.dead_letters.views import shown
from streams.cli.options import asked_cluster, kafka_options, require, run_command, topic_names
from streams.cli.terminal import console
from streams.cli.webhooks.box import GivenUp, Selection, given_up, send_again
from streams.kafka.connection import KafkaConnection


@click.group(short_help="List and send again notifications that no receiver took.")
def webhooks() -> None:
    """List notifications that no receiver took in time, and send them again."""


def _filters(command: Callable[..., Any]) -> Callable[..., Any]:
    options = (
        click.option("--cloud", "clouds", multiple=True, help="Only of these clouds. [all]"),
        click.option(
            "--receiver", "receivers", multiple=True, help="Only for these HOST or HOST:PORT. [all]"
        ),
        click.option("--reason", "reasons", multiple=True, help="Only these; http_5* is a pattern. [all]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


@webhooks.command("list", short_help="Show notifications that were given up, and why.")
@kafka_options
@_filters
@click.option("--json", "as_lines", is_flag=True, help="One line of JSON per notification.")
def list_given_up(
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    as_lines: bool,  # noqa: FBT001 - a flag
    **which: Any,  # noqa: ANN401 - the fields of Selection
) -> None:
    """Show notifications that were given up and not sent again since, the oldest first.

    Exit codes: 0, 78 when nothing can be read.
    """
    connection, names = asked_cluster("webhooks", broker), topic_names(app_id, topic_prefix)
    letters = run_command("webhooks", _given_up(connection, names, Selection(**which)))
    if as_lines:
        for letter in letters:
            click.echo(json.dumps(_as_json(letter)))
        return
    out = console()
    for letter in letters:
        out.print(_line(letter), soft_wrap=True)
    asked = sum(letter.asked for letter in letters)
    out.print(f"{len(letters):,} given up" + (f", {asked:,} of them asked for again" if asked else ""))


@webhooks.command(short_help="Send notifications again that were given up.")
@click.argument("ids", nargs=-1, metavar="[ID]…")
@kafka_options
@_filters
@click.option("--dry-run", is_flag=True, help="Only say what would be sent.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def replay(  # noqa: PLR0917 - click passes each option by name
    ids: tuple[str, ...],
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    dry_run: bool,  # noqa: FBT001 - a flag
    yes: bool,  # noqa: FBT001 - a flag
    **which: Any,  # noqa: ANN401 - the fields of Selection
) -> None:
    """Let the workers of the role webhooks send notifications again.

    Each has its whole time once more. Without IDs and filters all are meant.

    Exit codes: 0, 78 when nothing can be read or written.
    """
    connection, names = asked_cluster("webhooks", broker), topic_names(app_id, topic_prefix)
    letters = run_command("webhooks", _given_up(connection, names, Selection(ids=frozenset(ids), **which)))
    if not letters:
        click.echo("no notification matches")
        return
    if dry_run:
        click.echo(f"{len(letters):,} notifications would be sent again")
        return
    if not yes:
        click.confirm(f"Send {len(letters):,} notifications again?", abort=True)
    run_command("webhooks", send_again(connection, names, letters))
    click.echo(
        f"{len(letters):,} notifications are asked for again; `tagstream webhooks list` tells what fails"
    )


async def _given_up(connection: KafkaConnection, names: TopicNames, selection: Selection) -> list[GivenUp]:
    cure = "a worker with the role webhooks creates it"
    await require(connection, [names.notification_dead_letters], cure)
    return await given_up(connection, names, selection)


def _line(letter: GivenUp) -> Text:
    at = utc_datetime(letter.record.timestamp).isoformat(timespec="seconds").replace("+00:00", "Z")
    text = Text(shown(letter.id), style="cyan").append(f"  {at}  ", style="dim")
    text.append(shown(letter.reason), style="red")
    text.append(f"  {shown(letter.row.kind)} {shown(letter.row.asset)}", style="bold")
    text.append(f"  {shown(letter.receiver)}")
    return text.append(
        f"  {shown(letter.message)}{'  (asked for again)' if letter.asked else ''}", style="dim"
    )


def _as_json(letter: GivenUp) -> dict[str, Any]:
    return {
        "id": letter.id,
        "at": letter.record.timestamp,
        "reason": letter.reason,
        "message": letter.message,
        "kind": letter.row.kind,
        "cloud": letter.row.cloud,
        "asset": letter.row.asset,
        "url": letter.row.url,
        "body": letter.row.body,
        "asked": letter.asked,
    }
