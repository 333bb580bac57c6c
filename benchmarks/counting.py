"""What counting costs: CPU per upload with eight tags counted, and with none.

    python -m benchmarks.counting
    python -m benchmarks.counting --streams

The real worker on a real broker with the stub tagger. Runs are interleaved: tags counted, then none
assigned (a threshold that no tag passes), so that the difference is the counting alone: folding tags into
buckets and interests, encoding and sending their rows. `queries` says whether the worker also keeps its
query indexes. With `--streams` runs differ by the streams of what changed that are on, all of them with
tags counted and without queries. The last line is the report as JSON.
"""

import argparse
import asyncio
import json
import random
import statistics
import sys
import uuid
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import quote

from benchmarks.load import Cluster, folded
from benchmarks.processes import cpu_seconds
from benchmarks.program import parser_of
from schemas.uploads import UploadData
from streams.cli.local.embedded_broker import EmbeddedBroker

RATE = 500  # uploads per second that the share of a core is stated for


def uploads(count: int, seed: int, tags: int = 8) -> list[UploadData]:
    """Uploads with so many different tags each, drawn from 10,000 by Zipf's law."""
    dice = random.Random(seed)
    weights = list(accumulate(1 / (rank + 1) for rank in range(10_000)))
    events = []
    for number in range(count):
        names: dict[str, float] = {}
        while len(names) < tags:
            names[f"tag{dice.choices(range(10_000), cum_weights=weights)[0]}"] = 0.9
        url = "data:application/json," + quote(json.dumps(names, separators=(",", ":")))
        events.append(UploadData(public_id=f"image-{number}", url=url, user_id=f"user{dice.randrange(5000)}"))
    return events


STREAMS = {
    "none": "",
    "image.tags": "image.tags",
    "tag.counts": "tag.counts",
    "both": "image.tags,tag.counts",
}


async def measure(bootstrap: str, folder: Path, count: int, threshold: str, **environment: str) -> float:
    """Measure the microseconds of CPU that a worker spends per upload."""
    name = f"cost-{uuid.uuid4().hex[:8]}"
    (folder / name).mkdir()
    cluster = Cluster(bootstrap, name, folder / name)
    cluster.environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_AUTO_TAGGING": threshold,
        **environment,
        "TAGSTREAM_SNAPSHOT_INTERVAL": "0",
    }
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        events = uploads(count + 1000, 1)
        await cluster.publish(events[:1000])  # warm
        while await folded(cluster, 0) < 1000:
            await asyncio.sleep(0.2)
        pid = cluster.processes[0].pid
        before = cpu_seconds(pid)
        await cluster.publish(events[1000:])
        while await folded(cluster, 0) < count + 1000:
            await asyncio.sleep(0.2)
        return (cpu_seconds(pid) - before) / count * 1e6
    finally:
        await cluster.close()


async def run(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, object]:
    """Interleave the four kinds of runs."""
    found: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for queries in ("true", "false"):
            for kind, threshold in (("counted", "0.5"), ("not_counted", "0.95")):
                roles = "tag,query" if queries == "true" else "tag"
                cost = await measure(bootstrap, folder, options.uploads, threshold, TAGSTREAM_ROLES=roles)
                found.setdefault(f"{kind}_queries_{queries}", []).append(cost)
                print(f"queries={queries:<5} {kind:<11} {cost:6.0f} us of CPU per upload", flush=True)
    report: dict[str, object] = {name: statistics.median(costs) for name, costs in found.items()}
    for queries in ("true", "false"):
        pairs = zip(found[f"counted_queries_{queries}"], found[f"not_counted_queries_{queries}"], strict=True)
        difference = statistics.median(with_counts - without for with_counts, without in pairs)
        report[f"core_share_of_counting_at_{RATE}_per_second_queries_{queries}"] = difference * RATE / 1e6
    return report


async def run_streams(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, object]:
    """Interleave runs with different streams on."""
    found: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for kind, streams in STREAMS.items():
            environment = {"TAGSTREAM_ROLES": "tag", "TAGSTREAM_STREAMS": streams}
            cost = await measure(bootstrap, folder, options.uploads, "0.5", **environment)
            found.setdefault(kind, []).append(cost)
            print(f"streams={kind:<11} {cost:6.0f} us of CPU per upload", flush=True)
    return {f"us_per_upload_{kind}": statistics.median(costs) for kind, costs in found.items()}


def main() -> None:
    """Read the command line and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--uploads", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", action="store_true", help="What streams of what changed cost.")
    options = parser.parse_args()
    chosen = run_streams if options.streams else run
    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
        print(json.dumps(asyncio.run(chosen(options, broker.bootstrap_servers, Path(folder)))))


if __name__ == "__main__":
    sys.exit(main())
