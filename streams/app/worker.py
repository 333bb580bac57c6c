"""One worker process: what it is made of, and the order in which that starts and stops."""

import asyncio
import contextlib
import functools
import logging
import signal
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from schemas.errors import SettingsError
from streams.app.assembly import fold_rules_of, open_categorizer, unit_maker
from streams.app.exit import end_process
from streams.app.exit_journal import ExitJournal
from streams.app.faust.app import Tagstream
from streams.app.owned_units import OwnedUnits
from streams.app.query_indexes import QueryIndexes
from streams.app.settings import variable
from streams.app.telemetry import WorkerTelemetry
from streams.kafka.admin import wait_for_topics
from streams.kafka.watch import KafkaWatch
from streams.state.replica import Replica
from streams.state.snapshots import SnapshotKeeper, Snapshots
from streams.telemetry.tracing import NO_TRACING, Tracing
from streams.units.unit import Unit
from streams.units.work import Work
from streams.web.access.guard import Guard
from streams.web.api.health import HealthRoutes
from streams.web.app import create_api
from streams.web.server import WebServer

if TYPE_CHECKING:
    from streams.tag.rules_watch import RulesWatch

log = logging.getLogger(__name__)

READY, WAITING = "ready", "waiting for Kafka"
_STOP_DEADLINE = 10.0  # seconds that a graceful stop may take after its partitions are given back


class Worker:
    """A worker around a Faust application.

    Attributes:
        port: Where the query API listens.
        rules: The rules for tags; None before they are read.
        journal: How its earlier lives ended, and this one.
    """

    def __init__(self, app: Tagstream, tracing: Tracing = NO_TRACING) -> None:
        self.settings = app.settings
        self.port = app.settings.web_port
        self.rules: RulesWatch | None = None
        self._app = app
        self._connection = app.connection
        self._tracing = tracing
        self._status = "starting"
        settings = app.settings
        self.journal = ExitJournal(settings.data_dir, settings.instance_id or str(settings.web_port))
        self._end_process = functools.partial(end_process, app.connection, self.journal)
        self._watch: KafkaWatch | None = None
        self._owned: OwnedUnits | None = None
        self._query_indexes = QueryIndexes(app.settings)
        self._telemetry = WorkerTelemetry(settings, app.names)
        self._stopping = asyncio.Event()

    @property
    def units(self) -> dict[int, Unit]:
        """The partitions in work."""
        return self._owned.units if self._owned else {}

    @property
    def status(self) -> str:
        """What it does: starting, waiting for Kafka, …, ready, stopping."""
        if self._status == READY and self._watch is not None and not self._watch.answers:
            return WAITING
        return self._status

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
            closed = None if self.settings.queries else "this worker only tags; ask one with queries on"
            routes = [*HealthRoutes(self).routes(), *self._query_indexes.routes()]
            guard, meter = Guard.of(self.settings), self._telemetry.queries
            server = WebServer(create_api(routes, guard=guard, closed=closed, meter=meter))
            self.port = await self._listen(server)
            stack.push_async_callback(server.stop)
            log.info("query API on http://%s:%d", self.settings.web_host, self.port)
            self.journal.begin()
            await self._telemetry.start(stack)
            self._telemetry.read_restarts(self.journal.restarts)
            self._telemetry.read_units(lambda: self.units)
            work = await self._work(stack)
            self._status = WAITING
            finding = asyncio.create_task(wait_for_topics(self._connection, self.settings))
            await self._until_first(finding)
            if self._stopping.is_set():
                finding.cancel()
            else:
                await finding
                await self._with_state(work)
        self.journal.end("stopped")

    async def _listen(self, server: WebServer) -> int:
        host, port = self.settings.web_host, self.settings.web_port
        try:
            return await server.start(host, port)
        except OSError as error:
            said = f"{variable('web_host')}={host!r}, {variable('web_port')}={port}"
            cure = "choose another address or port, or stop what listens there"
            raise SettingsError(f"{said}: {error.strerror or error}; {cure}") from error

    async def _with_state(self, work: Work) -> None:
        settings, names = self.settings, self._app.names
        replica = Replica(
            self._connection,
            names,
            settings.partitions,
            follows=settings.queries,
            indexes=self._query_indexes.indexes if settings.queries else (),
            prepare=self._query_indexes.prepare,
        )
        self._query_indexes.follow(replica)
        self._telemetry.read_replica(replica)
        keeper = SnapshotKeeper(replica, Snapshots(settings.data_dir / "state", settings.app_id))
        if settings.snapshot_interval:
            self._status = "loading snapshots"
            await keeper.restore_all()
        self._watch = KafkaWatch(self._connection, names, settings.partitions)
        services = [replica.run(), self._query_indexes.keep_up(), self._watch.run()]
        if settings.snapshot_interval:
            services.append(keeper.run(settings.snapshot_interval))
        background = [asyncio.create_task(service) for service in services]
        for task in background:
            task.add_done_callback(self._end_if_failed)
        owned = self._owned = OwnedUnits(replica, unit_maker(settings, self._connection, names, work))
        try:
            await self._serve(owned)
        finally:
            for task in background:
                task.cancel()
            if settings.snapshot_interval:
                await keeper.save_all()

    async def _serve(self, owned: OwnedUnits) -> None:
        app = self._app
        self._status = "joining the group"
        app.work_with(owned, self._give_way)
        app.finalize()
        starting = asyncio.create_task(app.start())
        starting.add_done_callback(self._end_if_failed)
        try:
            await self._until_first(starting)
            crash = asyncio.create_task(app.wait_until_stopped())
            await self._until_first(app.assigned.wait(), crash)
            self._status = READY if app.assigned.is_set() else self._status
            await self._until_first(crash)
            if not self._stopping.is_set():
                self._end_process("Faust stopped", app.crash_reason or RuntimeError("without a reason"))
            log.info("stopping: giving the partitions back")
            await owned.close()
            crash.cancel()
        finally:
            starting.cancel()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(app.stop(), _STOP_DEADLINE)
        log.info("stopped")

    async def _until_first(self, *awaited: Awaitable[object]) -> None:
        """Wait until one of these is done, or until a stop is asked for."""
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = {asyncio.ensure_future(each) for each in awaited}
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    def _end_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._end_process(f"{task.get_coro()}", error)

    def _give_way(self) -> None:
        group, name = self.settings.app_id, self.settings.group_instance_id
        rule = f"another worker came into group {group!r} under this name and has taken its place"
        cure = "give each worker a name of its own"
        fault = SettingsError(f"{variable('instance_id')}={name!r}: {rule}; {cure}")
        self._end_process("membership", fault)

    async def _work(self, stack: contextlib.AsyncExitStack) -> Work:
        categorizer, self.rules = await open_categorizer(self.settings, stack, self._telemetry)
        return Work(
            categorizer=categorizer,
            rules=fold_rules_of(self.settings),
            commit=self._app.micro_batches.commit,
            end_process=self._end_process,
            meter=self._telemetry.units,
            tracing=self._tracing,
        )


async def run_until_signal(worker: Worker) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()
