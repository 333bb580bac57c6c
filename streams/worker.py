"""One worker process: what it is made of, and the order in which that starts and stops."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
from collections.abc import Awaitable
from typing import TYPE_CHECKING

from streams.access.guard import Guard
from streams.app import Tagstream, create_app
from streams.assembly import fold_rules_of, open_categorizer
from streams.folding import fold
from streams.kafka_connection import KafkaConnection
from streams.library import Library
from streams.replica import Replica
from streams.retention import expired_rows
from streams.settings import Settings
from streams.snapshots import SnapshotKeeper, Snapshots
from streams.supervising import EXIT_DOOMED
from streams.topic_admin import wait_for_topics
from streams.topics import TopicNames
from streams.unit import Unit, Work
from streams.web import QueryApi

if TYPE_CHECKING:
    from streams.rules.watching import RulesWatch

log = logging.getLogger(__name__)

_STOP_DEADLINE = 10.0  # seconds that a graceful stop may take after its partitions are given back


def doom(reason: str) -> None:
    """End the process at once: what is committed is the truth, and loading it again is the cure."""
    log.critical("ending the process, so that a restart begins from what was committed: %s", reason)
    logging.shutdown()
    os._exit(EXIT_DOOMED)


class Worker:
    """A worker.

    Attributes:
        status: starting, waiting for Kafka, ready, or stopping.
        partitions: How many partitions the topics have; None before Kafka was heard.
        port: Where the query API listens.
        rules: The rules for tags; None before they are read.
    """

    def __init__(self, settings: Settings, connection: KafkaConnection) -> None:
        self.settings = settings
        self.status = "starting"
        self.partitions: int | None = None
        self.port = settings.web_port
        self.rules: RulesWatch | None = None
        self._connection = connection
        self._app: Tagstream | None = None
        self._library = Library(settings)
        self._stopping = asyncio.Event()

    @property
    def units(self) -> dict[int, Unit]:
        """Give the partitions in work."""
        return self._app.units if self._app else {}

    def stop(self) -> None:
        """Ask for a graceful stop."""
        self.status = "stopping"
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop`.

        Raises:
            ManifestError: A model folder cannot be used.
            TopicsError: The cluster's topics do not fit the settings.
            SettingsError: The allowed sources or the rules cannot be read, or nobody said who may ask.
            OSError: The query API's address cannot be listened on.
        """
        async with contextlib.AsyncExitStack() as stack:
            closed = None if self.settings.queries else "this worker only tags; ask one with queries on"
            api = QueryApi(self, self._library.routes(), guard=Guard.of(self.settings), closed=closed)
            self.port = await api.start(self.settings.web_host, self.settings.web_port)
            stack.push_async_callback(api.stop)
            log.info("query API on http://%s:%d", self.settings.web_host, self.port)
            work = await self._work(stack)
            self.status = "waiting for Kafka"
            finding = asyncio.create_task(wait_for_topics(self._connection, self.settings))
            await self._until_first(finding)
            if self._stopping.is_set():
                finding.cancel()
            else:
                self.partitions = await finding
                await self._with_state(work)

    async def _with_state(self, work: Work) -> None:
        settings = self.settings
        names = TopicNames.of(settings)
        replica = Replica(
            self._connection,
            names,
            self.partitions or 0,
            follows=settings.queries,
            listeners=self._library.listeners if settings.queries else (),
            prepare=self._library.prepare,
        )
        self._library.follow(replica)
        keeper = SnapshotKeeper(replica, Snapshots(settings.data_dir / "state", settings.app_id))
        if settings.snapshot_interval:
            self.status = "loading snapshots"
            await keeper.restore_all()
        background = [asyncio.create_task(replica.run()), asyncio.create_task(self._library.keep_up())]
        if settings.snapshot_interval:
            background.append(asyncio.create_task(keeper.run(settings.snapshot_interval)))
        for task in background:
            task.add_done_callback(_doom_if_failed)
        try:
            await self._serve(create_app(settings, self._connection, replica, work))
        finally:
            for task in background:
                task.cancel()
            if settings.snapshot_interval:
                await keeper.save_all()

    async def _serve(self, app: Tagstream) -> None:
        self._app = app
        app.finalize()
        try:
            await app.start()
            crash = asyncio.create_task(app.wait_until_stopped())
            await self._until_first(app.assigned.wait(), crash)
            self.status = "ready" if app.assigned.is_set() else self.status
            await self._until_first(crash)
            if not self._stopping.is_set():
                doom(f"Faust stopped: {app.crash_reason!r}")
            log.info("stopping: giving the partitions back")
            await app.close_units()
            crash.cancel()
        finally:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(app.stop(), _STOP_DEADLINE)
        log.info("stopped")

    async def _until_first(self, *awaited: Awaitable[object]) -> None:
        """Wait until one of these is done, or until a stop is asked for."""
        stopping = asyncio.create_task(self._stopping.wait())
        tasks = {asyncio.ensure_future(each) for each in awaited}
        await asyncio.wait({stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()

    async def _work(self, stack: contextlib.AsyncExitStack) -> Work:
        settings = self.settings
        categorizer, self.rules = await open_categorizer(settings, stack)
        fold_rules = fold_rules_of(settings)
        return Work(
            compute=categorizer.outcome,
            fold=functools.partial(fold, rules=fold_rules),
            expired=functools.partial(expired_rows, fold_rules.retention),
            doom=doom,
        )


def _doom_if_failed(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        doom(f"{task.get_coro()} failed: {task.exception()!r}")


async def run_until_signal(worker: Worker) -> None:
    """Run a worker until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, worker.stop)
    await worker.run()
