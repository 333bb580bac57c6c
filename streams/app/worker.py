"""One worker process: what it is made of, and the order in which that starts and stops."""

import asyncio
import contextlib
import functools
import logging
import signal
from collections.abc import Awaitable, Coroutine, Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from schemas.contracts.asyncapi import document
from streams.app.checks.repeated import RepeatedChecks
from streams.app.exit import end_process
from streams.app.exit_journal import ExitJournal
from streams.app.faust.app import Tagstream
from streams.app.services.answering import Answering
from streams.app.services.gateway import GatewayService
from streams.app.services.listening import listen
from streams.app.services.page import ShowingPage
from streams.app.services.query_indexes import QueryIndexes
from streams.app.services.registering import RegisteringSchemas
from streams.app.services.repartitioning import RepartitioningUploads
from streams.app.services.service import Service, WebPart
from streams.app.services.tagging import Tagging
from streams.app.services.telling import Telling
from streams.app.services.trends import TellingTrends
from streams.app.telemetry import WorkerTelemetry
from streams.kafka.admin import wait_for_topics
from streams.kafka.watch import KafkaWatch
from streams.state.replica import Replica
from streams.state.snapshots import SnapshotKeeper, Snapshots
from streams.telemetry.loop_watch import LoopWatch
from streams.telemetry.tracing import NO_TRACING, Tracing
from streams.units.unit import Unit
from streams.web.access.guard import Guard
from streams.web.api.health import HealthRoutes
from streams.web.app import create_api
from streams.web.channels_page import ENTRIES, channel_handlers
from streams.web.server import WebServer

if TYPE_CHECKING:
    from litestar import Litestar

    from schemas.results import ModelInfo
    from streams.kafka.checks.findings import Finding
    from streams.state.loading import Index
    from streams.tag.rules_watch import RulesWatch

log = logging.getLogger(__name__)

READY, WAITING = "ready", "waiting for Kafka"
_CLOSED = "this worker answers no questions; ask one with the role query"


class Worker:
    """A worker around a Faust application.

    Attributes:
        port: Where the query API listens.
        journal: How its earlier lives ended, and this one.
    """

    def __init__(self, app: Tagstream, tracing: Tracing = NO_TRACING) -> None:
        self.settings = app.settings
        self.port = app.settings.web_port
        self._app = app
        self._connection = app.connection
        self._tracing = tracing
        self._status = "starting"
        settings = app.settings
        self.journal = ExitJournal(settings.data_dir, settings.instance_id or str(settings.web_port))
        self._end_process = functools.partial(end_process, app.connection, self.journal)
        self._watch: KafkaWatch | None = None
        self._checks = RepeatedChecks(app.connection, settings)
        self._query_indexes = QueryIndexes(app.settings)
        self._telemetry = WorkerTelemetry(settings, app.names)
        self._tagging: Tagging | None = None
        self._gateway: GatewayService | None = None
        self._services = self._services_of_roles()
        self._background: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()

    def _services_of_roles(self) -> list[Service]:
        services: list[Service] = []
        tags, answers = self.settings.tags, self.settings.answers
        registering = self._registering() if tags or self.settings.judges_trends else None
        headers = registering.headers if registering else {}
        if tags:
            self._tagging = Tagging(self._app, self._telemetry, self._tracing, self._end_process, headers)
            services.append(self._tagging)
            if self._app.names.copied:
                repartitioning = RepartitioningUploads(
                    self.settings, self._connection, self._telemetry, lambda: self.units, self._end_process
                )
                services.append(repartitioning)
        if answers:
            services.append(Answering(self._query_indexes, alone=not tags))
        if self.settings.is_gateway:
            self._gateway = GatewayService(
                self.settings, self._connection, self._app.names, self._telemetry, self._tagging
            )
            services.append(self._gateway)
        if self.settings.tells:
            telling = Telling(self.settings, self._connection, self._telemetry, self._end_process)
            services.append(telling)
        if self.settings.judges_trends:
            trends = TellingTrends(
                self.settings, self._connection, self._end_process, headers, self._telemetry
            )
            services.append(trends)
        if self.settings.is_page:
            indexes = self._query_indexes
            services.append(ShowingPage(self.settings, self._connection, self._app.names, indexes, self))
        return [*services, registering] if registering else services

    def _registering(self) -> RegisteringSchemas | None:
        url = self.settings.schema_registry
        return RegisteringSchemas(url, self._app.names) if url else None

    @property
    def _indexes(self) -> list["Index"]:
        questions = self._query_indexes.indexes if self.settings.answers else ()
        return [*questions, *([self._gateway.library] if self._gateway else [])]

    @property
    def units(self) -> Mapping[int, Unit]:
        """The partitions in work."""
        return self._tagging.units if self._tagging else {}

    @property
    def rules(self) -> "RulesWatch | None":
        """The rules for tags; None before they are read."""
        return self._tagging.rules if self._tagging else None

    @property
    def models(self) -> "Mapping[str, ModelInfo]":
        """The model behind each add-on that is offered; nothing before they are loaded."""
        looker = self._tagging.looker if self._tagging else None
        return looker.models if looker else {}

    @property
    def circuits(self) -> list[str] | None:
        """The hosts that are left alone as they failed; None: nothing is fetched here."""
        circuits = self._tagging.circuits if self._tagging else None
        return None if circuits is None else circuits.open_hosts

    @property
    def findings(self) -> "list[Finding] | None":
        """What the doctor's checks found the last time; None: there was none yet."""
        return self._checks.findings

    @property
    def status(self) -> str:
        """What it does: starting, waiting for Kafka, …, ready, stopping."""
        if self._status != READY:
            return self._status
        waits = next(filter(None, (service.waits_for for service in self._services)), None)
        silent = self._watch is not None and not self._watch.answers
        return waits or (WAITING if silent else READY)

    @property
    def starting(self) -> bool:
        """Whether it has not asked for Kafka yet: all that it has met are settings, files and addresses."""
        return self._status == "starting"

    def stop(self) -> None:
        """Ask for a graceful stop."""
        self._status = "stopping"
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            ManifestError: A model folder cannot be used.
            TopicsError: The cluster's topics do not fit the settings.
            KafkaRefusalError: Kafka does not let us in.
            SettingsError: The allowed sources or the rules cannot be read, nobody said who may ask, or the
                query API's address cannot be listened on.
        """
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(self._tracing.close)
            server = WebServer(self._api())
            self.port = await listen(server, self.settings, "web")
            fail = functools.partial(self._end_process, "event loop")
            loop_watch = stack.enter_context(LoopWatch(self.settings.loop_limit, fail))
            stack.push_async_callback(server.stop)
            log.info("query API on http://%s:%d", self.settings.web_host, self.port)
            self.journal.begin()
            await self._telemetry.start(stack)
            self._telemetry.read_restarts(self.journal.restarts)
            self._telemetry.read_loop(loop_watch)
            for service in self._services:
                await service.open(stack)
            self._status = WAITING
            finding = asyncio.create_task(wait_for_topics(self._connection, self.settings))
            await self._until_first(finding)
            if self._stopping.is_set():
                finding.cancel()
            else:
                await finding
                await self._with_state()
        self.journal.end("stopped")

    def _api(self) -> "Litestar":
        parts = [self._channels(), *(service.web for service in self._services)]
        return create_api(
            [*HealthRoutes(self).routes(), *self._query_indexes.routes()],
            guard=Guard.of(self.settings),
            closed=None if self.settings.answers else _CLOSED,
            handlers=[handler for part in parts for handler in part.handlers],
            entries={path: entry for part in parts for path, entry in part.entries.items()},
            middleware=[middleware for part in parts for middleware in part.middleware],
            cookies=any(part.cookies for part in parts),
            meter=self._telemetry.queries,
        )

    def _channels(self) -> WebPart:
        settings = self.settings
        told = document(
            self._app.names,
            version("tagstream"),
            partitions=settings.partitions,
            replication=settings.replication,
        )
        return WebPart(channel_handlers(told), ENTRIES)

    async def _with_state(self) -> None:
        settings, names = self.settings, self._app.names
        replica = Replica(
            self._connection,
            names,
            settings.partitions,
            follows=settings.answers or settings.is_gateway,
            indexes=self._indexes,
            prepare=self._query_indexes.prepare if settings.answers else None,
        )
        self._telemetry.read_replica(replica)
        snapshots = Snapshots(settings.snapshot_dir, names)
        self._telemetry.read_snapshots(snapshots.results)
        keeper = SnapshotKeeper(replica, snapshots)
        if settings.snapshot_interval:
            self._status = "loading snapshots"
            await keeper.restore_all()
            self._spawn(keeper.run(settings.snapshot_interval))
        group = settings.app_id if settings.tags else None
        self._watch = KafkaWatch(self._connection, names, settings.partitions, group)
        self._telemetry.read_watch(self._watch)
        self._spawn(self._watch.run())
        self._check_again()
        self._spawn(replica.run())
        try:
            await self._serve(replica)
        finally:
            for task in self._background:
                task.cancel()
            if settings.snapshot_interval:
                await keeper.save_all()

    def _check_again(self) -> None:
        if self.settings.check_interval and (self._telemetry.port is not None or self.settings.is_page):
            self._telemetry.read_checks(lambda: self._checks.findings)
            self._spawn(self._checks.run())

    async def _serve(self, replica: Replica) -> None:
        self._status = "stopping" if self._stopping.is_set() else READY
        starting = [asyncio.create_task(service.start(replica, self._spawn)) for service in self._services]
        for task in starting:
            task.add_done_callback(self._end_if_failed)
        try:
            await self._stopping.wait()
        finally:
            for task in starting:
                task.cancel()
            for service in self._services:
                await service.stop()

    async def _until_first(self, *awaited: Awaitable[object]) -> None:
        """Wait until one of these is done, or until a stop is asked for."""
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = {asyncio.ensure_future(each) for each in awaited}
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._end_if_failed)
        self._background.append(task)
        return task

    def _end_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end_process(f"{task.get_coro()}", error)


async def run_until_signal(worker: Worker) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()
