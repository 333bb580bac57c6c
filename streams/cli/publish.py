"""`tagstream publish`: upload events for photos, and what became of them."""

import asyncio
import contextlib
import sys

import click
import msgspec
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import Progress

from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer
from streams.cli.options import PORT, connection_to, give_up, kafka_options, require_topics, topic_names
from streams.cli.rendering import results_table, untagged_note
from streams.cli.sources import Photo, Sources
from streams.cli.terminal import console
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputRecord
from streams.kafka.publishing import Publication, publish_and_wait

PHOTO_PORT = 6067


@click.command(short_help="Publish an event per photo and show what comes back.")
@click.argument("named", nargs=-1, required=True, metavar="FOLDER|FILE|URL…")
@kafka_options
@click.option("--public-id-prefix", default="", help="Put before each public id, such as holiday/. [empty]")
@click.option("--keep-extension", is_flag=True, help="Public ids end as the files do: a.jpg is a.jpg, not a.")
@click.option(
    "--auto-tagging",
    type=click.FloatRange(0, 1),
    default=0.4,
    show_default=True,
    help="Tags with more confidence than this are assigned.",
)
@click.option(
    "--categorization", help="Add-ons to run, separated by commas. [the worker's TAGSTREAM_CATEGORIZATION]"
)
@click.option("--user", help="Whose uploads these are. [nobody's]")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Seconds without an answer after which the rest is given up.",
)
@click.option("--serve-host", default="127.0.0.1", show_default=True, help="Address that serves local files.")
@click.option(
    "--serve-port", type=PORT, default=PHOTO_PORT, show_default=True, help="Port that serves local files."
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per answer.")
def publish(  # noqa: PLR0917 - click passes each option by name
    named: tuple[str, ...],
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    public_id_prefix: str,
    keep_extension: bool,  # noqa: FBT001 - a flag
    auto_tagging: float,
    categorization: str | None,
    user: str | None,
    timeout: float,
    serve_host: str,
    serve_port: int,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Publish an upload event per photo and show what comes back.

    An image's public id is the photo's path below the FOLDER that is named, or the name of the FILE, or the
    last part of the URL's path, each without the extension of a photo. Photos that would get the same one
    are refused before anything is published.

    Local files are served over HTTP by this command until the results are in. The worker must allow
    that source: `tagstream worker --allow-sources 127.0.0.1:6067`; that of `tagstream run` does.

    Exit codes: 0 when every photo was tagged, 1 when one was not, 78 when nothing could be published.
    """
    try:
        sources = Sources(named, public_id_prefix, keep_extension=keep_extension)
        if sources.left_out:
            click.echo(f"left out: {sources.left_out_text()}", err=True)
        template = UploadData(auto_tagging=auto_tagging, categorization=categorization, user_id=user)
        waiting = _publish(
            connection_to(broker),
            topic_names(app_id, topic_prefix),
            sources.photos,
            template,
            (serve_host, serve_port),
            timeout,
            as_json,
        )
        publication = asyncio.run(waiting)
    except (ValueError, OSError, KafkaError) as error:
        give_up("publish", error)
    if not as_json:
        out = console()
        out.print(results_table(publication))
        if note := untagged_note(publication, auto_tagging):
            out.print(note)
    if publication.waiting:
        fault = f"{len(publication.waiting)} without an answer, and none came for {timeout:g} s"
        click.echo(f"{fault}: is a worker up?", err=True)
    sys.exit(1 if publication.waiting or publication.dead_letters else 0)


async def _publish(  # noqa: PLR0917 - one caller
    connection: KafkaConnection,
    names: TopicNames,
    photos: list[Photo],
    template: UploadData,
    address: tuple[str, int],
    timeout: float,  # noqa: ASYNC109 - passed on
    as_json: bool,  # noqa: FBT001 - a flag
) -> Publication:
    await require_topics(connection, names)
    async with contextlib.AsyncExitStack() as stack:
        urls = [photo.source for photo in photos]
        here = {place: photo.file for place, photo in enumerate(photos) if photo.file}
        if here:
            server = await stack.enter_async_context(FileServer(list(here.values()), *address))
            for index, place in enumerate(here):
                urls[place] = server.url(index)
        events = [_event(template, photo.public_id, url) for photo, url in zip(photos, urls, strict=True)]
        progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
        bar = progress.add_task("tagging", total=len(events))

        def show(answer: OutputRecord) -> None:
            progress.advance(bar)
            if as_json:
                click.echo(answer.as_json())

        return await publish_and_wait(connection, names, events, timeout=timeout, on_answer=show)


def _event(template: UploadData, public_id: str, url: str) -> UploadData:
    return msgspec.structs.replace(template, public_id=public_id, url=url)
