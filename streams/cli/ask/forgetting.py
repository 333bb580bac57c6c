"""`tagstream users forget`: all that was published of a user is taken back, in every partition."""

import asyncio
import sys
import uuid

import click
from aiokafka.errors import KafkaError

from schemas.topics import TopicNames
from schemas.uploads import UploadData, UploadType
from streams.cli.ask.image_edits import my_name
from streams.cli.options import connection_to, give_up, kafka_options, require_topics, topic_names
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import log_ends
from streams.kafka.output_follower import CommittedOffsets
from streams.kafka.publishing import publish_one

_ROUNDS = 2  # the event tells all partitions, and each of them goes on by itself


@click.command("forget", short_help="Forget a user: images, interests, histories, waiting uploads.")
@click.argument("user_id")
@kafka_options
@click.option("--tenant", help="Whose user it is.")
@click.option(
    "--by", default=my_name, show_default="your user name", help="Who asks; it is kept, the user is not."
)
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait until it is done.")
@click.option("--yes", is_flag=True, help="Do not ask first.")
def forget(  # noqa: PLR0917 - click passes each option by name
    user_id: str,
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    tenant: str | None,
    by: str,
    timeout: float,
    yes: bool,  # noqa: FBT001 - a flag
) -> None:
    """Forget a user: images and their histories, interests, uploads that wait; counts go down.

    What is published of the user from now on is new. Topics of events and results keep old records for their
    retention: see "Erasure" in the docs on operations.

    Exit codes: 0 when it is done, 1 when no worker did it in time, 78 when it cannot be published.
    """
    if not yes:
        click.confirm(f"Forget all that was published of user {user_id!r}?", abort=True)
    event = UploadData(
        type=UploadType.FORGOTTEN.value,
        user_id=user_id,
        tenant=tenant,
        event_id=uuid.uuid4().hex,
        by=by or None,
    )
    names = topic_names(app_id, topic_prefix)
    try:
        asyncio.run(_forget(connection_to(broker), names, event, timeout))
    except TimeoutError:
        click.echo(f"not done after {timeout:g} s: is a worker up? The event is published.", err=True)
        sys.exit(1)
    except (ValueError, OSError, KafkaError) as error:
        give_up("users forget", error)
    click.echo("forgotten in all partitions; of very many images the last go within seconds")


async def _forget(
    connection: KafkaConnection,
    names: TopicNames,
    event: UploadData,
    timeout: float,  # noqa: ASYNC109 - passed on
) -> None:
    await require_topics(connection, names)
    async with asyncio.timeout(timeout), CommittedOffsets(connection, names) as committed:
        begun = await log_ends(connection, names.upload_log)
        await publish_one(connection, names, event, timeout=timeout)
        for _ in range(_ROUNDS):
            ends = await log_ends(connection, names.upload_log)
            for partition, end in ends.items():
                if end > begun[partition]:
                    await committed.until(partition, end - 1)
