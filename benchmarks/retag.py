"""What a re-tag by rules takes, and whether every count is right after it.

    python -m benchmarks.retag [--images 100000] [--workers 1]

The real workers on a real broker, with the stub tagger: images with eight tags each, drawn from 10,000 by
Zipf's law, of 5,000 users, with event times over the last two hours; people edit one in a hundred. Then the
rules change (a threshold, two tags that become one, a blocked tag, a tag's own threshold), a dry run tells
what that means, and the re-tag does it. In the end every count by tag, source, window and bucket, and every
user's interests, are computed from the uploads alone and compared. The last line is the report as JSON.
"""

import argparse
import asyncio
import json
import random
import sys
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from benchmarks.load import Cluster, folded
from benchmarks.processes import cpu_seconds
from benchmarks.program import parser_of
from schemas.uploads import UploadData
from streams.app.settings import Settings
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.cli.retag.job import Report, RetagJob, RetagOptions
from streams.fold.rows import DAY_MS, WINDOW_SECONDS, InterestKey, TrendKey
from streams.kafka.connection import KafkaConnection

ADD_ON = "imagga_tagging"
THRESHOLD, OTHER_THRESHOLD, OWN_THRESHOLD = 0.5, 0.6, 0.9
RENAMED, BLOCKED, STRICT = {"tag0": "first", "tag1": "first"}, "tag2", "tag3"
RULES = f"""
threshold = {OTHER_THRESHOLD}
block = ["{BLOCKED}"]
[rename]
tag0 = "first"
tag1 = "first"
[thresholds]
{STRICT} = {OWN_THRESHOLD}
"""
CHUNK = 5000


class Image(NamedTuple):
    """An image as its upload and its edit tell it."""

    number: int
    at: int
    user: str
    scores: dict[str, float]
    added: tuple[str, ...]
    removed: tuple[str, ...]

    def upload(self) -> UploadData:
        """The upload of the image."""
        url = "data:application/json," + quote(json.dumps(self.scores, separators=(",", ":")))
        moment = datetime.fromtimestamp(self.at / 1000, UTC).isoformat()
        return UploadData(public_id=self.name, url=url, user_id=self.user, uploaded_at=moment)

    def edit(self) -> UploadData:
        """A person's edit of it."""
        added, removed = list(self.added) or None, list(self.removed) or None
        kind = "image.tags-edited"
        return UploadData(type=kind, public_id=self.name, added=added, removed=removed, by="ann")

    @property
    def name(self) -> str:
        """Its public id."""
        return f"image-{self.number}"


def draw(count: int, seed: int = 1) -> Iterator[Image]:
    """Draw images by the laws above."""
    dice, now = random.Random(seed), int(time.time() * 1000)
    weights = [1 / (rank + 1) for rank in range(10_000)]
    drawn = iter(dice.choices(range(10_000), weights, k=count * 16))
    for number in range(count):
        tags: set[int] = set()
        while len(tags) < 8:
            tags.add(next(drawn, dice.randrange(10_000)))
        scores = {f"tag{tag}": dice.randint(3000, 10_000) / 10_000 for tag in sorted(tags)}
        edited = number % 100 == 0
        added = ("favourite",) if edited else ()
        removed = (next(iter(scores)), "first") if edited else ()
        user = f"user{dice.randrange(5000)}"
        yield Image(number, now - dice.randrange(7_200_000), user, scores, added, removed)


def tags_of(image: Image) -> dict[str, list[str]]:
    """The tags that an image must have, with their sources: computed from its upload and the rules."""
    named: dict[str, float] = {}
    for tag, confidence in image.scores.items():
        name = RENAMED.get(tag, tag)
        named[name] = max(confidence, named.get(name, 0))
    least = {STRICT: OWN_THRESHOLD}
    found = {tag: ["people"] for tag in image.added}
    for tag, confidence in named.items():
        if tag != BLOCKED and tag not in image.removed and confidence > least.get(tag, OTHER_THRESHOLD):
            found[tag] = [ADD_ON]
    return found


def count_from_scratch(images: list[Image]) -> tuple[dict[str, Any], dict[str, Counter[str]]]:
    """What the rows of counts and of interests must say, by their keys."""
    counts: dict[str, Any] = defaultdict(lambda: [0, Counter()])
    interests: dict[str, Counter[str]] = defaultdict(Counter)
    for image in images:
        tags = tags_of(image)
        buckets = [("all", 0)]
        buckets += [(name, image.at // 1000 // length * length) for name, length in WINDOW_SECONDS.items()]
        for window, start in buckets:
            for tag, sources in tags.items():
                row = counts[TrendKey("", window, start, tag).encode()]
                row[0] += 1
                row[1].update(sources)
        if tags:
            interests[InterestKey("", image.user, image.at // DAY_MS).encode()].update(tags.keys())
    return dict(counts), dict(interests)


async def differences(cluster: Cluster, images: list[Image]) -> int:
    """Count the rows that are not what they must be."""
    counts, interests = count_from_scratch(images)
    found: dict[str, Any] = defaultdict(lambda: [0, Counter()])
    for (_, key), row in (await cluster.table("trends")).items():
        found[key][0] += row["n"]
        found[key][1].update(row["by"])
    liked: dict[str, Counter[str]] = defaultdict(Counter)
    for (_, key), row in (await cluster.table("interests")).items():
        liked[key].update(row["t"])
    wrong = [key for key in counts.keys() | found.keys() if counts.get(key) != found.get(key)]
    wrong += [key for key in interests.keys() | liked.keys() if interests.get(key) != liked.get(key)]
    for key in wrong[:5]:
        print(f"{key!r}: {counts.get(key)} must be, {found.get(key)} is", flush=True)
    print(f"compared {len(counts)} counts and {len(interests)} interests", flush=True)
    return len(wrong)


async def fill(cluster: Cluster, images: list[Image]) -> float:
    """Upload and edit; return the seconds."""
    started, published = time.monotonic(), 0
    for begin in range(0, len(images), CHUNK):
        chunk = images[begin : begin + CHUNK]
        edits = [image.edit() for image in chunk if image.added]
        await cluster.publish([image.upload() for image in chunk] + edits)
        published += len(chunk) + len(edits)
    while await folded(cluster, 0) < published:
        await asyncio.sleep(0.5)
    return time.monotonic() - started


async def retag(cluster: Cluster, rules: Path, *, dry_run: bool) -> tuple[Report, float]:
    """Re-tag all images; return the report and the seconds."""
    settings = Settings(app_id=cluster.name, topic_prefix=cluster.names.prefix, rules=rules)
    options = RetagOptions(uuid.uuid4().hex, "rules", dry_run=dry_run)
    job = RetagJob(KafkaConnection(cluster.bootstrap), settings, options)
    started = time.monotonic()
    await job.run()
    return job.report, time.monotonic() - started


async def run(options: argparse.Namespace, bootstrap: str, folder: Path) -> dict[str, object]:
    """Fill, change the rules, re-tag, compare."""
    cluster = Cluster(bootstrap, f"retag-{uuid.uuid4().hex[:8]}", folder)
    rules = folder / "rules.toml"
    rules.write_text(f"threshold = {THRESHOLD}\n")
    cluster.environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_RULES": str(rules),
        "TAGSTREAM_ROLES": "tag" if options.no_queries else "tag,query",
    }
    images = list(draw(options.images))
    try:
        for worker in range(options.workers):
            await cluster.start(worker)
        await cluster.until_ready(range(options.workers))
        filled = await fill(cluster, images)
        print(f"filled in {filled:.0f} s", flush=True)
        rules.write_text(RULES)
        told, dry = await retag(cluster, rules, dry_run=True)
        print(f"dry run in {dry:.0f} s: {told.differences.images} images would change", flush=True)
        while (await cluster.get(0, "/healthz"))["rules"] != told.rules:
            await asyncio.sleep(0.1)
        pids = [process.pid for process in cluster.processes.values()]
        before = sum(map(cpu_seconds, pids))
        report, seconds = await retag(cluster, rules, dry_run=False)
        cpu = sum(map(cpu_seconds, pids)) - before
        print(f"re-tagged in {seconds:.0f} s", flush=True)
        wrong = await differences(cluster, images)
        return {
            "images": report.done,
            "changed": report.differences.images,
            "seconds": round(seconds, 1),
            "images_per_second": round(report.done / seconds),
            "worker_cpu_us_per_image": round(cpu / report.done * 1e6),
            "fill_seconds": round(filled, 1),
            "dry_run_seconds": round(dry, 1),
            "dry_run_equal": told.differences.by_tag() == report.differences.by_tag(),
            "wrong_rows": wrong,
        }
    finally:
        await cluster.close()


def main() -> int:
    """Read the command line and run; return 1 if a count is wrong."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--no-queries", action="store_true", help="workers that keep no query indexes")
    options = parser.parse_args()
    with TemporaryDirectory() as folder, EmbeddedBroker(Path(folder) / "kafka", 0) as broker:
        report = asyncio.run(run(options, broker.bootstrap_servers, Path(folder)))
    print(json.dumps(report))
    return 1 if report["wrong_rows"] or not report["dry_run_equal"] else 0


if __name__ == "__main__":
    sys.exit(main())
