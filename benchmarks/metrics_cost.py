"""What metrics cost: CPU per image of workers with and without them, in turns, and of recording alone.

    python -m benchmarks.metrics_cost [--sets mixed] [--pairs 5] [--images 300] [--scrape 5]

Two real workers on a real broker, equal but for TAGSTREAM_METRICS_PORT; one after the other tags photos, and
the one with metrics is asked for them every few seconds meanwhile. What is looked for is less than that by
which one run differs from the next: so `recording_us` times the calls themselves, per image, in this process,
without anything else: transactions of 32 images with their outcomes, outputs and stages, and batches of 8.
"""

import argparse
import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.pairs import Run, Spread, cpu_ratio, interleave
from benchmarks.program import run_program
from benchmarks.testbed import open_testbed
from benchmarks.workers import Workers
from schemas.results import ModelInfo, ScoredTag, Timings
from schemas.topics import TopicNames
from schemas.uploads import Record, parse_upload
from streams.fold.outcomes import Done, Output, Tagged
from streams.tag.meter import InferenceMeter, Spent
from streams.telemetry.recorder import Recorder
from streams.units.meter import UnitMeter

_TOGETHER = 32  # images in a transaction
_BATCH = 8
_ROUNDS = 300


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run workers with and without metrics in turns; return the figures by set."""
    found: dict[str, Any] = {"recording_us": recording_us()}
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(open_testbed())
        on = await stack.enter_async_context(Workers("on", place))
        without = {"TAGSTREAM_METRICS_PORT": ""}
        off = await stack.enter_async_context(Workers("off", place, environment=without))
        await stack.enter_async_context(_scraping(on, options.scrape))
        for photos in options.sets.split(","):
            images = dict.fromkeys(("on", "off"), options.images)
            found[photos] = _summary(await interleave((on, off), photos, images, options.pairs))
    return found


@contextlib.asynccontextmanager
async def _scraping(workers: Workers, interval: float) -> AsyncIterator[None]:
    async def scrape() -> None:
        while True:
            await workers.cluster.metrics(0)
            await asyncio.sleep(interval)

    task = asyncio.create_task(scrape())
    try:
        yield
    finally:
        task.cancel()


def _summary(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    ratio = {"cpu_on_over_off": cpu_ratio(runs["on"], runs["off"])}
    return ratio | {
        f"{name}_cpu_ms": Spread.of([run.cpu_ms for run in found]) for name, found in runs.items()
    }


def recording_us() -> Spread:
    """Microseconds that recording takes per image."""
    names = TopicNames("bench")
    recorder = Recorder({"add_on": ["imagga_tagging"]})
    units, inferences = UnitMeter(recorder, names), InferenceMeter(recorder)
    outcomes = [_tagged(number, names) for number in range(_TOGETHER)]
    outputs = [
        Output(topic, b"k", b"v") for topic in (names.categorizations, names.tag_updates) for _ in outcomes
    ]
    taken = []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        units.note_folded(0.01)
        units.note_transaction(0.01, 100_000)
        units.note_committed(_TOGETHER, outcomes, outputs)
        for _ in range(_TOGETHER // _BATCH):
            inferences.note_batch(_BATCH, [Spent("imagga_tagging", 0.015, _BATCH)])
        taken.append((time.perf_counter() - started) / _TOGETHER * 1e6)
    return Spread.of(taken)


def _tagged(number: int, names: TopicNames) -> Done:
    record = Record(
        topic=names.uploads,
        partition=0,
        offset=number,
        timestamp=int(time.time() * 1000),
        key=b"key",
        value=b'{"public_id": "image-%d", "url": "http://h/a.jpg"}' % number,
        headers=(("content-type", b"application/json"),),
    )
    return Done(
        record,
        Tagged(
            upload=parse_upload(record),
            url="http://h/a.jpg",
            size=100_000,
            width=1200,
            height=800,
            format="jpg",
            etag="0" * 32,
            raw={"imagga_tagging": [ScoredTag("koala", 0.9)]},
            scores={},
            assigned={},
            rules="",
            models={"imagga_tagging": ModelInfo("m", "1")},
            timings=Timings(5.0, 8.0, 15.0, 60.0 + number),
        ),
    )


def show(report: Mapping[str, Any]) -> None:
    """Print a table."""
    print("median (least to greatest)")
    print(f"recording, microseconds per image: {report['recording_us']}")
    for photos, figures in report.items():
        if isinstance(figures, dict):
            for name, spread in figures.items():
                print(f"{photos:7} {name:18} {spread}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be chosen."""
    parser.add_argument("--sets", default="mixed", help="separated by commas")
    parser.add_argument("--pairs", type=int, default=5, help="rounds per set")
    parser.add_argument("--images", type=int, default=300, help="in each run")
    parser.add_argument("--scrape", type=float, default=5, help="seconds between two scrapes")


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    run_program(__doc__, add_arguments, measure, show)


if __name__ == "__main__":
    main()
