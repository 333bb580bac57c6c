"""`tagstream images edit`: a person's word on an image's tags, and what came of it."""

import asyncio
import getpass
import sys
import uuid

import click
import msgspec
from aiokafka.errors import KafkaError

from schemas.errors import BadEventError
from schemas.topics import TopicNames
from schemas.uploads import Record, UploadData, UploadType, parse_upload
from streams.cli.options import connection_to, give_up, kafka_options, require_topics, topic_names
from streams.cli.rendering import line
from streams.cli.terminal import record_console
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputRecord
from streams.kafka.publishing import event_id_of, publish_one
from streams.state.spelling import folded


def my_name() -> str:
    """The name of whoever is at the keyboard."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user without a name
        return ""


@click.command("edit", short_help="Add tags to an image, or take them away, for good.")
@click.argument("public_id")
@kafka_options
@click.option("--add", "added", multiple=True, metavar="TAG", help="A tag that belongs on the image.")
@click.option("--remove", "removed", multiple=True, metavar="TAG", help="A tag that does not.")
@click.option("--by", default=my_name, show_default="your user name", help="Who says so.")
@click.option("--tenant", help="Whose image it is.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for what comes of it.")
@click.option("--json", "as_json", is_flag=True, help="The tag-update or dead letter as one line of JSON.")
def edit(  # noqa: PLR0917 - click passes each option by name
    public_id: str,
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    added: tuple[str, ...],
    removed: tuple[str, ...],
    by: str,
    tenant: str | None,
    timeout: float,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Add tags to an image, or take them away, for good: no tagger and no upload undoes it.

    --add and --remove may be said several times.

    Exit codes: 0 when it is done, 1 when it was refused or nothing came back, 78 when it cannot be published.
    """
    event = UploadData(
        type=UploadType.EDITED.value,
        public_id=public_id,
        event_id=uuid.uuid4().hex,
        added=list(added) or None,
        removed=list(removed) or None,
        by=by or None,
        tenant=tenant,
    )
    try:
        _check(event)
        found = asyncio.run(_edit(connection_to(broker), topic_names(app_id, topic_prefix), event, timeout))
    except BadEventError as error:
        raise click.UsageError(str(error)) from error
    except TimeoutError:
        click.echo(f"no answer after {timeout:g} s: is a worker up? The edit is published.", err=True)
        sys.exit(1)
    except (ValueError, OSError, KafkaError) as error:
        give_up("images edit", error)
    _show(public_id, found, removed, as_json=as_json)
    sys.exit(1 if found is not None and found.fault is not None else 0)


def _check(event: UploadData) -> None:
    value = msgspec.json.encode(event)
    parse_upload(Record(topic="", partition=0, offset=0, timestamp=0, key=None, value=value))


async def _edit(
    connection: KafkaConnection,
    names: TopicNames,
    event: UploadData,
    timeout: float,  # noqa: ASYNC109 - passed on
) -> OutputRecord | None:
    await require_topics(connection, names)
    answers = await publish_one(connection, names, event, timeout=timeout)
    return next((answer for answer in answers if event_id_of(answer) == event.event_id), None)


def _show(public_id: str, found: OutputRecord | None, removed: tuple[str, ...], *, as_json: bool) -> None:
    if found is None:
        told = "its tags are as you say already, or its upload still waits for a busy source"
        click.echo(f"{public_id}: no tag changed; {told}", err=True)
        if removed:
            click.echo("names of tags must match, case and all: `tagstream images` shows them", err=True)
    elif as_json:
        click.echo(found.as_json())
    else:
        record_console().print(line(found))
        for word in without_effect(found, removed):
            click.echo(word, err=True)


def without_effect(found: OutputRecord, removed: tuple[str, ...]) -> list[str]:
    """Say which tags were to go that the image did not have, and what it has that is spelled alike."""
    if found.kind != "tag-update":
        return []
    changed = found.value["resources"][0]
    left = {folded(tag): tag for tag in found.value["tags"]}
    words = []
    for tag in removed:
        if tag not in changed["removed"]:
            alike = left.get(folded(tag))
            meant = f"; it has {alike!r}: did you mean that?" if alike not in {None, tag} else ""
            words.append(f"tag {tag!r} was not on the image{meant}")
    return words
