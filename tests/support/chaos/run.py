"""Workers under fire: uploads flow while workers are killed, one is frozen, and the broker is killed.

Kills and freezes are aimed: they wait until a worker is seen inside a transaction. Segments are small and the
marks of removed rows short-lived, so that state which is a few seconds old is too old to be believed.
`Chaos.run` does it and then audits: whether anything was lost or doubled, whether every count is exact.
"""

import asyncio
import contextlib
import functools
import itertools
import random
import resource
import signal
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from support.chaos.aim import Aim, Target
from support.chaos.progress import Progress
from support.chaos.sources import FETCH_TIMEOUT, PhotoServer
from support.cluster import LOOP_WATCHED, Cluster
from support.judge.audit import Verdict, audit
from support.judge.oracle import KEPT_MINUTES
from support.judge.oracle_events import look_at
from support.judge.workload import Message, Workload

from schemas.topics import TABLES
from streams.app.exit import EXIT_RESTART

DRAIN_SECONDS = 600.0
_PATIENCE = 30.0  # seconds that a kill waits for somebody inside a transaction
SWEEP_SECONDS = 60.0  # a unit looks for expired rows that often, and a transaction takes some of them
_BACKOFF = 0.5  # seconds that a supervisor waits before it starts a worker again
_LONG_ABSENCE = 8.0  # seconds, past the session timeout: the partitions move away
_BURST_SECONDS = 0.25  # between two bursts of uploads
TOMBSTONES_KEPT = 12.0  # seconds: shorter than a freeze, and than some absences
_SMALL = {  # so that state topics are compacted all the time
    "segment.ms": "1000",
    "segment.bytes": str(1024 * 1024),
    "min.cleanable.dirty.ratio": "0.01",
    "delete.retention.ms": str(int(TOMBSTONES_KEPT * 1000)),
}
_CALM = 6  # looks in a row without a retry: what is followed may lag a little
_TOLD_EVERY = 10.0  # seconds between two lines of counters


class Broker(Protocol):
    """What is killed: see `EmbeddedBroker` and `kafka_nodes.KafkaNodes`."""

    @property
    def bootstrap_servers(self) -> str:
        """The addresses for clients."""

    def start(self) -> None:
        """Start what does not run."""

    def kill(self) -> None:
        """End it, or a part of it, as a crash would."""


@dataclass(frozen=True)
class Plan:
    """What happens.

    Attributes:
        seconds: How long uploads and faults go on.
        kills: Worker processes that are killed.
        freezes: Workers that are stopped for `frozen` seconds, and become zombies.
        sweep: Whether to wait until rows of expired buckets are gone.
        replication: Copies of each topic.
        backlog: Uploads that may wait; beyond, publishing pauses, and what is not published in time never is.
        snapshot_interval: Seconds.
        streams: Whether streams are written and rises told; without, what is counted lately waits in rows of
            its own.
    """

    seed: int
    uploads: int
    seconds: float
    kills: int
    workers: int = 3
    partitions: int = 4
    broker_kills: int = 1
    freezes: int = 1
    frozen: float = 15.0
    sweep: bool = False
    replication: int = 1
    backlog: int = 10_000
    snapshot_interval: float = 3.0
    streams: bool = True


class Chaos:
    """One run of a plan against a broker that is running.

    Attributes:
        kills: Worker processes that were killed so far.
        inside: Kills and freezes that left a transaction open.
        restarts: Processes that ended themselves, to begin anew from what was committed.
        strangers: Processes that somebody else killed or stopped.
        unexpected: Other ends of processes, in words.
        progress: How far it is.
        sources: Where the images come from.
    """

    def __init__(
        self, plan: Plan, broker: Broker, folder: Path, say: Callable[[str], object] = print
    ) -> None:
        self.kills = self.broker_kills = self.freezes = self.restarts = self.strangers = self.published = 0
        self.inside = 0
        self.unexpected: list[str] = []
        self._plan = plan
        self._broker = broker
        self._say = say
        self._dice = random.Random(plan.seed)
        self._killed: set[int] = set()
        self._frozen: set[int] = set()
        self._started = time.monotonic()
        self._cluster = Cluster(broker.bootstrap_servers, f"chaos-{uuid.uuid4().hex[:8]}", folder)
        self._cluster.partitions = plan.partitions
        self._cluster.ports = {worker: steady_port() for worker in range(plan.workers)}
        self._cluster.metrics_ports = {worker: steady_port() for worker in range(plan.workers)}
        self._broker_up = True
        self._was_held_back = False
        self.progress = Progress(self._cluster)
        self._aim = Aim(self._cluster)
        self.sources = PhotoServer()

    async def run(self) -> Verdict:
        """Do it all, and tell what the audit found.

        Raises:
            TimeoutError: Workers did not become ready, or did not work off the uploads.
        """
        async with self.sources.run() as hosts:
            self._cluster.environment = _environment(hosts, self._plan)
            await self._create_state_topics()
            for worker in range(self._plan.workers):
                await self._cluster.start(worker)
                self._note(f"metrics of worker {worker}: 127.0.0.1:{self._cluster.metrics_ports[worker]}")
            keepers = [asyncio.create_task(self._keep(worker)) for worker in range(self._plan.workers)]
            reporter = asyncio.create_task(self._report())
            try:
                await self._cluster.until_ready(range(self._plan.workers))
                await self._under_fire(hosts)
                await self._drain()
                return await self._audit(hosts[0])
            finally:
                for task in (*keepers, reporter):
                    task.cancel()
                await asyncio.gather(*keepers, reporter, return_exceptions=True)
                await self._cluster.close()

    async def _create_state_topics(self) -> None:
        names, plan = self._cluster.names, self._plan
        safety = {"min.insync.replicas": str(plan.replication // 2 + 1)}
        topics = [
            NewTopic(
                names.changelog(table),
                num_partitions=plan.partitions,
                replication_factor=plan.replication,
                topic_configs=names.configs[names.changelog(table)] | _SMALL | safety,
            )
            for table in TABLES
        ]
        admin = AIOKafkaAdminClient(bootstrap_servers=self._cluster.bootstrap)
        await admin.start()
        try:
            answer = await admin.create_topics(topics)
            assert not any(code for _, code, *_ in answer.topic_errors), answer
        finally:
            await admin.close()

    async def _under_fire(self, hosts: list[str]) -> None:
        plan, now = self._plan, int(time.time() * 1000)
        workload = Workload(plan.seed, plan.uploads, hosts[0], now, hosts[1:], plan.partitions)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish(iter(workload)))
            tasks.create_task(self._repeatedly(plan.kills, self._kill_worker))
            tasks.create_task(self._repeatedly(plan.broker_kills, self._kill_broker))
            tasks.create_task(self._repeatedly(plan.freezes, self._freeze_worker))

    async def _repeatedly(self, times: int, act: Callable[[], Awaitable[None]]) -> None:
        """Act so many times, each at a random moment of its share of the time."""
        begin, share = time.monotonic(), self._plan.seconds / max(times, 1)
        for number in range(times):
            moment = begin + (number + self._dice.uniform(0.1, 0.9)) * share
            await asyncio.sleep(max(moment - time.monotonic(), 0))
            await act()

    async def _kill_worker(self) -> None:
        while not (alive := self._alive()):
            await asyncio.sleep(_BACKOFF)
        target = await self._aim.hit(self._targets, self._strike_dead, _PATIENCE)
        if target is None:
            worker = self._dice.choice(self._alive() or alive)
            self._strike_dead(worker)
        else:
            worker = target.worker
        self.kills += 1
        self._note(f"kill -9 of worker {worker}{await self._how(target)}")

    def _targets(self) -> list[int]:
        """Those who may be hit: all of their partitions have moved since they were hit last."""
        alive = self._alive()
        return [each for each in alive if all(map(self.progress.has_moved, self._aim.owned_by(each)))]

    def _strike_dead(self, worker: int) -> None:
        self.progress.note_hit(self._aim.owned_by(worker))
        self._killed.add(worker)
        self._cluster.signal(worker, signal.SIGKILL)

    async def _how(self, target: Target | None) -> str:
        if target is None or not await self._aim.was_inside(target):
            return ""
        self.inside += 1
        return f" inside a transaction of partition {target.place.partition}"

    def _alive(self) -> list[int]:
        return [
            worker
            for worker, process in self._cluster.processes.items()
            if process.returncode is None and worker not in self._frozen
        ]

    async def _freeze_worker(self) -> None:
        target = await self._aim.hit(self._targets, self._strike_cold, _PATIENCE)
        if target is None:
            worker = self._dice.choice(sorted(self._cluster.processes))
            self._strike_cold(worker)
        else:
            worker = target.worker
        begun = time.monotonic()
        self.freezes += 1
        how = await self._how(target)
        self._note(f"SIGSTOP of worker {worker} for {self._plan.frozen:g} s{how}")
        await asyncio.sleep(begun + self._plan.frozen - time.monotonic())
        self._cluster.signal(worker, signal.SIGCONT)
        await asyncio.sleep(1)  # to wake up and do its worst
        self._frozen.discard(worker)

    def _strike_cold(self, worker: int) -> None:
        self.progress.note_hit(self._aim.owned_by(worker))
        self._frozen.add(worker)
        self._cluster.signal(worker, signal.SIGSTOP)

    async def _kill_broker(self) -> None:
        self.broker_kills += 1
        self._note("kill -9 of the broker")
        self._broker_up = False
        await asyncio.to_thread(self._broker.kill)
        await asyncio.sleep(self._dice.choice((0, 0, 3)))
        await asyncio.to_thread(self._broker.start)
        self._broker_up = True
        self._note("the broker is back")

    async def _keep(self, worker: int) -> None:
        """Do a supervisor's work: start a worker again when it was killed, or ended itself on purpose."""
        while True:
            code = await self._cluster.processes[worker].wait()
            absence = _BACKOFF
            if worker in self._killed and code == -signal.SIGKILL:
                self._killed.discard(worker)
                absence = self._dice.choice((0.0, 0.0, _BACKOFF, _LONG_ABSENCE))
            elif code == EXIT_RESTART:
                self.restarts += 1
                self._note(f"worker {worker} ended itself: {self._last_critical(worker)}")
            elif code in {-signal.SIGKILL, -signal.SIGTERM, 0}:  # by hand, or for want of memory
                self.strangers += 1
                self._note(f"somebody else ended worker {worker}")
            else:
                log = self._cluster.log_path(worker)
                self.unexpected.append(f"worker {worker} ended with {code}; see {log}")
            await asyncio.sleep(absence)
            await self._cluster.start(worker)

    def _last_critical(self, worker: int) -> str:
        lines = self._cluster.log_path(worker).read_text("utf-8", "replace").splitlines()
        last = next((line for line in reversed(lines) if "ending the process" in line), "without a word")
        return last.partition("committed: ")[2][:300] or last

    async def _publish(self, messages: Iterator[Message]) -> None:
        """Send uploads in bursts, by an idempotent producer that waits for a broker that is away."""
        producer = AIOKafkaProducer(
            bootstrap_servers=self._cluster.bootstrap,
            enable_idempotence=True,
            linger_ms=5,
            request_timeout_ms=120_000,
        )
        await producer.start()
        try:
            bursts = max(round(self._plan.seconds / _BURST_SECONDS), 1)
            begin, size = time.monotonic(), self._plan.uploads
            for number in range(bursts):
                await asyncio.sleep(max(begin + number * _BURST_SECONDS - time.monotonic(), 0))
                if await self._held_back() and time.monotonic() > begin + self._plan.seconds:
                    break
                count = size * (number + 1) // bursts - size * number // bursts
                await self._send(producer, list(itertools.islice(messages, count)))
        finally:
            await producer.stop()

    async def _held_back(self) -> bool:
        """Wait while too many uploads do; return whether that was ever so."""
        while sum(self.progress.lags) > self._plan.backlog:
            self._was_held_back = True
            await asyncio.sleep(_BACKOFF)
        return self._was_held_back

    async def _send(self, producer: AIOKafkaProducer, messages: list[Message]) -> None:
        topic = self._cluster.names.uploads
        sends = [
            await producer.send(
                topic,
                message.value,
                message.key,
                partition=message.partition,
                timestamp_ms=message.timestamp,
                headers=message.headers,
            )
            for message in messages
        ]
        for sent in await asyncio.gather(*sends):
            self.progress.note_published(sent.partition, sent.offset)
        self.published += len(messages)

    async def _drain(self) -> None:
        self._note("waiting until every upload is folded in")
        async with asyncio.timeout(DRAIN_SECONDS):
            while not await self.progress.is_done():
                await asyncio.sleep(0.5)
            self._note("waiting for the retries of busy sources")
            calm = 0
            while calm < _CALM:
                calm = 0 if self.progress.retries else calm + 1
                await asyncio.sleep(0.5)
        if self._plan.sweep:
            self._note("waiting until expired rows are swept")
            await asyncio.sleep(SWEEP_SECONDS + 5)

    async def _audit(self, host: str) -> Verdict:
        self._note("reading everything as an independent client")
        look = functools.partial(look_at, photo_host=host)
        verdict = await audit(self._cluster, look, range(self._plan.workers), swept=self._plan.sweep)
        if self.progress.folded < self.published:  # more: the broker's death made the publisher repeat some
            verdict.check("uploads in the log", "all partitions", self.published, self.progress.folded)
        if self.progress.stuck:
            verdict.differences["stuck partitions"].append(f"{self.progress.stuck}; the log names them")
        for line in self.unexpected:
            verdict.differences["ends of processes"].append(line)
        return verdict

    async def _report(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.progress.run())
            tasks.create_task(self._aim.run())
            tasks.create_task(self._watch())
            while True:
                await asyncio.sleep(_TOLD_EVERY)
                self._note(self._counters())

    async def _watch(self) -> None:
        while True:
            for line in self.progress.look(broker_up=self._broker_up):
                self._note(line)
            await asyncio.sleep(1)

    def _counters(self) -> str:
        progress, told = self.progress, " ".join(f"{kind}={n}" for kind, n in self.sources.told.items())
        lags = ",".join(map(str, progress.lags))
        resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return (
            f"published={self.published} folded={progress.folded} lags={lags} retries={progress.retries} "
            f"stuck={progress.stuck} kills={self.kills} inside={self.inside} "
            f"broker_kills={self.broker_kills} freezes={self.freezes} restarts={self.restarts} "
            f"harness_peak_mb={resident} sources: {told}"
        )

    def _note(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._started:6.1f} s  {text}")


def _environment(hosts: list[str], plan: Plan) -> dict[str, str]:
    return {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_ROLES": "tag,query,trends" if plan.streams else "tag,query",
        "TAGSTREAM_STREAMS": "image.tags,tag.counts" if plan.streams else "",
        "TAGSTREAM_REPLICATION": str(plan.replication),
        "TAGSTREAM_ALLOW_SOURCES": ",".join(host.removeprefix("http://") for host in hosts),
        "TAGSTREAM_FETCH_TIMEOUT": str(FETCH_TIMEOUT),
        "TAGSTREAM_RETRY_LONGEST": "15",
        "TAGSTREAM_KEEP_MINUTES": str(KEPT_MINUTES),
        **LOOP_WATCHED,
        "TAGSTREAM_KEEP_TOMBSTONES": str(TOMBSTONES_KEPT / 86_400),
        "TAGSTREAM_SNAPSHOT_INTERVAL": str(
            plan.snapshot_interval
        ),  # short: restarts begin from all kinds of them
    }


def steady_port() -> int:
    """A free port that no outgoing connection is given while its owner is down: see RFC 6056."""
    while True:
        port = random.randint(15_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
