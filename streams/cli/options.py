"""Options that several commands share, and the connection that they lead to."""

import asyncio
import os
import sys
from collections.abc import Callable, Collection, Coroutine, Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click
from aiokafka.errors import KafkaError

from schemas.errors import SettingsError
from schemas.sources.mapping import read_sources
from schemas.topics import TopicNames, split_topics
from streams.app.exit import EXIT_UNUSABLE
from streams.app.settings import Settings, kind_of, variable
from streams.kafka.admin import open_admin, partition_counts
from streams.kafka.connection import KafkaConnection

PORT = click.IntRange(0, 65_535)
Command = Callable[..., Any]
T = TypeVar("T")


def kafka_options(command: Command) -> Command:
    """Add the options that say which cluster and which topics."""
    command = click.option(
        "--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]"
    )(command)
    command = click.option(
        "--topic-prefix", envvar="TAGSTREAM_TOPIC_PREFIX", default="", help="Put before each topic's name."
    )(command)
    return click.option(
        "--app-id", envvar="TAGSTREAM_APP_ID", default="tagstream", help="The workers' group.", hidden=True
    )(command)


def settings_options(shown: Collection[str] | None = None) -> Callable[[Command], Command]:
    """Make the decorator that adds a flag for each setting of a worker.

    Args:
        shown: Settings whose flags `--help` lists; None: all.
    """

    def decorate(command: Command) -> Command:
        for item in reversed(fields(Settings)):
            default = "empty" if item.default in {"", None} else item.default
            option = click.option(
                flag_of(item.name),
                item.name,
                type=kind_of(item.name),
                default=None,
                help=f"{item.metadata['help']} [{variable(item.name)}; default: {default}]",
                hidden=shown is not None and item.name not in shown,
            )
            command = option(command)
        return command

    return decorate


def flag_of(setting: str) -> str:
    """The worker's flag for a setting."""
    return f"--{setting.replace('_', '-')}"


def connection_to(broker: str | None) -> KafkaConnection:
    """The connection that the environment describes, or the one to `broker`."""
    connection = KafkaConnection.from_mapping(os.environ)
    return replace(connection, bootstrap_servers=broker) if broker else connection


def topic_names(app_id: str, topic_prefix: str) -> TopicNames:
    """The deployment's topics."""
    inputs = split_topics(os.environ.get(variable("uploads_topics"), ""))
    return TopicNames(app_id, topic_prefix, inputs, sources=_source_topics())


def _source_topics() -> tuple[str, ...]:
    """The topics of sources; none where their file cannot be read, which is the workers' to tell."""
    path = os.environ.get(variable("sources"), "")
    try:
        return tuple(read_sources(Path(path)).topics) if path else ()
    except SettingsError:
        return ()


async def require_topics(connection: KafkaConnection, names: TopicNames) -> None:
    """Make sure that a worker has been there: clients wait for a missing topic without a word.

    Raises:
        ValueError: The cluster cannot be reached, or lacks a topic.
    """
    events = (names.uploads, names.categorizations, names.tag_updates, names.dead_letters)
    await require(connection, events, "start `tagstream worker`, which creates it")


async def require(connection: KafkaConnection, topics: Iterable[str], cure: str) -> None:
    """Make sure that topics are there.

    Raises:
        ValueError: The cluster cannot be reached, or lacks a topic; that error ends with the cure.
    """
    try:
        async with open_admin(connection) as admin:
            # All: asking for one by name would create it, with too few partitions, where brokers do that.
            present = await partition_counts(admin)
    except KafkaError as error:
        start = "start a broker, or say where it is with --broker or KAFKA_BOOTSTRAP_SERVERS"
        servers = connection.bootstrap_servers
        raise ValueError(f"no Kafka at {servers} ({type(error).__name__}); {start}") from error
    for name in topics:
        if name not in present:
            raise ValueError(f"there is no topic {name!r}; {cure}")


def asked_cluster(command: str, broker: str | None) -> KafkaConnection:
    """As `connection_to`; what is wrong with that ends the command."""
    try:
        return connection_to(broker)
    except ValueError as error:
        give_up(command, error)


def run_command(command: str, main: Coroutine[Any, Any, T]) -> T:
    """Run what a command does; what it meets ends the command."""
    try:
        return asyncio.run(main)
    except (ValueError, OSError, KafkaError) as error:
        give_up(command, error)


def give_up(command: str, error: BaseException | str) -> NoReturn:
    """Print what is wrong and end with the exit code for it."""
    click.echo(f"tagstream {command}: {error}", err=True)
    sys.exit(EXIT_UNUSABLE)
