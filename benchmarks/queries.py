"""How long trend questions take: 10,000 tags, 7 days of minutes, hours and days, 4 partitions.

    python benchmarks/queries.py [--images 300000] [--rounds 300]

Synthetic images: 8 tags each by Zipf's law (s = 1), one of 20,000 users by Zipf's law (s = 1), times spread
evenly over seven days. Their rows are made before and loaded into the index as a worker loads them. Each
question goes through its route: the parameters are read, the answer is made and encoded; HTTP itself is left
out.
"""

import argparse
import asyncio
import time
from collections import defaultdict
from collections.abc import Iterator

import msgspec
import numpy as np
import orjson

from schemas.answers.trends import PartitionState
from streams.app.settings import Settings
from streams.fold.retention import Retention
from streams.fold.rows import ALL, WINDOW_SECONDS, TrendKey, bucket_start
from streams.fold.trend_rows.uploaders import Uploaders
from streams.state.loading import load
from streams.state.partition import PartitionState as State
from streams.state.trends.index import TrendIndex
from streams.web.api.retained import RetainedBuckets
from streams.web.api.routes import Route
from streams.web.api.trends import TrendRoutes

NOW = 1_795_521_600.0  # 2026-11-24T12:00:00Z
TAGS, USERS, PARTITIONS, PER_IMAGE, DAYS = 10_000, 20_000, 4, 8, 7
QUESTIONS = {
    "top 1h": ("/trends/top", {"window": ["1h"]}),
    "top 24h": ("/trends/top", {"window": ["24h"]}),
    "top 7d": ("/trends/top", {"window": ["7d"], "limit": ["100"]}),
    "top all": ("/trends/top", {"window": ["all"], "limit": ["100"]}),
    "top 24h by uploaders": ("/trends/top", {"window": ["24h"], "by": ["uploaders"]}),
    "top 7d by uploaders": ("/trends/top", {"window": ["7d"], "by": ["uploaders"]}),
    "rising 1h": ("/trends/rising", {"window": ["1h"]}),
    "rising 24h": ("/trends/rising", {"window": ["24h"], "baseline": ["7d"]}),
    "rising 7d": ("/trends/rising", {"window": ["7d"]}),
    "series 1h": ("/trends/tags/{tag}", {"tag": ["tag-00003"], "window": ["1h"]}),
    "series 7d": ("/trends/tags/{tag}", {"tag": ["tag-00003"], "window": ["7d"]}),
    "compare": ("/trends/compare", {"a": ["24h"]}),
    "tags": ("/tags", {"prefix": ["tag-01"], "limit": ["100"]}),
}


class Fresh:
    """A state without gaps."""

    complete = True
    behind: list[int] = []  # noqa: RUF012 - nobody changes it

    def as_of(self) -> list[PartitionState]:
        """How far the partitions are."""
        return [PartitionState(number, ready=True, next_offset=1, lag=0) for number in range(PARTITIONS)]


def synthetic_rows(images: int, seed: int = 1) -> Iterator[tuple[int, str, bytes]]:
    """Partition, key and value of the rows that so many images leave."""
    random = np.random.default_rng(seed)
    counts: dict[tuple[int, str], int] = defaultdict(int)
    sketches: dict[tuple[int, str], Uploaders] = defaultdict(Uploaders)
    tags = _zipf(random, TAGS, (images, PER_IMAGE))
    users = _zipf(random, USERS, images)
    times = (NOW - random.random(images) * DAYS * 86_400) * 1000
    for image in range(images):
        partition, user, at = image % PARTITIONS, f"user-{users[image]}", int(times[image])
        for tag in {f"tag-{number:05}" for number in tags[image].tolist()}:
            for window in _kept(at):
                key = partition, TrendKey("", window, bucket_start(window, at), tag).encode()
                counts[key] += 1
                sketches[key].add(user)
    for (partition, key), number in counts.items():
        row = {"o": 1, "n": number, "by": {"imagga_tagging": number}, "u": sketches[partition, key].encoded()}
        yield partition, key, orjson.dumps(row)


def _kept(at: int) -> list[str]:
    minutes = ["minute"] if at > (NOW - 86_400) * 1000 else []  # kept for a day, as by default
    return [ALL, *(window for window in WINDOW_SECONDS if window != "minute"), *minutes]


def _zipf(random: np.random.Generator, number: int, size: int | tuple[int, int]) -> np.ndarray:
    weights = 1 / np.arange(1, number + 1)
    return random.choice(number, size, p=weights / weights.sum())


async def measure(routes: dict[str, Route], rounds: int) -> None:
    """Ask each question again and again; print how long it took."""
    print(f"{'question':<22}{'p50 ms':>8}{'p99 ms':>8}{'rows':>6}")
    for name, (path, given) in QUESTIONS.items():
        route, taken, rows = routes[path], [], 0
        for _ in range(rounds):
            begin = time.perf_counter()
            answer = await route.handler(route.read(given))
            msgspec.json.encode(answer)
            taken.append((time.perf_counter() - begin) * 1000)
            rows = len(getattr(answer, "tags", None) or getattr(answer, "points", ()))
        p50, p99 = np.percentile(taken, [50, 99])
        print(f"{name:<22}{p50:>8.2f}{p99:>8.2f}{rows:>6}")


async def run(options: argparse.Namespace) -> None:
    """Make rows, load them, ask."""
    states = {number: State(number) for number in range(PARTITIONS)}
    for partition, key, value in synthetic_rows(options.images):
        states[partition].apply("trends", key, value)
    index = TrendIndex(states)
    cpu = time.process_time()
    for state in states.values():
        rows = state.rows["trends"]
        await load(index, state.partition, list(rows), list(rows.values()))
    cpu, number = time.process_time() - cpu, sum(len(state.rows["trends"]) for state in states.values())
    print(
        f"{options.images:,} images, {number:,} rows: loaded with {cpu / number * 1e6:.2f} µs of cpu per row"
    )
    retained = RetainedBuckets(Retention.of(Settings()), states)
    routes = {route.path: route for route in TrendRoutes(index, Fresh(), lambda: NOW, retained).routes()}
    await measure(routes, options.rounds)


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=300)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
