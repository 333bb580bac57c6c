"""Where the event loop of one worker saturates: threads that take as long as the real ones, but no core.

    python -m benchmarks.saturation [--threads 4,8,16,32] [--workers 1] [--milliseconds 11.5] [--seconds 8]

The worker has the first core alone, which its event loop may fill; decoding and inference sleep as long as
they take on a core of their own. So it is as if it had a core for each thread, but for what they hold the
interpreter for. Broker, image server and this program have the other cores: as long as those have time
left, the worker is the limit. `could` is what the threads could do at most, `loop` the share of the core
that the event loop takes. With `--workers 2` two workers share that core and the threads: what dividing
costs. With `--apart` each has a core of its own, the last ones with the servers. Tags are counted, and
queries on unless `--roles tag`.
"""

import argparse
import asyncio
import itertools
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from benchmarks.program import run_program
from benchmarks.testbed import Testbed, open_testbed
from benchmarks.workers import Workers

_COMMAND = (sys.executable, "-m", "benchmarks.timed_worker")
_CORES = sorted(os.sched_getaffinity(0))
_MOST = 1200  # images per second that a run is made for


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """One run per number of threads."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(open_testbed(pinned=True))
        found = {}
        for threads in map(int, options.threads.split(",")):
            found[str(threads)] = await _run(place, threads, options)
            print(threads, found[str(threads)], file=sys.stderr, flush=True)
        told = {name: getattr(options, name) for name in ("milliseconds", "roles", "workers", "apart", "set")}
        return told | {"threads": found}


async def _run(place: Testbed, threads: int, options: argparse.Namespace) -> dict[str, float]:
    could = threads / options.milliseconds * 1000
    environment = {
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_AUTO_TAGGING": "0.5",
        "TAGSTREAM_ROLES": options.roles,
        "TAGSTREAM_SNAPSHOT_INTERVAL": "0",
        "TAGSTREAM_FETCH_PER_HOST": "32",
        "TIMED_THREADS": str(threads // options.workers),
        "TIMED_MS": str(options.milliseconds),
    }
    cores = [{core} for core in itertools.islice(itertools.cycle(_CORES), options.workers)]
    workers = Workers(
        "timed", place, cores=cores if options.apart else None, count=options.workers, environment=environment
    )
    workers.cluster.command = _COMMAND
    async with workers:
        await _until_shared(workers)
        run = await workers.run(options.set, int(min(could, _MOST) * options.seconds))
    busy = {
        name: run.parts[f"{name}_cpu_ms"] * run.rate / 1000 for name in ("loop", "broker", "image_server")
    }
    return {
        "could": round(could),
        "rate": round(run.rate),
        "cpu_ms": round(run.cpu_ms, 2),
        "loop_cpu_ms": round(run.parts["loop_cpu_ms"], 2),
        **{name: round(share, 2) for name, share in busy.items()},
    }


async def _until_shared(workers: Workers) -> None:
    """Wait until each worker has partitions: the last ones join after the first ones have all."""
    numbers = list(workers.cluster.ports)
    async with asyncio.timeout(60):
        while True:
            answers = [await workers.cluster.get(number, "/readyz") for number in numbers]
            if all(answer["status"] == "ready" and answer["partitions"] for answer in answers):
                return
            await asyncio.sleep(0.2)


def show(report: dict[str, Any]) -> None:
    """A line per number of threads."""
    print(f"{'threads':>8}{'could':>8}{'images/s':>10}{'loop ms':>9}{'loop':>7}{'broker':>8}{'images':>8}")
    for threads, run in report["threads"].items():
        print(
            f"{threads:>8}{run['could']:>8}{run['rate']:>10}{run['loop_cpu_ms']:>9.2f}{run['loop']:>7.0%}"
            f"{run['broker']:>8.0%}{run['image_server']:>8.0%}"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--threads", default="4,8,16,32")
    parser.add_argument("--workers", type=int, default=1, help="that share the threads")
    parser.add_argument("--apart", action="store_true", help="each on a core of its own, in turns")
    parser.add_argument(
        "--milliseconds", type=float, default=11.5, help="of decoding and inference, an image"
    )
    parser.add_argument("--seconds", type=float, default=8.0, help="about the length of one run")
    parser.add_argument("--set", default="0.2mp")
    parser.add_argument("--roles", default="tag,query")


if __name__ == "__main__":
    run_program(__doc__, add_arguments, measure, show)
