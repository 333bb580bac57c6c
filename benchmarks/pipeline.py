"""Upload events in Kafka -> results in Kafka, by a real worker, beside the limit that this machine sets.

    python -m benchmarks.pipeline [--sets mixed,2mp] [--pairs 5] [--seconds 8] [--model FOLDER] [--parts ...]

Broker, image server, worker and limit program are processes of their own; the image server is the same
for both sides. As the broker and the image server compute on the same cores, what they take is missing to
those who are measured: the limit shares them with the image server alone, Tagstream also with Kafka. CPU
times are the worker's own. `--pinned` keeps worker and limit on the first core, with one thread each, and
the servers on the others: as if Kafka were on machines of its own, and so every ratio of rates is one of
CPU times.

The settings are the defaults: exactly once, counting, queries on. Rates are between the first and the
last tenth of the results, by the time that their records carry; the events are all in Kafka by then. No
two images have the same bytes.

`loop_cpu_ms` is the CPU time of the event loop, per image: fetching, Kafka, counting; `threads_cpu_ms`
that of decoding and inference. `total_p50_ms` is from the intake of an event to its tags, with many in
work at once.
"""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.limit import Limit, limit_program
from benchmarks.pairs import Run, Spread, cpu_ratio, interleave, rate_ratio
from benchmarks.photo_sets import SETS
from benchmarks.processes import only_on
from benchmarks.program import run_program
from benchmarks.testbed import open_testbed
from benchmarks.workers import Workers
from streams.tag.add_ons import DEFAULT_PARTS

_FEWEST = 60  # images in a run


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Run the pipeline and both limits in turns, on each set; return the figures by set."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(open_testbed(pinned=options.pinned, photos=options.photos))
        program = limit_program(options.model, place.threads, options.parts)
        stack.push_async_callback(program.stop)
        with only_on(place.cores):
            model = await program.start()
        workers = Workers(
            "pipeline", place, model=options.model, environment={"TAGSTREAM_PARTS": options.parts}
        )
        await stack.enter_async_context(workers)
        http = Limit("limit_http", program, place.server)
        contestants = (Limit("limit", program, "", options.photos), http, workers)
        found = {}
        for photos in options.sets.split(","):
            count = await _images(http, photos, options.seconds)
            images = {"limit": count // 2, "limit_http": count, "pipeline": count}
            found[photos] = summary(await interleave(contestants, photos, images, options.pairs))
        return {
            "model": f"{model['model']} {model['version']}",
            "threads": place.threads,
            "pinned": options.pinned,
            "sets": found,
        }


async def _images(http: Limit, photos: str, seconds: float) -> int:
    """Choose how many images a run of so many seconds takes."""
    return max(_FEWEST, int((await http.run(photos, _FEWEST)).rate * seconds))


def summary(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Ratios, then the figures behind them."""
    ours, http, bare = runs["pipeline"], runs["limit_http"], runs["limit"]
    figures = {
        name: {
            "rate": Spread.of([run.rate for run in found]),
            "cpu_ms": Spread.of([run.cpu_ms for run in found]),
            **{part: Spread.of([run.parts[part] for run in found]) for part in found[0].parts},
        }
        for name, found in runs.items()
    }
    return {
        "pipeline_over_limit_http": rate_ratio(ours, http),
        "pipeline_over_limit": rate_ratio(ours, bare),
        "cpu_over_limit_http": cpu_ratio(ours, http),
        **figures,
    }


def show(report: Mapping[str, Any]) -> None:
    """Print a table."""
    pinned = ", pinned to one core" if report["pinned"] else ""
    print(f"{report['model']}, {report['threads']} threads{pinned}: median (least to greatest)")
    for photos, figures in report["sets"].items():
        for name, figure in figures.items():
            values = figure if isinstance(figure, dict) else {"": figure}
            for part, spread in values.items():
                print(f"{photos:7} {name:24} {part:18} {spread}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be chosen."""
    parser.add_argument("--sets", default=",".join(SETS), help="separated by commas")
    parser.add_argument("--pairs", type=int, default=5, help="rounds per set")
    parser.add_argument("--seconds", type=float, default=8, help="about the length of a run")
    parser.add_argument("--model", type=Path, help="a model folder; the default model otherwise")
    parser.add_argument("--parts", default=DEFAULT_PARTS, help="of the default add-on; of worker and limits")
    parser.add_argument("--photos", type=Path, help="a folder of JPEG files to use instead of the samples")
    parser.add_argument("--pinned", action="store_true", help="one core for those who are measured")


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    run_program(__doc__, add_arguments, measure, show)


if __name__ == "__main__":
    main()
