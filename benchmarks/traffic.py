"""What an image adds to Kafka: records and bytes by topic, as its committed records show.

    python -m benchmarks.traffic [--uploads 5000] [--rate 500] [--tags 8]

The real worker on a real broker with the stub tagger, and uploads that come at a steady rate: transactions,
and so how often the row of a popular tag is written, depend on it. Bytes are those of keys, values and
headers, before batches and compression; with replicas each broker has them again. What stays is what
compaction keeps of the state topics. The last line is the report as JSON.
"""

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import ConsumerRecord

from benchmarks.counting import uploads
from benchmarks.load import Cluster, folded
from benchmarks.program import parser_of
from schemas.topics import TABLES
from schemas.uploads import UploadData
from streams.cli.local.embedded_broker import EmbeddedBroker

_STEP = 0.1  # seconds


async def publish_steadily(cluster: Cluster, events: Sequence[UploadData], rate: float) -> None:
    """Publish so many events per second."""
    rest = iter(events)
    started, sent = time.monotonic(), 0
    while chunk := list(islice(rest, max(1, int((time.monotonic() - started + _STEP) * rate) - sent))):
        await cluster.publish(chunk)
        sent += len(chunk)
        await asyncio.sleep(max(0.0, started + sent / rate - time.monotonic()))


def sizes(messages: Sequence[ConsumerRecord], images: int) -> dict[str, float]:
    """Records and bytes per image, and the bytes of the last record of each key."""
    last = {(message.partition, message.key): size(message) for message in messages}
    return {
        "records": len(messages) / images,
        "bytes": sum(map(size, messages)) / images,
        "bytes_that_stay": sum(last.values()) / images,
    }


def size(message: ConsumerRecord) -> int:
    """Bytes of a record's key, value and headers."""
    headers = sum(len(name) + len(value or b"") for name, value in message.headers)
    return len(message.key or b"") + len(message.value or b"") + headers


async def measure(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, Any]:
    """Publish, wait, and read everything back."""
    cluster = Cluster(bootstrap, "traffic", folder)
    cluster.environment = {"TAGSTREAM_TAGGER": "stub", "TAGSTREAM_AUTO_TAGGING": "0.5"}
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        await publish_steadily(cluster, uploads(options.uploads, 1, options.tags), options.rate)
        while await folded(cluster, 0) < options.uploads:
            await asyncio.sleep(0.2)
        names = cluster.names
        topics = {
            "uploads": names.uploads,
            "categorizations": names.categorizations,
            "tag-updates": names.tag_updates,
            **{f"{table} (state)": names.changelog(table) for table in TABLES},
        }
        return {name: sizes(await cluster.read(topic), options.uploads) for name, topic in topics.items()}
    finally:
        await cluster.close()


def main() -> None:
    """Read the command line and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--uploads", type=int, default=5000)
    parser.add_argument("--rate", type=float, default=500, help="uploads per second")
    parser.add_argument("--tags", type=int, default=8, help="tags per upload")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
        report = asyncio.run(measure(options, broker.bootstrap_servers, Path(folder)))
    print(f"{'topic':20} {'records':>8} {'bytes':>8} {'that stay':>10}   per image")
    for name, found in report.items():
        print(f"{name:20} {found['records']:8.2f} {found['bytes']:8.0f} {found['bytes_that_stay']:10.0f}")
    print(json.dumps(report))


if __name__ == "__main__":
    main()
