"""The role `gateway`: calls of Cloudinary's and Imagga's clients, on a port of their own."""

import asyncio
import contextlib
import logging
import os
import socket
import time
from contextlib import AsyncExitStack
from pathlib import Path

from model.tagger.languages import TagNames
from schemas.topics import TopicNames
from streams.app.assembly import fetch_limits, open_taggers
from streams.app.services.listening import listen
from streams.app.services.service import Spawn, WebPart
from streams.app.services.tagging import Tagging
from streams.app.settings import Settings
from streams.app.telemetry import WorkerTelemetry
from streams.fetch.addresses import AddressPolicy
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import ObjectStore
from streams.gateway.assembly import Gateway, Limits
from streams.gateway.assets.events import Events
from streams.gateway.assets.library import Library
from streams.gateway.assets.publisher import Publisher
from streams.gateway.assets.sweeper import Sweeper
from streams.gateway.connections import GatewayConnection
from streams.gateway.requests.credentials_file import CredentialsFile, new_credentials
from streams.gateway.requests.options import check_preset
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.publishing import UploadLog
from streams.kafka.topic_ids import topic_id
from streams.own_files import make_own_folder
from streams.repartition.ends import folded_ends
from streams.state.replica import Replica
from streams.tag.looking import Looker
from streams.web.server import WebServer

log = logging.getLogger(__name__)

DEMO = "demo"
_LOADED_INTERVAL = 0.05  # seconds between two looks whether the library is whole


class GatewayService:
    """Serves the gateway's application once its library is whole.

    Attributes:
        library: An index of the replica.
        port: Where it listens; 0 until it does.
    """

    web = WebPart()

    def __init__(
        self,
        settings: Settings,
        connection: KafkaConnection,
        names: TopicNames,
        telemetry: WorkerTelemetry,
        tagging: Tagging | None,
    ) -> None:
        """Prepare.

        Args:
            settings: The operator's.
            connection: How to reach Kafka.
            names: The deployment's topics.
            telemetry: Is told how models do.
            tagging: The role `tag`, where this process has it: its models answer Imagga's API.
        """
        self.library = Library(self._catch_up)
        self.port = 0
        self._settings = settings
        self._connection = connection
        self._names = names
        self._telemetry = telemetry
        self._tagging = tagging
        self._looker: Looker | None = None
        self._meter = telemetry.gateway
        self._replica: Replica | None = None
        self._credentials: CredentialsFile | None = None
        self._fetcher: Fetcher | None = None
        self._objects = ObjectStore.parse(settings.object_store, settings.data_dir)
        self._events: Events | None = None
        self._stack = AsyncExitStack()
        self._wanted_port = settings.gateway_port or _free_port(settings.gateway_host)

    @property
    def waits_for(self) -> str | None:
        """The library."""
        return None if self.port else "loading the gateway's library"

    async def open(self, stack: AsyncExitStack) -> None:
        """Read who may call.

        Raises:
            SettingsError: The credentials or the allowed sources cannot be read.
        """
        settings = self._settings
        if settings.credentials is None:
            await asyncio.to_thread(make_credentials, settings.credentials_file)
        self._credentials = CredentialsFile(
            settings.credentials_file,
            time.monotonic,
            lambda preset: check_preset(preset, settings.model_folders),
        )
        policy = AddressPolicy.parse(settings.allow_sources)
        self._fetcher = await stack.enter_async_context(Fetcher(policy, fetch_limits(settings)))

        if settings.imagga_api:
            self._looker = await self._open_looker(stack)

    async def _open_looker(self, stack: AsyncExitStack) -> Looker | None:
        await asyncio.to_thread(TagNames.load)
        if self._tagging is not None:
            return self._tagging.looker
        return (await open_taggers(self._settings, stack, self._telemetry)).looker

    async def start(self, replica: Replica, spawn: Spawn) -> None:
        """Wait until the library is whole, then listen.

        Raises:
            SettingsError: The address cannot be listened on.
        """
        if self._credentials is None or self._fetcher is None:
            raise RuntimeError("it was not opened")
        self._replica = replica
        uploads = await self._stack.enter_async_context(UploadLog(self._connection, self._names))
        publisher = Publisher(uploads)
        events = self._events = Events(publisher, self.library, self._names, lambda: replica.states)
        spawn(events.listen(self._connection, self._names))
        await events.listens.wait()
        while not replica.loaded:  # noqa: ASYNC110 - a replica wakes nobody
            await asyncio.sleep(_LOADED_INTERVAL)
        settings = self._settings
        limits = Limits(
            frozenset(settings.model_folders),
            settings.max_upload_bytes,
            settings.max_image_bytes,
            settings.max_bytes_in_flight,
            settings.decoded_formats,
        )
        gateway = Gateway(
            self.library, events, self._objects, self._fetcher, self._credentials, limits, self._looker
        )
        spawn(self._sweeper(replica).run(settings.sweep_after / 2))
        app = gateway.app(settings.gateway_url or self._own_url(), self._meter)
        server = WebServer(app, GatewayConnection)
        await self._listen(server)

    def _sweeper(self, replica: Replica) -> Sweeper:
        return Sweeper(
            self._objects,
            self.library,
            lambda: replica.states,
            lambda: folded_ends(self._connection, self._names),
            grace=self._settings.sweep_after,
            owner=self._log,
            swept=self._meter.note_swept if self._meter else None,
        )

    async def _log(self) -> str:
        """What tells the log of this deployment from others: the topic, and its id where it has one."""
        async with consuming(self._connection) as consumer:
            found = await topic_id(consumer._client, self._names.uploads)  # noqa: SLF001 - as log_ends does
        return f"{self._names.uploads} {found or ''}".strip()

    async def _listen(self, server: WebServer) -> None:
        self.port = await listen(server, self._settings, "gateway", self._wanted_port)
        self._stack.push_async_callback(server.stop)
        log.info("gateway on http://%s:%d", self._settings.gateway_host, self.port)

    def _own_url(self) -> str:
        return f"http://{self._settings.gateway_host}:{self._wanted_port}"

    async def stop(self) -> None:
        """Answer what waits, and take no more calls."""
        if self._events is not None:
            self._events.close()
        await self._stack.aclose()

    async def _catch_up(self) -> None:
        if self._replica is not None:
            await self._replica.catch_up("images")


def _free_port(host: str) -> int:
    """A port that is free now: answers name it before it is listened on."""
    with contextlib.suppress(OSError), socket.create_server((host, 0)) as probe:
        return int(probe.getsockname()[1])
    return 0


def make_credentials(path: Path) -> None:
    """Make a file with a key for a cloud to try, if there is none; nobody else may read it."""
    make_own_folder(path.parent)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    key, _, lines = new_credentials(DEMO)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(lines)
    log.info("made a key %s of the cloud %s in %s", key, DEMO, path)
