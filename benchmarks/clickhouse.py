"""ClickHouse with the tables of the recipe: bytes per image, and how long its questions take.

    python -m benchmarks.clickhouse [--images 1000000]

chDB, the engine as a library (`make engines`), on this machine's cores. Rows are made in it, as the streams
would fill them: eight tags an image of 10,000 by Zipf's law, 100,000 users, event times over the last seven
days, four partitions, minutes kept for a day; that answers are the API's is shown by
tests/engines/test_clickhouse.py. A question is asked as one asks it over HTTP, each time of another tag, user
or image. The last line is the report as JSON.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.engines.clickhouse import ClickHouse, is_installed, running

from benchmarks.program import parser_of

TAGS, USERS = 10_000, 100_000
SHAPE = {"tags": TAGS, "users": USERS, "partitions": 4, "each": 8}
CHUNK = 250_000  # images of one INSERT
NEVER = "2100-01-01T00:00:00Z"

# A hash stands for chance: the same images each time. Event times count back from now.
_TAGS_OF_IMAGES = """INSERT INTO image_tags
SELECT '', concat('tag', toString(toUInt32(pow({tags:UInt64}, sipHash64(number, place) / pow(2, 64))) - 1)),
    concat('image-', toString(number)), concat('user', toString(sipHash64(number, 'user') % {users:UInt64})),
    0.3 + sipHash64(number, place, 'sure') % 7000 / 10000, 'imagga_tagging', 'efficientnet_lite2_int8/1',
    now64(3) - toIntervalMillisecond(sipHash64(number, 'time') % (7 * 86400000)),
    number % {partitions:UInt64}, number * {each:UInt64} + place, 0
FROM numbers({first:UInt64}, {size:UInt64}) ARRAY JOIN range({each:UInt64}) AS place"""
_STARTS = {
    "minute": "toStartOfMinute(uploaded_at)",
    "hour": "toStartOfHour(uploaded_at)",
    "day": "toStartOfDay(uploaded_at)",
    "all": "toDateTime(0, 'UTC')",
}
_COUNTS = """INSERT INTO tag_counts
SELECT tenant, add_on, {window:String}, START AS start, tag, count(), kafka_partition, max(kafka_offset), 0
FROM image_tags FINAL ARRAY JOIN ['*', source] AS add_on
WHERE {window:String} != 'minute' OR uploaded_at > now() - 86400
GROUP BY tenant, add_on, start, tag, kafka_partition"""
_BYTES = """SELECT table, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts
WHERE active AND database = currentDatabase() GROUP BY table ORDER BY table"""


async def fill(clickhouse: ClickHouse, images: int) -> float:
    """Make all rows, and merge them; the seconds that it took."""
    began = time.perf_counter()
    for first in range(0, images, CHUNK):
        size = min(CHUNK, images - first)
        await clickhouse.query(_TAGS_OF_IMAGES, first=first, size=size, **SHAPE)
    await clickhouse.query("OPTIMIZE TABLE image_tags FINAL")
    for window, start in _STARTS.items():
        await clickhouse.query(_COUNTS.replace("START", start), window=window)
    await clickhouse.query("OPTIMIZE TABLE tag_counts FINAL")
    return time.perf_counter() - began


def questions(images: int) -> dict[str, tuple[str, dict[str, object]]]:
    """By name: which question, and what it is asked; drawn anew each time."""
    now, tag = datetime.now(UTC), f"tag{int(TAGS ** random.random()) - 1}"
    day, week = ((now - timedelta(days=days)).isoformat() for days in (1, 7))
    return {
        "top, last day by minutes": ("top", {"window": "minute", "since": day, "until": NEVER, "limit": 20}),
        "top, 7 days by hours": ("top", {"window": "hour", "since": week, "until": NEVER, "limit": 20}),
        "top of all": (
            "top",
            {"window": "all", "since": "1970-01-01T00:00:00Z", "until": NEVER, "limit": 20},
        ),
        "series of a tag, 7 days": ("series", {"window": "hour", "tag": tag, "since": week, "until": NEVER}),
        "images by a tag": ("images", {"tags": f"['{tag}']", "limit": 20}),
        "images by two tags": ("images", {"tags": f"['tag0','{tag}']", "limit": 20}),
        "a user's interests": ("interests", {"user_id": f"user{random.randrange(USERS)}", "limit": 20}),
        "one image": ("image", {"public_id": f"image-{random.randrange(images)}"}),
    }


async def ask(clickhouse: ClickHouse, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Ask each question again and again; milliseconds."""
    taken: dict[str, list[float]] = {}
    for _ in range(options.rounds):
        for name, (question, parameters) in questions(options.images).items():
            began = time.perf_counter()
            await clickhouse.ask(question, tenant="", **parameters)
            taken.setdefault(name, []).append((time.perf_counter() - began) * 1000)
    found = {}
    for name, times in taken.items():
        p50, most = np.percentile(times, [50, 100])
        found[name] = {"p50_ms": round(float(p50), 1), "max_ms": round(float(most), 1)}
        print(f"{name:<26}{p50:>8.1f}{most:>8.1f}", flush=True)
    return found


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Fill, weigh, ask."""
    random.seed(1)
    with TemporaryDirectory() as folder:
        async with running(Path(folder)) as clickhouse:
            report: dict[str, Any] = {"images": options.images}
            report["seconds_to_fill"] = round(await fill(clickhouse, options.images), 1)
            for row in await clickhouse.query(_BYTES):
                report[row["table"]] = {"rows": row["rows"], "bytes_per_image": row["bytes"] / options.images}
            print(json.dumps(report), flush=True)
            return report | {"questions": await ask(clickhouse, options)}


def main() -> None:
    """Read the command line and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    if not is_installed():
        raise SystemExit("chDB is not installed: `make engines` installs it")
    print(json.dumps(asyncio.run(measure(parser.parse_args()))))


if __name__ == "__main__":
    main()
