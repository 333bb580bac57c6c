"""How Tagstream scales: with workers and cores, with partitions, with tags, with images in its state.

    python -m benchmarks.scale [--pairs 5] [--seconds 8] [--partitions 4,32,256] [--uploads 4000]

Workers: one worker that has, together with the broker, the image server and this program, the first core
alone; then two workers, on a core each, with all the others on both. So the whole deployment has one core,
then two. `two_over_one` is the ratio of their rates; with four cores or more, `four_over_one` is likewise.

The rest runs the stub tagger, whose "images" name their tags: what is left is the cost of everything but
decoding and inference. `start_s` is how long a worker takes until all its partitions are ready. CPU times are
per upload: `cpu_ms` the worker's, `broker_cpu_ms` the broker's.
"""

import argparse
import os
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any, Self

from benchmarks.image_server import TAGS
from benchmarks.pairs import Run, Spread, rate_ratio
from benchmarks.photo_sets import SETS
from benchmarks.processes import pin, resident_mb, tree
from benchmarks.program import run_program
from benchmarks.testbed import Testbed, open_testbed
from benchmarks.workers import WARM_UP, Workers

_STUB = {"TAGSTREAM_TAGGER": "stub", "TAGSTREAM_SNAPSHOT_INTERVAL": "0"}
_NAMES = {1: "one", 2: "two", 4: "four"}
_BLOCKS = 5  # of uploads, one after the other, for the growth with images


class OnCores:
    """So many workers, each on a core of its own, with everything else on the same cores; a contestant."""

    def __init__(self, place: Testbed, count: int) -> None:
        self.name = _NAMES[count]
        cores = sorted(os.sched_getaffinity(0))[:count]
        self._place = place
        self._all = set(cores)
        self._workers = Workers(self.name, place, count=count, cores=[{core} for core in cores])

    async def __aenter__(self) -> Self:
        await self._workers.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._workers.cluster.close()

    async def run(self, photos: str, images: int) -> Run:
        """Tag so many images of a set."""
        broker = [pid for root in self._place.broker_pids for pid in tree(root)]
        before = os.sched_getaffinity(0)
        pin([*broker, self._place.server_pid, os.getpid()], self._all)
        try:
            return await self._workers.run(photos, images)
        finally:
            pin([*broker, self._place.server_pid, os.getpid()], before)


async def with_cores(place: Testbed, options: argparse.Namespace) -> dict[str, Any]:
    """Compare one worker on one core with several."""
    counts = [count for count in _NAMES if count <= len(os.sched_getaffinity(0))]
    runs: dict[str, list[Run]] = {_NAMES[count]: [] for count in counts}
    async with AsyncExitStack() as stack:
        contestants = [await stack.enter_async_context(OnCores(place, count)) for count in counts]
        rate = (await contestants[0].run(options.set, WARM_UP)).rate
        for _ in range(options.pairs):
            for count, contestant in zip(counts, contestants, strict=True):
                images = max(WARM_UP, int(rate * options.seconds * count))
                runs[contestant.name].append(await contestant.run(options.set, images))
    ratios = {f"{name}_over_one": rate_ratio(found, runs["one"]) for name, found in runs.items()}
    rates = {name: Spread.of([run.rate for run in found]) for name, found in runs.items()}
    return {name: ratio for name, ratio in ratios.items() if name != "one_over_one"} | {"rates": rates}


async def with_partitions(place: Testbed, partitions: int, uploads: int) -> dict[str, float]:
    """Measure the cost of an upload, and of a start, with so many partitions."""
    workers = Workers("stub", place, partitions=partitions, environment=_STUB, warm_up=False)
    started = time.monotonic()
    async with workers:
        seconds = time.monotonic() - started
        return {"start_s": seconds} | await _block(workers, 1000, uploads)


async def with_tags(place: Testbed, tags: int, uploads: int) -> dict[str, float]:
    """Measure the cost of an upload where so many tags are in use."""
    async with Workers("stub", place, environment=_STUB, warm_up=False) as workers:
        return await _block(workers, tags, uploads)


async def with_images(place: Testbed, uploads: int) -> list[dict[str, float]]:
    """Measure the cost of an upload while images become more and more."""
    async with Workers("stub", place, environment=_STUB, warm_up=False) as workers:
        return [
            {"images": block * uploads, **await _block(workers, 1000, uploads)} for block in range(_BLOCKS)
        ]


async def _block(workers: Workers, tags: int, uploads: int) -> dict[str, float]:
    run = await workers.run(f"{TAGS}{tags}", uploads)
    memory = resident_mb(*workers.pids)
    return {"cpu_ms": run.cpu_ms, "broker_cpu_ms": run.parts["broker_cpu_ms"], "rss_mb": memory}


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Do all."""
    async with open_testbed() as place:
        report: dict[str, Any] = {"workers": await with_cores(place, options)}
        report["images"] = await with_images(place, options.uploads)
        report["tags"] = {
            tags: await with_tags(place, tags, options.uploads) for tags in _numbers(options.tags)
        }
        report["partitions"] = {
            count: await with_partitions(place, count, options.uploads)
            for count in _numbers(options.partitions)
        }
    return report


def _numbers(text: str) -> Sequence[int]:
    return [int(number) for number in text.split(",")]


def show(report: dict[str, Any]) -> None:
    """Print tables."""
    for name, ratio in report["workers"].items():
        if name != "rates":
            print(f"workers, {name}: {ratio}")
    for name, rate in report["workers"]["rates"].items():
        print(f"  {name:5} {rate} images/s")
    for block in report["images"]:
        _line(f"{block['images']:,} images before", block)
    for part in ("tags", "partitions"):
        for number, figures in report[part].items():
            _line(f"{number:,} {part}", figures)


def _line(name: str, figures: dict[str, float]) -> None:
    shown = (f"{part} {value:7.2f}" for part, value in figures.items() if part != "images")
    print(f"{name:24} {'   '.join(shown)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be chosen."""
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8, help="about the length of a run of one worker")
    parser.add_argument("--set", choices=SETS, default="mixed")
    parser.add_argument("--partitions", default="4,32,256", help="separated by commas")
    parser.add_argument("--tags", default="10,1000,100000", help="separated by commas")
    parser.add_argument("--uploads", type=int, default=4000, help="to the stub tagger, for each cost")


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    run_program(__doc__, add_arguments, measure, show)


if __name__ == "__main__":
    main()
