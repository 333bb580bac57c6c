"""Fill a deployment and measure it: upload rate, CPU, restart with and without local state, query latency.

    python -m benchmarks.load --fill direct --images 1000000

Everything is the real worker on a real broker; only the tagger is the stub, whose "image" names its tags.
`--fill direct` writes the same state faster: a process per partition folds and commits categorizations as a
unit would, without fetching anything, in transactions of 500. Then come: a restart of all workers
without local state; questions at rest, and while `--rate` uploads per second are folded; a restart with local
state. Each restart says when uploads are worked on, when answers are complete, and what it cost each worker.
Tags follow a Zipf law with exponent 1 over `--tags` names, eight per image without repeats; users are
drawn with a Zipf law with exponent 0.5; event times are spread evenly over the last seven days.
"""

import argparse
import asyncio
import contextlib
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote

import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cluster import Cluster

from benchmarks.processes import cpu_seconds, resident_mb
from benchmarks.program import parser_of
from benchmarks.questions import Questions, restart
from schemas.results import ModelInfo, ScoredTag, Timings
from schemas.topics import TopicNames
from schemas.uploads import Record, UploadData, parse_upload
from streams.app.settings import Settings
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Done, Tagged
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy
from streams.fold.rules.applying import Rules
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import KafkaConnection
from streams.kafka.partitioning import partition_for
from streams.state.partition import PartitionState
from streams.units.ledger import Ledger

TOLD = ("images", "tags", "users", "workers", "partitions", "questions", "rate", "fill", "seed")
WEEK_MS = 7 * 86_400_000
CHUNK = 5000


def uploads(options: argparse.Namespace, *, first: int = 0, weeks: int = 1) -> Iterator[UploadData]:
    """The stream of uploads, the same for the same seed.

    Args:
        options: How many tags, users and images there are.
        first: Number of the first image.
        weeks: Over how much time up to now they are spread; 0: they happen now.
    """
    chance = np.random.default_rng(options.seed)
    tags = 1 / np.arange(1, options.tags + 1)
    users = 1 / np.sqrt(np.arange(1, options.users + 1))
    now = int(time.time() * 1000)
    made = 0
    while made < options.images:
        size = min(CHUNK, options.images - made)
        picked = chance.choice(options.tags, (size, 16), p=tags / tags.sum())
        owners = chance.choice(options.users, size, p=users / users.sum())
        ages = chance.integers(0, weeks * WEEK_MS + 1, size)
        for row in range(size):
            names = {f"tag{number}": 0.9 for number in islice(dict.fromkeys(picked[row].tolist()), 8)}
            yield UploadData(
                public_id=f"image-{first + made + row}",
                url="data:application/json," + quote(json.dumps(names, separators=(",", ":"))),
                user_id=f"user{owners[row]}",
                uploaded_at=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((now - int(ages[row])) / 1000)),
                auto_tagging=0.5,
            )
        made += size


async def publish(cluster: Cluster, events: Iterator[UploadData]) -> None:
    """Publish with bounded memory."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, linger_ms=20, compression_type="gzip")
    await producer.start()
    try:
        while chunk := list(islice(events, CHUNK)):
            sends = [
                await producer.send(
                    cluster.names.uploads, msgspec.json.encode(event), (event.public_id or "").encode()
                )
                for event in chunk
            ]
            await asyncio.gather(*sends)
    finally:
        await producer.stop()


async def folded(cluster: Cluster, worker: int) -> int:
    """How many uploads a worker has folded in, as it says itself."""
    states = (await cluster.get(worker, "/readyz"))["partitions"]
    return sum(state["next_offset"] for state in states)


async def fill(cluster: Cluster, options: argparse.Namespace) -> dict[str, float]:
    """Publish everything and let one worker fold it in."""
    await cluster.start(0)
    await cluster.until_ready([0])
    pid = cluster.processes[0].pid
    before, started = cpu_seconds(pid), time.monotonic()
    publishing = asyncio.create_task(publish(cluster, uploads(options)))
    while (done := await folded(cluster, 0)) < options.images:
        rate = done / (time.monotonic() - started)
        print(f"\r{done:>9} of {options.images} uploads, {rate:.0f}/s ", end="", file=sys.stderr, flush=True)
        await asyncio.sleep(1)
    await publishing
    seconds, cpu = time.monotonic() - started, cpu_seconds(pid) - before
    print(file=sys.stderr)
    return {
        "uploads_per_second": options.images / seconds,
        "cpu_us_per_upload": cpu / options.images * 1e6,
        "uploads_per_cpu_second": options.images / cpu,
        "worker_rss_mb": resident_mb(pid),
    }


async def fill_directly(cluster: Cluster, options: argparse.Namespace) -> dict[str, float]:
    """Let one process per partition write its share of the state."""
    settings = Settings(app_id=cluster.name, topic_prefix=f"{cluster.name}.", partitions=options.partitions)
    await ensure_topics(KafkaConnection(cluster.bootstrap), settings)
    started = time.monotonic()
    told = (
        f"--{name}={getattr(options, name)}" for name in ("images", "tags", "users", "partitions", "seed")
    )
    command = [sys.executable, "-m", "benchmarks.load", *told, "--bootstrap", cluster.bootstrap]
    processes = [
        await asyncio.create_subprocess_exec(
            *command, "--app-id", cluster.name, "--partition", str(partition)
        )
        for partition in range(options.partitions)
    ]
    codes = await asyncio.gather(*(process.wait() for process in processes))
    if any(codes):
        raise RuntimeError(f"a filling process ended with {codes}")
    return {"uploads_per_second": options.images / (time.monotonic() - started)}


async def fill_partition(options: argparse.Namespace) -> None:
    """Fold and commit the uploads of one partition as its owner."""
    connection = KafkaConnection(options.bootstrap)
    names = TopicNames(options.app_id, f"{options.app_id}.")
    ledger = Ledger(connection, names, PartitionState(options.partition))
    await ledger.open()
    rules = FoldRules(names, Retention(1, 31, 800, 365, 30), RetryPolicy())
    mine = (
        event
        for event in uploads(options)
        if partition_for(event.public_id or "", options.partitions) == options.partition
    )
    producer = AIOKafkaProducer(bootstrap_servers=options.bootstrap, linger_ms=20)
    await producer.start()
    while batch := list(islice(mine, 500)):
        first = ledger.state.next_offset
        sends = [await producer.send(names.uploads, b"{}", partition=options.partition) for _ in batch]
        await asyncio.gather(*sends)
        changes = Changes(ledger.state.rows)
        for offset, event in enumerate(batch, first):
            fold(changes, _done(event, offset, names), rules)
        await ledger.commit(changes, first + len(batch))
    await producer.stop()
    await ledger.close()


def _done(event: UploadData, offset: int, names: TopicNames) -> Done:
    now = int(time.time() * 1000)
    record = Record(
        topic=names.uploads,
        partition=0,
        offset=offset,
        timestamp=now,
        key=(event.public_id or "").encode(),
        value=msgspec.json.encode(event),
    )
    upload = msgspec.structs.replace(parse_upload(record), add_ons=("imagga_tagging",))
    tags = json.loads(unquote((event.url or "").partition(",")[2]))
    raw = {"imagga_tagging": [ScoredTag(tag, 0.9) for tag in tags]}
    ruling = Rules().apply(raw, upload.auto_tagging)
    tagged = Tagged(
        upload=upload,
        url=f"https://photos.example/{event.public_id}.jpg",
        size=100_000,
        width=1200,
        height=800,
        format="jpg",
        etag="0" * 32,
        raw=raw,
        scores=ruling.scores,
        assigned=ruling.assigned,
        rules=Rules().hash,
        models={"imagga_tagging": ModelInfo("stub", "1")},
        timings=Timings(1, 1, 1, 3),
    )
    return Done(record, tagged)


async def run(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, object]:
    """Fill, restart, ask, restart."""
    cluster = Cluster(bootstrap, f"load-{uuid.uuid4().hex[:8]}", folder, partitions=options.partitions)
    cluster.environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_ROLES": "tag",
        "TAGSTREAM_SNAPSHOT_INTERVAL": "0",
        "TAGSTREAM_RATE_LIMIT": "0",
    }
    report: dict[str, object] = {"options": {name: getattr(options, name) for name in TOLD}}

    def note(name: str, value: object) -> None:
        report[name] = value
        print(f"{name}: {json.dumps(value)}", flush=True)

    try:
        if options.fill == "direct":
            note("fill", await fill_directly(cluster, options))
        else:
            note("fill", await fill(cluster, options))
            await cluster.stop(0)
        note("broker_disk_mb", disk_mb(folder))
        cluster.environment |= {"TAGSTREAM_ROLES": "tag,query", "TAGSTREAM_SNAPSHOT_INTERVAL": "86400"}
        note("restart_without_local_state", await restart(cluster, options.workers))
        questions = Questions(cluster, options.workers, options)
        note("latency_at_rest", await questions.ask())
        async with publishing(cluster, options) as uploaded:
            note("latency_under_uploads", await questions.ask())
        note("uploads_meanwhile", len(uploaded))
        note("worker_rss_mb", [round(resident_mb(process.pid)) for process in cluster.processes.values()])
        note("exit_codes", [await cluster.stop(worker) for worker in range(options.workers)])
        note("restart_with_local_state", await restart(cluster, options.workers))
        return report
    finally:
        await cluster.close()


@contextlib.asynccontextmanager
async def publishing(cluster: Cluster, options: argparse.Namespace) -> AsyncIterator[list[str]]:
    """Publish `options.rate` uploads per second meanwhile; return the list of those that were sent."""
    sent: list[str] = []
    more = argparse.Namespace(**{**vars(options), "images": 10**9, "seed": options.seed + 1})

    async def publish_on(producer: AIOKafkaProducer) -> None:
        for event in uploads(more, first=options.images, weeks=0):
            await producer.send(
                cluster.names.uploads, msgspec.json.encode(event), (event.public_id or "").encode()
            )
            sent.append(event.public_id or "")
            await asyncio.sleep(1 / options.rate)

    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap) as producer:
        task = asyncio.create_task(publish_on(producer)) if options.rate else None
        try:
            yield sent
        finally:
            if task is not None:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def disk_mb(folder: Path) -> int:
    """The size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) // 1_000_000


def main() -> None:
    """Read the command line and run; the last line is the report as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--tags", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--questions", type=int, default=600, help="of each kind")
    parser.add_argument("--rate", type=float, default=50, help="uploads per second while questions are asked")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--fill", choices=("uploads", "direct"), default="uploads")
    for name, kind in (("--bootstrap", str), ("--app-id", str), ("--partition", int)):
        parser.add_argument(name, type=kind, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.partition is not None:
        asyncio.run(fill_partition(options))
        return
    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
        report = asyncio.run(run(options, broker.bootstrap_servers, Path(folder)))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
