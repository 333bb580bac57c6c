"""`tagstream run`: the whole thing on one machine, with the sample photos."""

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import Any

import click
import httpx
from aiokafka.errors import KafkaError
from rich.console import Console

from schemas.topics import TopicNames
from schemas.uploads import UploadData
from streams.app.settings import Settings
from streams.cli.file_server import FileServer
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.cli.local.local_worker import PHOTO_HOST, Cluster, LocalWorker, free_port, local_worker
from streams.cli.local.run_views import NextSteps, cloudinary_url, last_words, trends_table
from streams.cli.local.supervisor import Supervisor
from streams.cli.options import PORT, connection_to, give_up, settings_options
from streams.cli.publish import PHOTO_PORT
from streams.cli.rendering import first_notes, line, results_table
from streams.cli.terminal import console
from streams.fold.rules.content import RulesFile, parse_rules, rules_bytes
from streams.gateway.requests.credentials_file import read_credentials
from streams.kafka.connection import KafkaConnection
from streams.kafka.publishing import Publication, publish_and_wait
from streams.own_files import make_own_folder
from streams.web.access.guard import Guard

USERS = ("u1", "u2")  # who uploads the photos, in turn
PHOTOS = Path(__file__).parents[2] / "photos"
THRESHOLD = 0.4
_READY_DEADLINE = 90.0
_ANSWER_DEADLINE = 60.0
_SHOWN = ("topic_prefix", "data_dir", "web_port", "gateway_port")


@click.command(short_help="Try all of it on this machine, with sample photos.")
@click.option(
    "--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: an embedded broker of its own]"
)
@settings_options(_SHOWN)
@click.option(
    "--photo-port",
    type=PORT,
    default=PHOTO_PORT,
    show_default=True,
    help="Port from which `tagstream publish` may serve yours; another one where it is taken.",
)
@click.option("--once", is_flag=True, help="Stop when the results are printed.")
def run(
    *,
    broker: str | None,
    photo_port: int,
    once: bool,
    **flags: object,
) -> None:
    """Start a broker and a worker, tag the sample photos, stay up until Ctrl-C.

    With --broker or KAFKA_BOOTSTRAP_SERVERS an existing cluster is used instead of the embedded broker. The
    data directory also holds the embedded broker's data and the worker's log.

    The worker has the settings of `tagstream worker`: its variables count, and its flags can be given here.
    What the run needs comes on top, such as the source of the photos; where it needs another value than
    yours, or a port is taken, it says so.

    Exit codes: 0 when the photos were tagged, 1 when one was not, 78 when something must be changed first.
    """
    out = console()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # until asyncio has a say: stop the children, too
    try:
        settings = Settings.from_mapping(os.environ, **flags)
        _check(settings)
        make_own_folder(settings.data_dir)
        with contextlib.ExitStack() as stack:
            cluster = _cluster(broker, settings.data_dir, out, stack)
            port = free_port(photo_port)
            if photo_port not in {0, port}:
                out.print(f"port {photo_port} is taken: serve yours from port {port}", style="yellow")
            samples = free_port(0)
            worker = local_worker(settings, flags, cluster, os.environ, (port, samples))
            show = _Show(out, settings, cluster.connection, worker, sample_port=samples, photo_port=port)
            code = asyncio.run(show.run(once=once))
    except KeyboardInterrupt:
        code = 0
    except (ValueError, OSError, KafkaError, RuntimeError) as error:
        give_up("run", error)
    sys.exit(code)


def _check(settings: Settings) -> None:
    """Refuse at once what the worker would refuse when all is up."""
    Guard.of(settings)
    if settings.tokens and not os.environ.get("TAGSTREAM_TOKEN"):
        raise ValueError("TAGSTREAM_TOKENS says that a token is needed: say one in TAGSTREAM_TOKEN")


def _cluster(broker: str | None, data_dir: Path, out: Console, stack: contextlib.ExitStack) -> Cluster:
    if broker or os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return Cluster(connection_to(broker), embedded=False)
    out.print("starting the embedded Kafka broker …")
    embedded = stack.enter_context(EmbeddedBroker(data_dir / "kafka"))
    return Cluster(KafkaConnection(embedded.bootstrap_servers), embedded=True)


def _threshold(settings: Settings) -> float | None:
    """The samples' own threshold, where neither the settings nor the rules name one."""
    rules = settings.rules
    content = RulesFile() if rules is None else parse_rules(rules_bytes(rules), rules)
    named = [content.of(add_on).threshold is not None for add_on in settings.default_add_ons]
    return None if settings.auto_tagging is not None or all(named) else THRESHOLD


class _Show:
    """One run: worker, photos, results."""

    def __init__(
        self,
        out: Console,
        settings: Settings,
        connection: KafkaConnection,
        worker: LocalWorker,
        *,
        sample_port: int,
        photo_port: int,
    ) -> None:
        self._out = out
        self._settings = settings
        self._names = TopicNames.of(settings)
        self._connection = connection
        self._worker = worker
        self._sample_port = sample_port
        self._photo_port = photo_port
        self._log_path = settings.data_dir / "worker.log"

    async def run(self, *, once: bool) -> int:
        for note in self._worker.notes:
            self._out.print(note, style="yellow", soft_wrap=True)
        worker = Supervisor(
            self._worker.arguments,
            self._worker.environment,
            log_path=str(self._log_path),
            on_restart=self._say_restarted,
        )
        worker.start()
        try:
            await _wait_until_ready(self._worker.api, worker, self._log_path)
            photos = sorted(PHOTOS.glob("*.jpg"))
            # As long as all stays up: the page shows them large.
            async with FileServer(photos, PHOTO_HOST, self._sample_port) as server:
                publication = await self._publish(photos, server)
                await self._print(publication)
                self._print_next(once=once)
                if not once:
                    await _until_signal()
        finally:
            self._out.print("stopping …")
            await worker.stop()
        failed = publication.waiting or len(publication.dead_letters) != 1
        return 1 if failed else 0

    def _say_restarted(self, code: int) -> None:
        told = f"the worker ended with {code} and is started again: {self._log_path}"
        self._out.print(told, style="yellow", soft_wrap=True)

    async def _publish(self, photos: list[Path], server: FileServer) -> Publication:
        threshold = _threshold(self._settings)
        events = [
            UploadData(public_id=path.stem, url=server.url(i), user_id=USERS[i % 2], auto_tagging=threshold)
            for i, path in enumerate(photos)
        ]
        missing = f"http://{PHOTO_HOST}:{server.port}/no-such-photo.jpg"
        events.append(UploadData(public_id="missing-photo", url=missing))
        self._out.print(f"publishing {len(events)} upload events to {self._names.uploads} …")
        return await publish_and_wait(
            self._connection,
            self._names,
            events,
            timeout=_ANSWER_DEADLINE,
            on_answer=lambda answer: self._out.print(line(answer)),
        )

    async def _print(self, publication: Publication) -> None:
        for update in publication.tag_updates:
            self._out.print(line(update))
        self._out.print(results_table(publication))
        for note in first_notes(publication):
            self._out.print(note, style="dim")
        url = f"{self._worker.api}/trends/top"
        async with _asking() as client:
            answer = (await client.get(url, params={"limit": 8})).json()
        self._out.print(f"\n{url}", style="dim")
        self._out.print(trends_table(answer))

    def _print_next(self, *, once: bool) -> None:
        log = f"Worker's log: {self._log_path}."
        if once:
            self._out.print(f"\n{log} Without --once all stays up, to be asked and fed.", soft_wrap=True)
            return
        serve_port = None if self._photo_port == PHOTO_PORT else self._photo_port
        servers = self._connection.bootstrap_servers
        steps = NextSteps(servers, self._names.prefix, serve_port, self._worker.api, self._cloudinary_url())
        self._out.print(f"\n{steps.text()}\n{log} Ctrl-C stops everything.", soft_wrap=True)

    def _cloudinary_url(self) -> str:
        return cloudinary_url(read_credentials(self._settings.credentials_file), self._worker.gateway)


async def _wait_until_ready(api: str, worker: Supervisor, log_path: Path) -> None:
    try:
        async with asyncio.timeout(_READY_DEADLINE):
            await _ready(api, worker, log_path)
    except TimeoutError:
        fault = f"the worker is not ready after {_READY_DEADLINE:.0f} s"
        raise RuntimeError(f"{fault}; {last_words(log_path)}") from None


async def _ready(api: str, worker: Supervisor, log_path: Path) -> None:
    async with _asking() as client:
        while True:
            if worker.ended is not None:
                raise RuntimeError(f"the worker ended with {worker.ended}; {last_words(log_path)}")
            with contextlib.suppress(httpx.TransportError):
                health: dict[str, Any] = (await client.get(f"{api}/readyz")).json()
                if health.get("partitions"):
                    answer = await client.get(f"{api}/readyz")
                    if answer.status_code == httpx.codes.OK:
                        return
            await asyncio.sleep(0.1)


def _asking() -> httpx.AsyncClient:
    token = os.environ.get("TAGSTREAM_TOKEN")
    return httpx.AsyncClient(trust_env=False, headers={"authorization": f"Bearer {token}"} if token else None)


async def _until_signal() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
