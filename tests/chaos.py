"""Workers under fire: uploads flow while workers are killed, one is frozen, and the broker is killed.

`Chaos.run` does it and then audits: whether anything was lost or doubled, whether every count is exact.
"""

import asyncio
import contextlib
import functools
import random
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import orjson
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError
from audit import Verdict, audit
from cluster import Cluster
from oracle import look_at
from workload import Message, Workload, photo_at

from streams.broker import EmbeddedBroker
from streams.supervising import EXIT_DOOMED

DRAIN_SECONDS = 240.0
SWEEP_SECONDS = 60.0  # a unit looks for expired rows that often, and a transaction takes some of them
_BACKOFF = 0.5  # seconds that a supervisor waits before it starts a worker again
_LONG_ABSENCE = 8.0  # seconds, past the session timeout: the partitions move away
_BURST_SECONDS = 3.0  # between two bursts of uploads


@dataclass(frozen=True)
class Plan:
    """What happens.

    Attributes:
        seconds: How long uploads and faults go on.
        kills: Worker processes that are killed.
        freezes: Workers that are stopped for `frozen` seconds, and become zombies.
        sweep: Whether to wait until rows of expired buckets are gone.
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


class Chaos:
    """One run of a plan against a broker that is running.

    Attributes:
        kills: Worker processes that were killed so far.
        dooms: Processes that ended themselves, to begin anew from what was committed.
        unexpected: Other ends of processes, in words.
    """

    def __init__(
        self, plan: Plan, broker: EmbeddedBroker, folder: Path, say: Callable[[str], object] = print
    ) -> None:
        self.kills = self.broker_kills = self.freezes = self.dooms = self.published = 0
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
        self._folded = Folded(self._cluster)

    async def run(self) -> Verdict:
        """Do it all, and tell what the audit found.

        Raises:
            TimeoutError: Workers did not become ready, or did not work off the uploads.
        """
        async with PhotoServer().run() as hosts:
            self._cluster.environment = _environment(hosts)
            for worker in range(self._plan.workers):
                await self._cluster.start(worker)
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

    async def _under_fire(self, hosts: list[str]) -> None:
        plan, now = self._plan, int(time.time() * 1000)
        workload = Workload(plan.seed, plan.uploads, hosts[0], now, hosts[1:])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish(list(workload)))
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
        worker = self._dice.choice(alive)
        self._killed.add(worker)
        self.kills += 1
        self._note(f"kill -9 of worker {worker}")
        await self._cluster.kill(worker)

    def _alive(self) -> list[int]:
        return [
            worker
            for worker, process in self._cluster.processes.items()
            if process.returncode is None and worker not in self._frozen
        ]

    async def _freeze_worker(self) -> None:
        worker = self._dice.choice(sorted(self._cluster.processes))
        self._frozen.add(worker)
        self.freezes += 1
        self._note(f"SIGSTOP of worker {worker} for {self._plan.frozen:g} s")
        self._cluster.signal(worker, signal.SIGSTOP)
        await asyncio.sleep(self._plan.frozen)
        self._cluster.signal(worker, signal.SIGCONT)
        await asyncio.sleep(1)  # to wake up and do its worst
        self._frozen.discard(worker)

    async def _kill_broker(self) -> None:
        self.broker_kills += 1
        self._note("kill -9 of the broker")
        await asyncio.to_thread(self._broker.kill)
        await asyncio.sleep(self._dice.choice((0, 0, 3)))
        await asyncio.to_thread(self._broker.start)
        self._note("the broker is back")

    async def _keep(self, worker: int) -> None:
        """Do a supervisor's work: start a worker again when it was killed, or ended itself on purpose."""
        while True:
            code = await self._cluster.processes[worker].wait()
            absence = _BACKOFF
            if worker in self._killed and code == -signal.SIGKILL:
                self._killed.discard(worker)
                absence = self._dice.choice((0.0, 0.0, _BACKOFF, _LONG_ABSENCE))
            elif code == EXIT_DOOMED:
                self.dooms += 1
                self._note(f"worker {worker} ended itself: {self._last_critical(worker)}")
            elif code == -signal.SIGKILL:  # by hand, or for want of memory: one more kill to survive
                self._note(f"somebody else killed worker {worker}")
            else:
                log = self._cluster.log_path(worker)
                self.unexpected.append(f"worker {worker} ended with {code}; see {log}")
            await asyncio.sleep(absence)
            await self._cluster.start(worker)

    def _last_critical(self, worker: int) -> str:
        lines = self._cluster.log_path(worker).read_text("utf-8", "replace").splitlines()
        last = next((line for line in reversed(lines) if "ending the process" in line), "without a word")
        return last.partition("committed: ")[2][:300] or last

    async def _publish(self, messages: list[Message]) -> None:
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
            begin = time.monotonic()
            for number in range(bursts):
                await asyncio.sleep(max(begin + number * _BURST_SECONDS - time.monotonic(), 0))
                await self._send(producer, _slice(messages, number, bursts))
        finally:
            await producer.stop()

    async def _send(self, producer: AIOKafkaProducer, messages: list[Message]) -> None:
        topic = self._cluster.names.uploads
        sends = [
            await producer.send(
                topic, message.value, message.key, timestamp_ms=message.timestamp, headers=message.headers
            )
            for message in messages
        ]
        await asyncio.gather(*sends)
        self.published += len(messages)

    async def _drain(self) -> None:
        self._note("waiting until every upload is folded in")
        async with asyncio.timeout(DRAIN_SECONDS):
            while self._folded.total < self.published:
                await asyncio.sleep(0.3)
            self._note("waiting for the retries of busy sources")
            while await self._cluster.table("retries"):
                await asyncio.sleep(0.5)
        if self._plan.sweep:
            self._note("waiting until expired rows are swept")
            await asyncio.sleep(SWEEP_SECONDS + 5)

    async def _audit(self, host: str) -> Verdict:
        self._note("reading everything as an independent client")
        look = functools.partial(look_at, photo_host=host)
        verdict = await audit(self._cluster, look, range(self._plan.workers), swept=self._plan.sweep)
        if self._folded.total < self.published:  # more: the broker's death made the publisher repeat some
            verdict.check("uploads in the log", "all partitions", self.published, self._folded.total)
        for line in self.unexpected:
            verdict.differences["ends of processes"].append(line)
        return verdict

    async def _report(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._folded.run())
            told = ""
            while True:
                await asyncio.sleep(5)
                news = f"published {self.published}, folded {self._folded.total}"
                if news != told:
                    self._note(news)
                told = news

    def _note(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._started:6.1f} s  {text}")


class Folded:
    """Follows how far each partition is, by the committed row that says so."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._next: dict[int, int] = {}

    @property
    def total(self) -> int:
        """Give the uploads that are folded in."""
        return sum(self._next.values())

    async def run(self) -> None:
        """Follow, for ever; a broker that is away is waited for."""
        while True:
            with contextlib.suppress(KafkaError):
                await self._follow()
            await asyncio.sleep(0.5)

    async def _follow(self) -> None:
        topic = self._cluster.names.changelog("meta")
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._cluster.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, number) for number in range(self._cluster.partitions)])
            while True:
                for place, records in (await consumer.getmany(timeout_ms=500)).items():
                    for record in records:
                        if record.key == b"@offset":
                            self._next[place.partition] = orjson.loads(record.value)["next"]
        finally:
            await consumer.stop()


def _slice(messages: list[Message], number: int, parts: int) -> list[Message]:
    return messages[len(messages) * number // parts : len(messages) * (number + 1) // parts]


def _environment(hosts: list[str]) -> dict[str, str]:
    return {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_ALLOW_SOURCES": ",".join(host.removeprefix("http://") for host in hosts),
        "TAGSTREAM_FETCH_TIMEOUT": "60",  # a frozen worker's fetches must not time out: that is a dead letter
        "TAGSTREAM_SNAPSHOT_INTERVAL": "3",  # so that restarts begin from all kinds of snapshots
    }


def steady_port() -> int:
    """Give a free port that no outgoing connection is given while its owner is down: see RFC 6056."""
    while True:
        port = random.randint(15_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class PhotoServer:
    """Serves the photos of a workload on several ports; on all but the first, each at the second request."""

    def __init__(self, busy_ports: int = 4) -> None:
        self._ports = 1 + busy_ports
        self._asked: set[str] = set()

    @contextlib.asynccontextmanager
    async def run(self) -> AsyncIterator[list[str]]:
        """Serve; give scheme, host and port of each."""
        app = web.Application()
        app.router.add_get("/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            for _ in range(self._ports):
                await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield [f"http://127.0.0.1:{address[1]}" for address in runner.addresses]
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        if request.query_string and request.query_string not in self._asked:
            self._asked.add(request.query_string)
            return web.Response(status=503, headers={"retry-after": "1"})
        content = photo_at(request.path)
        return web.Response(body=content) if content is not None else web.Response(status=404)
