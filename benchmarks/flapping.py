"""A source that flaps beside sources that do not, through broker, worker and real HTTP.

    python -m benchmarks.flapping [--uploads 2000] [--good 1000] [--rate 25] [--pairs 4]

Every other answer of the flapping source is a 503, and for two seconds out of twenty it takes requests and
never answers. Rounds in which it does so and rounds in which it behaves take turns, with the same uploads at
the same rate; a round ends when all of its uploads have their tags. The sources are 127.0.0.2 and following.
With KAFKA_BOOTSTRAP_SERVERS a running broker is taken. The worker's settings are the defaults.

The last line is for machines: uploads of the flapping source while it flapped, how many of them were tagged,
the dead letters of all uploads, and the 99th percentile of the other sources' times from publishing to the
committed result, flapping rounds over clean ones. The exit status is 0 only if every upload was tagged.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import logging
import os
import random
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import msgspec
from aiohttp import web
from aiokafka import AIOKafkaProducer
from PIL import Image
from support.cluster import LOOP_WATCHED, Cluster

from schemas.uploads import UploadData
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputFollower, OutputRecord

PHOTOS = sorted((Path(__file__).parents[1] / "streams" / "photos").glob("*.jpg"))
FLAPPING = "127.0.0.2"
GOOD = ("127.0.0.3", "127.0.0.4", "127.0.0.5")
STALL = 180.0  # seconds without an outcome
THRESHOLD = 0.4
_LONGEST_SIDE = 640


class Sources:
    """Serve the sample photos on each address; the first one flaps when told to. An async context manager."""

    def __init__(self, plan: Plan) -> None:
        self.flaps = False
        self._plan = plan
        self.answers: Counter[str] = Counter()
        self._random = random.Random(plan.seed)
        self._bodies = [scaled(path) for path in PHOTOS]
        app = web.Application()
        app.router.add_get("/{number}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        self.port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        for host in (FLAPPING, *GOOD):
            await web.TCPSite(self._runner, host, self.port).start()
            self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def url(self, host: str, number: int) -> str:
        """The URL of a photo."""
        return f"http://{host}:{self.port}/{number}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.flaps and request.url.host == FLAPPING:
            if time.monotonic() % self._plan.period < self._plan.silent:
                self.answers["none"] += 1
                await asyncio.Event().wait()
            if self._random.random() < 0.5:
                self.answers["503"] += 1
                return web.Response(status=503)
            self.answers["photo"] += 1
        photo = self._bodies[int(request.match_info["number"]) % len(self._bodies)]
        body = photo + self._random.randbytes(8)  # behind its end: no image is known already
        return web.Response(body=body, content_type="image/jpeg")


def scaled(path: Path) -> bytes:
    """A photo in the size that web pages show: the machine must have time left while all goes well."""
    file = io.BytesIO()
    with Image.open(path) as photo:
        photo.thumbnail((_LONGEST_SIDE, _LONGEST_SIDE))
        photo.save(file, "JPEG", quality=85)
    return file.getvalue()


@dataclass
class Round:
    """Uploads that are published at a steady rate, and what became of them. Times are monotonic seconds."""

    flaps: bool
    hosts: dict[str, str]
    published: dict[str, float] = field(default_factory=dict)
    tagged: dict[str, float] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)

    @property
    def over(self) -> bool:
        """Whether every upload has its outcome."""
        return len(self.tagged) + len(self.dead) == len(self.hosts)

    def add(self, record: OutputRecord) -> None:
        """Take a result or a dead letter; others' are none of its business."""
        name = record.key
        if name not in self.published:
            return
        if record.fault is None:
            self.tagged[name] = time.monotonic()
        else:
            self.dead[name] = record.fault.reason

    def times(self, *, good: bool) -> list[float]:
        """Seconds that each upload of the good sources took, or of the other one."""
        return [
            at - self.published[name]
            for name, at in self.tagged.items()
            if (self.hosts[name] != FLAPPING) == good
        ]


@dataclass(frozen=True)
class Plan:
    """What is published in each round, and how fast."""

    flapping: int
    good: int
    rate: float
    pairs: int
    seed: int
    period: float
    silent: float

    def round(self, number: int) -> Round:
        """A round: the clean one of each pair comes first in every other pair."""
        chance = random.Random(f"{self.seed}/{number // 2}")
        hosts = [FLAPPING] * self.flapping + [GOOD[index % len(GOOD)] for index in range(self.good)]
        chance.shuffle(hosts)
        names = {f"r{number}-{index}": host for index, host in enumerate(hosts)}
        return Round(number % 4 in {1, 2}, names)


class Run:
    """One worker that goes through all rounds."""

    def __init__(self, cluster: Cluster, sources: Sources, plan: Plan) -> None:
        self.rounds: list[Round] = []
        self._cluster = cluster
        self._sources = sources
        self._plan = plan

    async def run(self) -> None:
        """Go through the rounds, or until one of them stalls."""
        await self._cluster.start(0)
        await self._cluster.until_ready([0])
        connection, names = KafkaConnection(self._cluster.bootstrap), self._cluster.names
        producer = AIOKafkaProducer(bootstrap_servers=self._cluster.bootstrap, linger_ms=2)
        await producer.start()
        try:
            async with OutputFollower(connection, names, ("categorization", "dead-letter")) as follower:
                following = asyncio.create_task(self._follow(follower))
                await self._round(producer, replace(self._plan, flapping=0, good=40).round(0))  # to warm up
                self.rounds.clear()
                for number in range(2 * self._plan.pairs):
                    if not await self._round(producer, self._plan.round(number)):
                        break
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
        finally:
            await producer.stop()

    async def _round(self, producer: AIOKafkaProducer, current: Round) -> bool:
        self.rounds.append(current)
        self._sources.flaps = current.flaps
        started = time.monotonic()
        for index, (name, host) in enumerate(current.hosts.items()):
            await asyncio.sleep(max(started + index / self._plan.rate - time.monotonic(), 0))
            event = UploadData(public_id=name, url=self._sources.url(host, index), auto_tagging=THRESHOLD)
            current.published[name] = time.monotonic()
            await producer.send(self._cluster.names.uploads, msgspec.json.encode(event), name.encode())
        seen, since = 0, time.monotonic()
        while not current.over and time.monotonic() - since < STALL:
            await asyncio.sleep(0.05)
            if len(current.tagged) + len(current.dead) != seen:
                seen, since = len(current.tagged) + len(current.dead), time.monotonic()
        print(describe(current, time.monotonic() - started, self._sources.answers), flush=True)
        self._sources.answers.clear()
        return current.over

    async def _follow(self, follower: OutputFollower) -> None:
        async for record in follower.records():
            self.rounds[-1].add(record)


def p99(times: list[float]) -> float:
    """The 99th percentile; not a number without times."""
    return statistics.quantiles(times, n=100, method="inclusive")[98] if len(times) > 1 else float("nan")


def describe(done: Round, seconds: float, answers: Counter[str]) -> str:
    """One round in a few words."""
    good, other = done.times(good=True), done.times(good=False)
    kind = f"flapping {dict(answers)}" if done.flaps else "clean"
    figures = f"{len(done.tagged)} of {len(done.hosts)} tagged in {seconds:.0f} s, {len(done.dead)} dead"
    return (
        f"{kind}: {figures}; good p50 {middle(good):.3f} p99 {p99(good):.3f}, other p50 {middle(other):.3f}"
    )


def middle(times: list[float]) -> float:
    """The median; not a number without times."""
    return statistics.median(times) if times else float("nan")


def last_line(rounds: list[Round]) -> str:
    """The line for machines."""
    flapping = [done for done in rounds if done.flaps]
    clean = [done for done in rounds if not done.flaps]
    uploads = sum(host == FLAPPING for done in flapping for host in done.hosts.values())
    tagged = sum(len(done.times(good=False)) for done in flapping)
    dead = sum(len(done.dead) for done in rounds)
    ratio = p99([at for done in flapping for at in done.times(good=True)]) / p99(
        [at for done in clean for at in done.times(good=True)]
    )
    return f"uploads={uploads} tagged={tagged} dead_lettered={dead} good_host_p99_ratio={ratio:.2f}"


async def run_all(plan: Plan, bootstrap: str, folder: Path, environment: dict[str, str]) -> list[Round]:
    """Start sources and worker; return the rounds."""
    async with Sources(plan) as sources:
        allowed = ",".join(f"{host}:{sources.port}" for host in (FLAPPING, *GOOD))
        environment = {"TAGSTREAM_ALLOW_SOURCES": allowed, **LOOP_WATCHED, **environment}
        cluster = Cluster(bootstrap, f"flapping-{uuid.uuid4().hex[:8]}", folder, environment=environment)
        run = Run(cluster, sources, plan)
        try:
            await run.run()
        finally:
            await cluster.close()
    return run.rounds


def main(options: argparse.Namespace) -> int:
    """Run; print; return the exit status."""
    pairs = options.pairs
    flapping, good = options.uploads // pairs, options.good // pairs
    plan = Plan(flapping, good, options.rate, pairs, options.seed, options.period, options.silent)
    environment = dict(text.split("=", 1) for text in options.set)
    scratch = Path(tempfile.mkdtemp(prefix="flapping-"))
    with contextlib.ExitStack() as stack:
        bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if not bootstrap:
            bootstrap = stack.enter_context(EmbeddedBroker(scratch / "kafka", 0)).bootstrap_servers
        rounds = asyncio.run(run_all(plan, bootstrap, scratch, environment))
    complete = len(rounds) == 2 * pairs and all(len(done.tagged) == len(done.hosts) for done in rounds)
    if complete:
        shutil.rmtree(scratch)
    else:
        print(f"the worker's log is in {scratch}")
    print(last_line(rounds))
    return 0 if complete else 1


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--uploads", type=int, default=2000, help="of the flapping source, while it flaps")
    parser.add_argument("--good", type=int, default=1000, help="of the other sources, meanwhile")
    parser.add_argument("--rate", type=float, default=25.0, help="uploads per second")
    parser.add_argument("--pairs", type=int, default=4, help="rounds of each kind")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--period", type=float, default=20.0, help="seconds from one silence to the next")
    parser.add_argument("--silent", type=float, default=2.0, help="seconds that each of them lasts")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a worker's setting")
    sys.exit(main(parser.parse_args()))
