"""One worker process: what it is made of, and the order in which that starts and stops."""

import asyncio
import contextlib
import functools
import logging
import signal
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from schemas.topics import TopicNames
from streams.app.assembly import fold_rules_of, open_categorizer
from streams.app.exit import doom
from streams.app.faust_app import Tagstream, create_app
from streams.app.query_indexes import Library
from streams.app.settings import Settings
from streams.fold.fold import fold
from streams.fold.retention import expired_rows
from streams.kafka.admin import wait_for_topics
from streams.kafka.connection import KafkaConnection
from streams.kafka.watch import KafkaWatch
from streams.state.replica import Replica
from streams.state.snapshots import SnapshotKeeper, Snapshots
from streams.units.unit import Unit, Work
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
    """A worker.

    Attributes:
        port: Where the query API listens.
        rules: The rules for tags; None before they are read.
    """

    def __init__(self, settings: Settings, connection: KafkaConnection) -> None:
        self.settings = settings
        self.port = settings.web_port
        self.rules: RulesWatch | None = None
        self._status = "starting"
        self._connection = connection
        self._doom = functools.partial(doom, connection)
        self._watch: KafkaWatch | None = None
        self._app: Tagstream | None = None
        self._library = Library(settings)
        self._stopping = asyncio.Event()

    @property
    def units(self) -> dict[int, Unit]:
        """Give the partitions in work."""
        return self._app.units if self._app else {}

    @property
    def status(self) -> str:
        """Tell what it does: starting, waiting for Kafka, …, ready, stopping."""
        if self._status == READY and self._watch is not None and not self._watch.answers:
            return WAITING
        return self._status

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
            SettingsError: The allowed sources or the rules cannot be read, or nobody said who may ask.
            OSError: The query API's address cannot be listened on.
        """
        async with contextlib.AsyncExitStack() as stack:
            closed = None if self.settings.queries else "this worker only tags; ask one with queries on"
            routes = [*HealthRoutes(self).routes(), *self._library.routes()]
            server = WebServer(create_api(routes, guard=Guard.of(self.settings), closed=closed))
            self.port = await server.start(self.settings.web_host, self.settings.web_port)
            stack.push_async_callback(server.stop)
            log.info("query API on http://%s:%d", self.settings.web_host, self.port)
            work = await self._work(stack)
            self._status = WAITING
            finding = asyncio.create_task(wait_for_topics(self._connection, self.settings))
            await self._until_first(finding)
            if self._stopping.is_set():
                finding.cancel()
            else:
                await finding
                await self._with_state(work)

    async def _with_state(self, work: Work) -> None:
        settings = self.settings
        names = TopicNames.of(settings)
        replica = Replica(
            self._connection,
            names,
            settings.partitions,
            follows=settings.queries,
            indexes=self._library.indexes if settings.queries else (),
            prepare=self._library.prepare,
        )
        self._library.follow(replica)
        keeper = SnapshotKeeper(replica, Snapshots(settings.data_dir / "state", settings.app_id))
        if settings.snapshot_interval:
            self._status = "loading snapshots"
            await keeper.restore_all()
        self._watch = KafkaWatch(self._connection, names, settings.partitions)
        services = [replica.run(), self._library.keep_up(), self._watch.run()]
        if settings.snapshot_interval:
            services.append(keeper.run(settings.snapshot_interval))
        background = [asyncio.create_task(service) for service in services]
        for task in background:
            task.add_done_callback(self._doom_if_failed)
        try:
            await self._serve(create_app(settings, self._connection, replica, work))
        finally:
            for task in background:
                task.cancel()
            if settings.snapshot_interval:
                await keeper.save_all()

    async def _serve(self, app: Tagstream) -> None:
        self._app = app
        self._status = "joining the group"
        app.finalize()
        starting = asyncio.create_task(app.start())
        starting.add_done_callback(self._doom_if_failed)
        try:
            await self._until_first(starting)
            crash = asyncio.create_task(app.wait_until_stopped())
            await self._until_first(app.assigned.wait(), crash)
            self._status = READY if app.assigned.is_set() else self._status
            await self._until_first(crash)
            if not self._stopping.is_set():
                self._doom("Faust stopped", app.crash_reason or RuntimeError("without a reason"))
            log.info("stopping: giving the partitions back")
            await app.close_units()
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

    def _doom_if_failed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._doom(f"{task.get_coro()}", error)

    async def _work(self, stack: contextlib.AsyncExitStack) -> Work:
        settings = self.settings
        categorizer, self.rules = await open_categorizer(settings, stack)
        fold_rules = fold_rules_of(settings)
        return Work(
            compute=categorizer.outcome,
            fold=functools.partial(fold, rules=fold_rules),
            expired=functools.partial(expired_rows, fold_rules.retention),
            doom=self._doom,
        )


async def run_until_signal(worker: Worker) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()
