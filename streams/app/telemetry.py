"""What this worker tells Prometheus: its meters, what is read of its parts when somebody asks, and where."""

import asyncio
import contextlib
import errno
import itertools
import logging
import platform
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version

from schemas.errors import SettingsError
from schemas.results import ModelInfo
from schemas.times import steady_time
from schemas.topics import TABLES, TopicNames
from streams.app.settings import Settings, variable
from streams.fetch.fetcher import Fetcher
from streams.gateway.meter import GatewayMeter
from streams.kafka.checks.findings import Finding
from streams.kafka.watch import KafkaWatch
from streams.repartition.meter import SourceMeter
from streams.rises.meter import RiseMeter
from streams.rises.service import RiseService
from streams.state.replica import Replica
from streams.tag.meter import InferenceMeter
from streams.tag.pool import TaggerPool
from streams.tag.stub import StubTagger
from streams.telemetry.exposition import Exposition, Reading, ReadsNow
from streams.telemetry.loop_lag import watch_loop
from streams.telemetry.loop_watch import LoopWatch
from streams.telemetry.metrics import CHECKS, FINDINGS, SNAPSHOTS
from streams.telemetry.recorder import Recorder
from streams.telemetry.server import PATH, MetricsServer
from streams.units.meter import UnitMeter
from streams.units.unit import Unit
from streams.web.meter import QueryMeter
from streams.webhooks.meter import WebhookMeter
from streams.webhooks.service import WebhookService

log = logging.getLogger(__name__)


class WorkerTelemetry:
    """The metrics of one worker. Without a port there are none, and nothing is recorded.

    Attributes:
        units: Is told of transactions; None: there are no metrics.
        inferences: Is told of batches; likewise.
        queries: Is told of answers; likewise.
        gateway: Is told of calls; likewise.
        sources: Is told what became of messages of sources; likewise.
        rises: Is told of records of trends; likewise.
        webhooks: Is told of attempts to deliver notifications; likewise.
        port: Where the metrics are; None: nowhere.
    """

    def __init__(self, settings: Settings, names: TopicNames) -> None:
        self.units: UnitMeter | None = None
        self.inferences: InferenceMeter | None = None
        self.queries: QueryMeter | None = None
        self.gateway: GatewayMeter | None = None
        self.sources: SourceMeter | None = None
        self.rises: RiseMeter | None = None
        self.webhooks: WebhookMeter | None = None
        self.port: int | None = None
        self._settings = settings
        self._recorder = Recorder(
            {
                "partition": map(str, range(settings.partitions)),
                "add_on": settings.model_folders,
                **dict.fromkeys(("version", "python_version"), _build()),
            }
        )
        self._exposition = Exposition(self._recorder)
        if settings.tells_metrics:
            self.units = UnitMeter(self._recorder, names)
            self.inferences = InferenceMeter(self._recorder)
            self.queries = QueryMeter(self._recorder)
            self.gateway = GatewayMeter(self._recorder)
            self.sources = SourceMeter(self._recorder)
            self.rises = RiseMeter(self._recorder)
            self.webhooks = WebhookMeter(self._recorder)

    async def start(self, stack: contextlib.AsyncExitStack) -> None:
        """Listen, unless there are no metrics; the stack ends it.

        A port that is taken is no reason not to tag: several workers of one machine have one default.

        Raises:
            SettingsError: The address cannot be listened on for another reason.
        """
        host, port = self._settings.metrics_host, self._settings.metrics_port
        if port is None or not self._settings.tells_metrics:
            return
        server = MetricsServer(self._exposition.registry)
        try:
            self.port = await asyncio.to_thread(server.start, host, port)  # it looks the host's name up
        except OSError as error:
            said = f"{variable('metrics_host')}={host!r}, {variable('metrics_port')}={port}"
            if error.errno != errno.EADDRINUSE:
                cure = "choose another address or port"
                raise SettingsError(f"{said}: {error.strerror or error}; {cure}") from error
            log.warning("no metrics: %s: the port is taken; give each worker one of its own, or 0", said)
            return
        stack.push_async_callback(asyncio.to_thread, server.stop)
        lag = asyncio.create_task(watch_loop(self._recorder))
        stack.callback(lag.cancel)
        self.read(_build_readings)
        log.info("metrics on http://%s:%d%s", host, self.port, PATH)

    def read(self, source: ReadsNow) -> None:
        """Ask a source whenever somebody wants the metrics."""
        if self.port is not None:
            self._exposition.read(source)

    def read_loop(self, watch: LoopWatch) -> None:
        """Tell for how long the event loop was held at most."""

        def readings() -> Iterator[Reading]:
            yield Reading("tagstream_event_loop_longest_seconds", watch.longest.seconds, ("passed",))
            yield Reading("tagstream_event_loop_longest_seconds", watch.longest.cpu, ("cpu",))

        self.read(readings)

    def read_fetcher(self, fetcher: Fetcher) -> None:
        """Tell how the fetcher is doing."""
        limit = self._settings.max_bytes_in_flight

        def readings() -> Iterator[Reading]:
            yield Reading("tagstream_circuits_open", len(fetcher.circuit_breakers.open_hosts))
            yield Reading("tagstream_fetch_memory_bytes", fetcher.budget.used)
            yield Reading("tagstream_fetch_memory_limit_bytes", limit)

        self.read(readings)

    def read_pool(self, pool: TaggerPool | StubTagger) -> None:
        """Tell how the threads that decode and infer are doing; the stub has none."""
        if isinstance(pool, StubTagger):
            return

        def readings() -> Iterator[Reading]:
            yield Reading("tagstream_tagger_threads", pool.threads)
            yield Reading("tagstream_tagger_threads_busy", pool.busy)
            yield Reading("tagstream_tagger_queue_images", pool.waiting)

        self.read(readings)

    def read_models(self, models: Mapping[str, ModelInfo]) -> None:
        """Tell which models run."""
        self._recorder.name("model", (model.name for model in models.values()))
        self._recorder.name("model_version", (model.version for model in models.values()))
        self.read(
            lambda: (
                Reading("tagstream_model_info", 1, (add_on, model.name, model.version))
                for add_on, model in models.items()
            )
        )

    def read_units(self, units: Callable[[], Mapping[int, Unit]]) -> None:
        """Tell how the partitions in work are doing."""

        def readings() -> Iterator[Reading]:
            yield Reading("tagstream_partitions_owned", len(units()))
            for unit in units().values():
                yield from _unit_readings(unit, steady_time())

        self.read(readings)

    def read_webhooks(self, service: WebhookService) -> None:
        """Tell what is still to be told."""

        def readings() -> Iterator[Reading]:
            since = service.oldest_since
            yield Reading("tagstream_webhooks_pending", service.pending)
            yield Reading("tagstream_webhooks_oldest_seconds", _age(since, steady_time()) if since else 0)
            yield Reading("tagstream_webhooks_behind_records", service.behind)

        self.read(readings)

    def read_rises(self, service: RiseService) -> None:
        """Tell how many rises go on, where this worker judges."""

        def readings() -> Iterator[Reading]:
            if service.unit is not None:
                yield Reading("tagstream_rises", service.unit.going_on)

        self.read(readings)

    def read_repartitioning(self, lag: Callable[[], int]) -> None:
        """Tell how many records of upload topics are not copied yet."""
        self.read(lambda: iter([Reading("tagstream_repartition_lag_records", lag())]))

    def read_replica(self, replica: Replica) -> None:
        """Tell how much state there is, and how fresh."""

        def readings() -> Iterator[Reading]:
            for table in TABLES:
                rows = sum(len(state.rows[table]) for state in replica.states.values())
                size = sum(state.sizes[table] for state in replica.states.values())
                yield Reading("tagstream_state_rows", rows, (table,))
                yield Reading("tagstream_state_size_bytes", size, (table,))
            if replica.follows:
                yield Reading("tagstream_state_complete", replica.complete)
                yield Reading("tagstream_partitions_behind", len(replica.behind))

        self.read(readings)

    def read_watch(self, watch: KafkaWatch) -> None:
        """Tell whether Kafka answers."""
        self.read(lambda: (Reading("tagstream_kafka_up", watch.answers),))

    def read_snapshots(self, results: Mapping[str, int]) -> None:
        """Tell what became of snapshots."""
        self.read(
            lambda: (
                Reading("tagstream_snapshots_total", results.get(name, 0), (name,)) for name in SNAPSHOTS
            )
        )

    def read_checks(self, findings: Callable[[], Sequence[Finding] | None]) -> None:
        """Tell what the checks have found; None: they were not made yet."""

        def readings() -> Iterator[Reading]:
            last = findings()
            if last is not None:
                found = Counter[tuple[str, str]]((finding.check, finding.status) for finding in last)
                for check, status in itertools.product(CHECKS, FINDINGS):
                    yield Reading("tagstream_findings", found[check, status], (check, status))

        self.read(readings)

    def read_restarts(self, restarts: Mapping[str, int]) -> None:
        """Tell how earlier lives of this worker ended."""
        known = self._recorder.guard("tagstream_restarts_total").known()
        reasons = [reason for (reason,) in known]
        self.read(
            lambda: (
                Reading("tagstream_restarts_total", restarts.get(reason, 0), (reason,)) for reason in reasons
            )
        )


def _unit_readings(unit: Unit, now: float) -> Iterator[Reading]:
    figures, labels = unit.figures, (str(unit.partition),)
    since = figures.oldest_waiting_since
    behind = figures.behind_open_transaction
    yield Reading("tagstream_partition_ready", unit.is_ready, labels)
    yield Reading("tagstream_partition_in_flight_records", figures.in_flight, labels)
    yield Reading("tagstream_retries_waiting_records", figures.waiting, labels)
    yield Reading("tagstream_retries_oldest_seconds", _age(since, now) if since else 0, labels)
    yield Reading("tagstream_uploads_skipped_records", unit.state.skipped, labels)
    if behind is not None:
        yield Reading("tagstream_open_transaction_records", behind, labels)
    if figures.lag is not None:
        yield Reading("tagstream_partition_lag_records", figures.lag, labels)
        first = figures.oldest_timestamp or unit.state.stream_time
        if not figures.lag or first:
            yield Reading("tagstream_partition_lag_seconds", _age(first, now) if figures.lag else 0, labels)


def _age(timestamp: int, now: float) -> float:
    """Seconds since a time in milliseconds; of one that lies ahead: 0."""
    return max(now - timestamp / 1000, 0.0)


def _build() -> tuple[str, str]:
    return version("tagstream"), platform.python_version()


def _build_readings() -> Iterator[Reading]:
    yield Reading("tagstream_build_info", 1, _build())
