"""`tagstream publish`: upload events for photos, and what became of them."""

import asyncio
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.progress import Progress

from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer
from streams.cli.options import PORT, connection_to, give_up, kafka_options, require_topics, topic_names
from streams.cli.rendering import results_table
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputRecord
from streams.kafka.publishing import Publication, publish_and_wait

PHOTO_PORT = 6067
_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


@click.command()
@click.argument("sources", nargs=-1, required=True, metavar="FOLDER|FILE|URL…")
@kafka_options
@click.option(
    "--auto-tagging",
    type=click.FloatRange(0, 1),
    default=0.4,
    show_default=True,
    help="Tags with more confidence than this are assigned.",
)
@click.option("--categorization", help="Add-ons to run, separated by commas.")
@click.option("--user", help="Whose uploads these are.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for the results.")
@click.option("--serve-host", default="127.0.0.1", show_default=True, help="Address that serves local files.")
@click.option(
    "--serve-port", type=PORT, default=PHOTO_PORT, show_default=True, help="Port that serves local files."
)
@click.option("--json", "as_json", is_flag=True, help="One line of JSON per answer.")
def publish(  # noqa: PLR0917 - click passes each option by name
    sources: tuple[str, ...],
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    auto_tagging: float,
    categorization: str | None,
    user: str | None,
    timeout: float,
    serve_host: str,
    serve_port: int,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Publish an upload event per photo and show what comes back.

    Local files are served over HTTP by this command until the results are in. The worker must allow
    that source: `tagstream worker --allow-sources 127.0.0.1:6067`.

    Exit codes: 0 when every photo was tagged, 1 when one was not, 78 when nothing could be published.
    """
    try:
        files = [path for source in sources if not _is_url(source) for path in _photos(Path(source))]
        urls = [source for source in sources if _is_url(source)]
        template = UploadData(auto_tagging=auto_tagging, categorization=categorization, user_id=user)
        waiting = _publish(
            connection_to(broker),
            topic_names(app_id, topic_prefix),
            files,
            urls,
            template,
            (serve_host, serve_port),
            timeout,
            as_json,
        )
        publication = asyncio.run(waiting)
    except (ValueError, OSError, KafkaError) as error:
        give_up("publish", error)
    if not as_json:
        Console().print(results_table(publication))
    if publication.waiting:
        click.echo(
            f"{len(publication.waiting)} without an answer after {timeout:g} s: is a worker up?", err=True
        )
    sys.exit(1 if publication.waiting or publication.dead_letters else 0)


async def _publish(  # noqa: PLR0917 - one caller
    connection: KafkaConnection,
    names: TopicNames,
    files: list[Path],
    urls: list[str],
    template: UploadData,
    address: tuple[str, int],
    timeout: float,  # noqa: ASYNC109 - passed on
    as_json: bool,  # noqa: FBT001 - a flag
) -> Publication:
    await require_topics(connection, names)
    async with contextlib.AsyncExitStack() as stack:
        events = [_event(template, url.rstrip("/").rpartition("/")[2] or url, url) for url in urls]
        if files:
            server = await stack.enter_async_context(FileServer(files, *address))
            events += [_event(template, path.stem, server.url(i)) for i, path in enumerate(files)]
        progress = stack.enter_context(Progress(console=Console(stderr=True), transient=True))
        bar = progress.add_task("tagging", total=len(events))

        def show(answer: OutputRecord) -> None:
            progress.advance(bar)
            if as_json:
                click.echo(answer.as_json())

        return await publish_and_wait(connection, names, events, timeout=timeout, on_answer=show)


def _event(template: UploadData, public_id: str, url: str) -> UploadData:
    return UploadData(
        public_id=public_id[:255],
        url=url,
        auto_tagging=template.auto_tagging,
        categorization=template.categorization,
        user_id=template.user_id,
    )


def _is_url(source: str) -> bool:
    return source[:5].lower() == "data:" or "://" in source


def _photos(path: Path) -> Sequence[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"{str(path)!r} is no file, no folder and no URL")
    found = sorted(file for file in path.rglob("*") if file.suffix.lower() in _SUFFIXES)
    if not found:
        raise ValueError(f"folder {str(path)!r} holds no photos ({', '.join(sorted(_SUFFIXES))})")
    return found
