"""Fill a deployment and measure it: upload rate, CPU, restart with and without local state, query latency.

    python -m benchmarks.load --images 1000000

Everything is the real worker on a real broker; only the tagger is the stub, whose "image" names its tags.
`--fill direct` writes the same state faster: a process per partition folds and commits categorizations as a
unit of work would, without fetching anything, in transactions of 500.
Tags follow a Zipf law with exponent 1 over `--tags` names, eight per image without repeats; users are
drawn with a Zipf law with exponent 0.5; event times are spread evenly over the last seven days.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote, unquote

import httpx
import msgspec
import numpy as np
from aiokafka import AIOKafkaProducer

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster import Cluster

from schemas.results import ModelInfo, ScoredTag, Timings
from schemas.uploads import Record, UploadData, parse_upload
from streams.broker import EmbeddedBroker
from streams.changes import Changes
from streams.folding import FoldRules, fold
from streams.kafka_connection import KafkaConnection
from streams.ledger import Ledger
from streams.outcomes import Done, Tagged
from streams.retention import Retention
from streams.retrying import RetryPolicy
from streams.rules.applying import Rules
from streams.settings import Settings
from streams.state import PartitionState
from streams.topic_admin import ensure_topics
from streams.topics import TopicNames

WEEK_MS = 7 * 86_400_000
CHUNK = 5000


def uploads(options: argparse.Namespace) -> Iterator[UploadData]:
    """Give the stream of uploads, the same for the same seed."""
    chance = np.random.default_rng(options.seed)
    tags = 1 / np.arange(1, options.tags + 1)
    users = 1 / np.sqrt(np.arange(1, options.users + 1))
    now = int(time.time() * 1000)
    made = 0
    while made < options.images:
        size = min(CHUNK, options.images - made)
        picked = chance.choice(options.tags, (size, 16), p=tags / tags.sum())
        owners = chance.choice(options.users, size, p=users / users.sum())
        ages = chance.integers(0, WEEK_MS, size)
        for row in range(size):
            names = {f"tag{number}": 0.9 for number in islice(dict.fromkeys(picked[row].tolist()), 8)}
            yield UploadData(
                public_id=f"image-{made + row}",
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


def cpu_seconds(pid: int) -> float:
    """Give the CPU time of a process, from Linux's /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def resident_mb(pid: int) -> float:
    """Give the memory of a process in MB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096 / 1e6


async def folded(cluster: Cluster, worker: int) -> int:
    """Give how many uploads a worker has folded in, as it says itself."""
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
    command = [sys.executable, "-m", "benchmarks.load", *sys.argv[1:], "--bootstrap", cluster.bootstrap]
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
    """Fold and commit every `partitions`-th upload as the owner of one partition."""
    connection = KafkaConnection(options.bootstrap)
    names = TopicNames(options.app_id, f"{options.app_id}.")
    ledger = Ledger(connection, names, PartitionState(options.partition))
    await ledger.open()
    rules = FoldRules(names, Retention(1, 31, 800, 365, 30), RetryPolicy())
    mine = islice(uploads(options), options.partition, None, options.partitions)
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


async def restart(cluster: Cluster, workers: int) -> dict[str, float]:
    """Start the workers; give the seconds until uploads are worked on, and until answers are complete."""
    started = time.monotonic()
    for worker in range(workers):
        await cluster.start(worker)
    await cluster.until_ready(range(workers), 900)
    tagging = time.monotonic() - started
    async with asyncio.timeout(900):
        while True:
            try:
                answers = [await cluster.get(worker, "/trends/top?limit=1") for worker in range(workers)]
                if all(answer.get("complete") for answer in answers):
                    return {"tagging": tagging, "queries": time.monotonic() - started}
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.25)


QUERIES = {
    "top": "/trends/top?window=24h&limit=20",
    "top_all": "/trends/top?window=all&limit=20",
    "rising": "/trends/rising?window=24h",
    "series": "/trends/tags/tag{tag}?window=7d",
    "images": "/images?tag=tag{tag}&limit=20",
    "interests": "/users/user{user}/interests",
    "similar": "/users/user{user}/similar",
}


async def latencies(
    cluster: Cluster, workers: int, options: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Ask each worker in turn, one question at a time; milliseconds as the client sees them."""
    dice = random.Random(options.seed)
    found = {}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        for name, path in QUERIES.items():
            times = []
            for number in range(options.questions):
                tag, user = int(options.tags ** dice.random()) - 1, dice.randrange(options.users)
                url = f"http://127.0.0.1:{cluster.ports[number % workers]}" + path.format(tag=tag, user=user)
                started = time.perf_counter()
                answer = await client.get(url)
                times.append((time.perf_counter() - started) * 1000)
                if answer.status_code not in (200, 404):
                    raise RuntimeError(f"{url}: {answer.status_code} {answer.text[:200]}")
            cuts = statistics.quantiles(times, n=100)
            found[name] = {"p50_ms": cuts[49], "p99_ms": cuts[98]}
            print(f"{name:<10} p50 {cuts[49]:7.2f} ms   p99 {cuts[98]:7.2f} ms")
    return found


async def run(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, object]:
    """Fill, restart, ask."""
    cluster = Cluster(bootstrap, f"load-{uuid.uuid4().hex[:8]}", folder, partitions=options.partitions)
    cluster.environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_QUERIES": "false",
        "TAGSTREAM_SNAPSHOT_INTERVAL": "0",
    }
    try:
        if options.fill == "direct":
            report: dict[str, object] = {"fill": await fill_directly(cluster, options)}
        else:
            report = {"fill": await fill(cluster, options)}
            await cluster.stop(0)
        report["images"] = options.images
        print(json.dumps(report), flush=True)
        cluster.environment |= {"TAGSTREAM_QUERIES": "true", "TAGSTREAM_SNAPSHOT_INTERVAL": "86400"}
        report["seconds_without_local_state"] = await restart(cluster, options.workers)
        print("seconds without local state:", report["seconds_without_local_state"], flush=True)
        report["worker_rss_mb"] = [resident_mb(process.pid) for process in cluster.processes.values()]
        report["latency"] = await latencies(cluster, options.workers, options)
        for worker in range(options.workers):
            await cluster.stop(worker)
        report["seconds_with_local_state"] = await restart(cluster, options.workers)
        print("seconds with local state:", report["seconds_with_local_state"], flush=True)
        return report
    finally:
        await cluster.close()


def main() -> None:
    """Read the command line and run; the last line is the report as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--tags", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--partitions", type=int, default=4)
    parser.add_argument("--questions", type=int, default=600)
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
