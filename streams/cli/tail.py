"""`tagstream tail`: results as they come."""

import asyncio
import contextlib
from typing import get_args

import click
from aiokafka.errors import KafkaError

from schemas.topics import TopicNames
from streams.cli.options import connection_to, give_up, kafka_options, require_topics, topic_names
from streams.cli.rendering import line
from streams.cli.terminal import record_console
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import KINDS, Kind, OutputFollower


@click.command(short_help="Show results as they come.")
@kafka_options
@click.option("--kind", "kinds", multiple=True, type=click.Choice(get_args(Kind)), help="Only these. [all]")
@click.option("--from-beginning", is_flag=True, help="Also what is there already.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many.")
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per record.")
def tail(  # noqa: PLR0917 - click passes each option by name
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    kinds: tuple[Kind, ...],
    from_beginning: bool,  # noqa: FBT001 - a flag
    limit: int | None,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Show categorizations, tag-updates and dead letters as they come, until Ctrl-C.

    Exit codes: 0 after --limit or Ctrl-C, 78 when nothing can be read.
    """
    try:
        following = _tail(
            connection_to(broker),
            topic_names(app_id, topic_prefix),
            kinds or KINDS,
            from_beginning=from_beginning,
            limit=limit,
            as_json=as_json,
        )
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(following)
    except (ValueError, OSError, KafkaError) as error:
        give_up("tail", error)


async def _tail(
    connection: KafkaConnection,
    names: TopicNames,
    kinds: tuple[Kind, ...],
    *,
    from_beginning: bool,
    limit: int | None,
    as_json: bool,
) -> None:
    console = record_console()
    count = 0
    await require_topics(connection, names)
    async with OutputFollower(connection, names, kinds, from_beginning=from_beginning) as follower:
        async for answer in follower.records():
            if as_json:
                click.echo(answer.as_json())
            else:
                console.print(line(answer))
            count += 1
            if count == limit:
                return
