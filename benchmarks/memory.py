"""What a worker's memory does over 100,000 uploads, and with 100,000 waiting.

    python -m benchmarks.memory [--uploads 100000] [--backlog 100000] [--backlog-seconds 20]

First the stub tagger's "images" are fetched over HTTP and folded in, 100,000 uploads of 2,000 images over and
over: the state stays as it is, so memory must, too. `growth` is the median of the last quarter over that of
the second. Then a worker with the real model starts before a backlog of 12-megapixel photos, and is watched
for a while; `peak` is the most memory that it took, `rebalances` how often the group gave it partitions
again, as it would if heartbeats failed. Both are plotted.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from benchmarks.image_server import TAGS
from benchmarks.photo_sets import CACHE
from benchmarks.processes import cpu_seconds, resident_mb
from benchmarks.program import run_program
from benchmarks.samples import Sample, sampled, sparkline, write_plot
from benchmarks.stream import publish, uploads
from benchmarks.testbed import Testbed, open_testbed
from benchmarks.workers import Workers
from schemas.uploads import UploadData
from streams.app.settings import Settings
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import KafkaConnection

_IMAGES = 2000  # in the state
_STUB = {"TAGSTREAM_TAGGER": "stub", "TAGSTREAM_SNAPSHOT_INTERVAL": "0"}
_CHUNK = 5000  # uploads published at once
_DEADLINE = 900.0  # seconds


async def folded(workers: Workers) -> int:
    """How many uploads are done, as the worker says."""
    states = (await workers.cluster.get(0, "/readyz"))["partitions"]
    return sum(state["next_offset"] for state in states)


async def over_many(place: Testbed, count: int) -> dict[str, Any]:
    """Fold many uploads of few images."""
    workers = Workers("worker", place, environment=_STUB, warm_up=False)
    async with workers:
        before = cpu_seconds(*workers.pids)

        async def work() -> None:
            for start in range(0, count, _CHUNK):
                events = _again(place, range(start, min(start + _CHUNK, count)))
                await publish(place.bootstrap, workers.topics.uploads, events)
                while start + _CHUNK - await folded(workers) > _CHUNK:
                    await asyncio.sleep(0.2)
            while await folded(workers) < count:
                await asyncio.sleep(0.2)

        samples = await asyncio.wait_for(sampled(work(), lambda: resident_mb(*workers.pids)), _DEADLINE)
        seconds = samples[-1].seconds
        used = cpu_seconds(*workers.pids) - before
    return {
        "uploads": count,
        "uploads_per_second": count / seconds,
        "cpu_ms": used / count * 1000,
        "rss_mb": [round(sample.value, 1) for sample in samples],
        "growth": growth(samples),
        "samples": samples,
    }


def _again(place: Testbed, numbers: range) -> list[UploadData]:
    """Uploads whose images come again and again."""
    found = []
    for number in numbers:
        (event,) = uploads(place.server, f"{TAGS}1000", number, 1)
        event.public_id = f"image-{number % _IMAGES}"
        found.append(event)
    return found


def growth(samples: Sequence[Sample]) -> float:
    """Compare the last quarter with the second, by their medians."""
    quarter = max(1, len(samples) // 4)
    values = [sample.value for sample in samples]
    return median(values[-quarter:]) / median(values[quarter : 2 * quarter] or values)


async def behind_backlog(place: Testbed, count: int, seconds: float) -> dict[str, Any]:
    """Start a worker before a backlog and watch it for a while."""
    workers = Workers("worker", place, environment={"TAGSTREAM_LOG_LEVEL": "INFO"}, warm_up=False)
    names = workers.cluster.names
    settings = Settings(app_id=names.app_id, topic_prefix=names.prefix, partitions=workers.cluster.partitions)
    await ensure_topics(KafkaConnection(place.bootstrap), settings)
    for start in range(1, count + 1, _CHUNK):
        size = min(_CHUNK, count + 1 - start)
        await publish(place.bootstrap, names.uploads, uploads(place.server, "12mp", start, size))
    async with workers:
        samples = await sampled(asyncio.sleep(seconds), lambda: resident_mb(*workers.pids), 0.2)
        done = await folded(workers)
        members = await _members(place, names.app_id)
    log = workers.cluster.log_path(0).read_text()
    return {
        "waiting": count,
        "done": done,
        "peak_mb": max(sample.value for sample in samples),
        "rebalances": log.count("owning partitions") - 1,
        "members": members,
        "rss_mb": [round(sample.value, 1) for sample in samples],
        "samples": samples,
    }


async def _members(place: Testbed, group: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=place.bootstrap)
    await admin.start()
    try:
        (answer,) = await admin.describe_consumer_groups([group])
        return sum(len(described[5]) for described in answer.groups)
    finally:
        await admin.close()


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Do both."""
    async with open_testbed() as place:
        many = await over_many(place, options.uploads)
        backlog = await behind_backlog(place, options.backlog, options.backlog_seconds)
    titles = {
        "many": f"memory in MB over {options.uploads:,} uploads",
        "backlog": f"memory in MB, {options.backlog:,} uploads of 12 megapixels waiting",
    }
    for name, figures in (("many", many), ("backlog", backlog)):
        samples = figures.pop("samples")
        write_plot(options.into / f"memory-{name}.svg", titles[name], samples)
        figures["sparkline"] = sparkline(samples)
    return {"many": many, "backlog": backlog}


def show(report: dict[str, Any]) -> None:
    """Print what was found."""
    many, backlog = report["many"], report["backlog"]
    rate = f"{many['uploads_per_second']:.0f} per second, {many['cpu_ms']:.2f} ms of CPU each"
    print(f"memory over {many['uploads']:,} uploads ({rate}): growth {many['growth']:.3f}")
    print(f"  {many['sparkline']} up to {max(many['rss_mb']):.0f} MB")
    stable = f"{backlog['rebalances']} rebalances, {backlog['members']} member"
    print(f"memory with {backlog['waiting']:,} waiting, {backlog['done']} done: {stable}")
    print(f"  {backlog['sparkline']} up to {backlog['peak_mb']:.0f} MB")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be chosen."""
    parser.add_argument("--uploads", type=int, default=100_000, help="folded in")
    parser.add_argument("--backlog", type=int, default=100_000, help="uploads that wait")
    parser.add_argument("--backlog-seconds", type=float, default=20, help="for which they are watched")
    parser.add_argument("--into", type=Path, default=CACHE, help="folder of the plots")


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    run_program(__doc__, add_arguments, measure, show)


if __name__ == "__main__":
    main()
