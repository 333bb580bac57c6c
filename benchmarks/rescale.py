"""Move a state from 4 to 12 partitions, kill that in the middle, go on, and compare all answers.

    python -m benchmarks.rescale --images 100000

The state is written as units write it (`benchmarks.load --fill direct`), each image in the partition that it
belongs to. A worker answers questions before and after. One rescale is killed once a third is moved; the
next one ends it. `--whole` leaves the kill out, to time one rescale from its beginning to its end.
"""

import argparse
import asyncio
import hashlib
import json
import os
import re
import sys
import time
import uuid
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from aiokafka import TopicPartition
from support.cluster import Cluster

from benchmarks.load import fill_directly
from benchmarks.program import parser_of
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming
from streams.kafka.partitioning import partition_for

QUESTIONS = (  # none whose answer changes as time goes by
    "/trends/top?window=all&limit=100&uploaders=true",
    *(f"/trends/tags/tag{number}?window=all" for number in range(20)),
    *(f"/trends/tags/tag{number}/related?limit=20" for number in range(5)),
    *(f"/images?tag=tag{number}&limit=100" for number in range(20)),
    *(f"/images/image-{number}" for number in range(0, 1000, 50)),
)
_PASSING = {
    "as_of",
    "complete",
    "behind",
    "window",
    "cursor",
    "partition",
    "profiles_as_of",
    "profiles_age_seconds",
}


async def answers(cluster: Cluster) -> dict[str, Any]:
    """What a worker answers, started for that and stopped again."""
    await cluster.start(0)
    await cluster.until_ready([0], 300)
    while not (await cluster.get(0, "/trends/top?window=all")).get("complete"):
        await asyncio.sleep(0.2)
    found = {}
    for question in QUESTIONS:
        answer = await cluster.get(0, question)
        found[question] = {name: value for name, value in answer.items() if name not in _PASSING}
    if await cluster.stop(0):
        raise RuntimeError("the worker did not end well")
    return found


async def sums(cluster: Cluster) -> dict[str, object]:
    """What the topics alone say: images, counts by bucket and tag, interests by user, day and tag."""
    images = await cluster.table("images")
    trends = await cluster.table("trends")
    interests = await cluster.table("interests")
    astray = sum(partition != partition_for(key, cluster.partitions) for partition, key in images)
    counts, tastes = Counter[str](), Counter[str]()
    for (_, key), row in trends.items():
        counts.update({key: row["n"]} | {f"{key} by {name}": number for name, number in row["by"].items()})
    for (_, key), row in interests.items():
        tastes.update({f"{key} {tag}": number for tag, number in row["t"].items()})
    return {
        "images": len(images),
        "keys": len({key for _, key in images}),
        "astray": astray,
        "counts": len(counts),
        "counted": sum(counts.values()),
        "digest_of_counts": digest(counts),
        "interests": len(tastes),
        "digest_of_interests": digest(tastes),
    }


def digest(counts: Counter[str]) -> str:
    """The same for the same counts, whatever rows they are from."""
    return hashlib.sha256(json.dumps(sorted(counts.items())).encode()).hexdigest()[:16]


async def rescale(cluster: Cluster, *, kill_after: int | None = None) -> tuple[float, str]:
    """Run the command, or kill it once so many images are moved; seconds, and what it printed."""
    environment = {
        **os.environ,
        "TAGSTREAM_APP_ID": cluster.name,
        "TAGSTREAM_TOPIC_PREFIX": f"{cluster.name}.",
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
    }
    command = (sys.executable, "-m", "streams.cli", "rescale", "--partitions", str(cluster.partitions))
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printing = asyncio.create_task(process.communicate())
    while kill_after is not None and process.returncode is None:
        if await moved(cluster) >= kill_after:
            process.kill()
        await asyncio.sleep(0.5)
    printed, _ = await printing
    return time.monotonic() - started, re.sub(r"\s+", " ", printed.decode()).strip()


async def moved(cluster: Cluster) -> int:
    """How many images lie in partitions that are new."""
    topic = cluster.names.changelog("images")
    if await cluster.partitions_of(topic) < cluster.partitions:
        return 0
    async with consuming(KafkaConnection(cluster.bootstrap)) as consumer:
        places = [TopicPartition(topic, number) for number in range(4, cluster.partitions)]
        return sum((await consumer.end_offsets(places)).values())


async def run(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, Any]:
    """Fill, ask, move, ask."""
    cluster = Cluster(bootstrap, f"rescale-{uuid.uuid4().hex[:8]}", folder, partitions=4)
    cluster.environment = {"TAGSTREAM_TAGGER": "stub", "TAGSTREAM_RATE_LIMIT": "0"}
    report: dict[str, Any] = {"images": options.images}

    def note(name: str, value: object) -> None:
        report[name] = value
        print(f"{name}: {json.dumps(value)}", flush=True)

    try:
        note("fill", await fill_directly(cluster, options))
        before, rows = await answers(cluster), await sums(cluster)
        note("before", rows)
        cluster.partitions = options.to
        if not options.whole:
            seconds, printed = await rescale(cluster, kill_after=options.images // 3)
            note("killed_after_seconds", round(seconds, 1))
        seconds, printed = await rescale(cluster)
        note("rescale_seconds", round(seconds, 1))
        note("printed", printed[-200:])
        after = await sums(cluster)
        note("after", after)
        told = await answers(cluster)
        different = [question for question in QUESTIONS if told[question] != before[question]]
        note("answers", len(QUESTIONS))
        note("different", different)
        note("equal", rows == after and not different)
        return report
    finally:
        await cluster.close()


def main() -> None:
    """Read the command line and run; the last line is the report as JSON."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--to", type=int, default=12, help="partitions afterwards")
    parser.add_argument("--whole", action="store_true", help="do not kill it in the middle")
    parser.add_argument("--tags", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    options.partitions = 4
    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
        report = asyncio.run(run(options, broker.bootstrap_servers, Path(folder)))
    print(json.dumps(report))


if __name__ == "__main__":
    main()
