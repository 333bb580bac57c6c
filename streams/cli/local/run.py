"""`tagstream run`: the whole thing on one machine, with the sample photos."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

import click
import httpx
from aiokafka.errors import KafkaError
from rich.console import Console
from rich.table import Table

from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.cli.file_server import FileServer
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.cli.local.supervisor import Supervisor
from streams.cli.options import PORT, connection_to, give_up, kafka_options, topic_names
from streams.cli.publish import PHOTO_PORT
from streams.cli.rendering import line, results_table
from streams.kafka.connection import KafkaConnection
from streams.kafka.publishing import Publication, publish_and_wait

USERS = ("u1", "u2")  # who uploads the photos, in turn
PHOTOS = Path(__file__).parents[2] / "photos"
_READY_DEADLINE = 90.0
_ANSWER_DEADLINE = 60.0


@click.command()
@kafka_options
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path(".tagstream"),
    show_default=True,
    help="Directory of the broker's data, the worker's files and its log.",
)
@click.option(
    "--web-port",
    type=PORT,
    default=6066,
    show_default=True,
    help="Port of the query API; another one where it is taken.",
)
@click.option(
    "--photo-port",
    type=PORT,
    default=PHOTO_PORT,
    show_default=True,
    help="Port that serves the photos; another one where it is taken.",
)
@click.option("--once", is_flag=True, help="Stop when the results are printed.")
def run(  # noqa: PLR0917 - click passes each option by name
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    data_dir: Path,
    web_port: int,
    photo_port: int,
    once: bool,  # noqa: FBT001 - a flag
) -> None:
    """Start a broker and a worker, tag the sample photos, and stay up until Ctrl-C.

    With --broker or KAFKA_BOOTSTRAP_SERVERS an existing cluster is used instead of the embedded broker.

    Exit codes: 0 when the photos were tagged, 1 when one was not, 78 when something must be changed first.
    """
    if os.environ.get("TAGSTREAM_TOKENS") and not os.environ.get("TAGSTREAM_TOKEN"):
        give_up("run", "TAGSTREAM_TOKENS says that a token is needed: say one in TAGSTREAM_TOKEN")
    console = Console()
    signal.signal(signal.SIGTERM, _interrupt)  # until asyncio has a say: stop the children, too
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            if not broker and not os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
                console.print("starting the embedded Kafka broker …")
                broker = stack.enter_context(EmbeddedBroker(data_dir / "kafka")).bootstrap_servers
            show = _Show(console, connection_to(broker), topic_names(app_id, topic_prefix), data_dir)
            code = asyncio.run(show.run(_free(web_port), _free(photo_port), once=once))
    except KeyboardInterrupt:
        code = 0
    except (ValueError, OSError, KafkaError, RuntimeError) as error:
        give_up("run", error)
    sys.exit(code)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _free(port: int) -> int:
    """This `port` if it is free on loopback, else one that is."""
    for candidate in (port, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", candidate)) as probe:
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


class _Show:
    """One run: worker, photos, results."""

    def __init__(
        self, console: Console, connection: KafkaConnection, names: TopicNames, data_dir: Path
    ) -> None:
        self._console = console
        self._connection = connection
        self._names = names
        self._data_dir = data_dir

    async def run(self, web_port: int, photo_port: int, *, once: bool) -> int:
        api = f"http://127.0.0.1:{web_port}"
        worker = self._worker(web_port, photo_port)
        worker.start()
        try:
            await _wait_until_ready(api, worker, self._log_path)
            photos = sorted(PHOTOS.glob("*.jpg"))
            async with FileServer(photos, "127.0.0.1", photo_port) as server:
                publication = await self._publish(photos, server)
            await self._print(publication, api, photo_port)
            if not once:
                await _until_signal()
        finally:
            self._console.print("stopping …")
            await worker.stop()
        failed = publication.waiting or len(publication.dead_letters) != 1
        return 1 if failed else 0

    @property
    def _log_path(self) -> Path:
        return self._data_dir / "worker.log"

    def _worker(self, web_port: int, photo_port: int) -> Supervisor:
        arguments = {
            "--broker": self._connection.bootstrap_servers,
            "--app-id": self._names.app_id,
            "--topic-prefix": self._names.prefix,
            "--data-dir": str(self._data_dir),
            "--web-port": str(web_port),
            "--allow-sources": f"127.0.0.1:{photo_port}",
        }
        flat = [part for pair in arguments.items() for part in pair]
        return Supervisor(flat, {}, log_path=str(self._log_path), on_restart=self._say_restarted)

    def _say_restarted(self, code: int) -> None:
        self._console.print(f"[yellow]the worker ended with {code} and is started again: {self._log_path}")

    async def _publish(self, photos: list[Path], server: FileServer) -> Publication:
        events = [
            UploadData(public_id=path.stem, url=server.url(i), user_id=USERS[i % 2], auto_tagging=0.4)
            for i, path in enumerate(photos)
        ]
        missing = f"http://127.0.0.1:{server.port}/no-such-photo.jpg"
        events.append(UploadData(public_id="missing-photo", url=missing))
        self._console.print(f"publishing {len(events)} upload events to {self._names.uploads} …")
        return await publish_and_wait(
            self._connection,
            self._names,
            events,
            timeout=_ANSWER_DEADLINE,
            on_answer=lambda answer: self._console.print(line(answer)),
        )

    async def _print(self, publication: Publication, api: str, photo_port: int) -> None:
        for update in publication.tag_updates:
            self._console.print(line(update))
        self._console.print(results_table(publication))
        async with _asking() as client:
            answer = (await client.get(f"{api}/trends/top", params={"limit": 8})).json()
        self._console.print(f"{api}/trends/top", style="dim", highlight=False)
        trends = Table()
        trends.add_column("tag")
        trends.add_column("images", justify="right")
        for row in answer["tags"]:
            trends.add_row(row["tag"], str(row["count"]))
        self._console.print(trends)
        flags = f"--broker {self._connection.bootstrap_servers}"
        if self._names.prefix:
            flags += f" --topic-prefix {self._names.prefix}"
        serve = "" if photo_port == PHOTO_PORT else f" --serve-port {photo_port}"
        self._console.print(
            "\nTry next, in another terminal:\n"
            f"  .venv/bin/tagstream tail {flags}\n"
            f"  .venv/bin/tagstream publish {flags}{serve} YOUR_PHOTOS/\n"
            f"  curl '{api}/trends/top?limit=5'\n"
            f"Worker's log: {self._log_path}. Ctrl-C stops everything.",
            highlight=False,
            soft_wrap=True,
        )


async def _wait_until_ready(api: str, worker: Supervisor, log_path: Path) -> None:
    try:
        async with asyncio.timeout(_READY_DEADLINE):
            await _ready(api, worker, log_path)
    except TimeoutError:
        fault = f"the worker is not ready after {_READY_DEADLINE:.0f} s"
        raise RuntimeError(f"{fault}; the end of {log_path}:\n{_last_lines(log_path)}") from None


async def _ready(api: str, worker: Supervisor, log_path: Path) -> None:
    async with _asking() as client:
        while True:
            if worker.ended is not None:
                fault = f"the worker ended with {worker.ended}"
                raise RuntimeError(f"{fault}; the end of {log_path}:\n{_last_lines(log_path)}")
            with contextlib.suppress(httpx.TransportError):
                if (await client.get(f"{api}/readyz")).json()["partitions"]:
                    answer = await client.get(f"{api}/readyz")
                    if answer.status_code == httpx.codes.OK:
                        return
            await asyncio.sleep(0.1)


def _asking() -> httpx.AsyncClient:
    token = os.environ.get("TAGSTREAM_TOKEN")
    return httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {token}"} if token else None)


def _last_lines(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-10:])


async def _until_signal() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
