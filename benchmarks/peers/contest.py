"""The same work by others, in one run with ours.

    python -m benchmarks.peers [--python .venv-peers/bin/python] [--rounds 5] [--seconds 8] [--set mixed]

All take the same events from Kafka, fetch from the same server, decode with `model.decode`, run the same
model with one thread inside ONNX Runtime, and send results to Kafka; only the naive loop decodes and infers
in its own way. Each is written as its documentation says is best; the modules of this package say how. Those
that scale by processes are tried with 1, 2 and 4 of them, and the fastest takes part in the race, in which
all run in turns. None of them counts anything or promises exactly once; Tagstream does.

`cpu` is the CPU time per image of all processes of a contestant, its own servers included.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from benchmarks.pairs import Contestant, Run, Spread, cpu_ratio, interleave, rate_ratio
from benchmarks.peers.contestants import PEERS, Contender, installed
from benchmarks.photo_sets import SETS
from benchmarks.program import run_program
from benchmarks.testbed import Testbed, open_testbed
from benchmarks.workers import Workers

_COUNTS = (1, 2, 4)
_SCREENING = 0.6  # of a run's length
_NAIVE = 0.15  # of the images of a run, for it takes as long
_AS_PEERS = {"TAGSTREAM_PARTS": "classifier"}  # the network that each of them runs
_FEWEST = 40  # images


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Let all run in turns; return ratios and figures by peer."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(open_testbed(pinned=options.pinned))
        ours = await stack.enter_async_context(
            Workers("tagstream", place, model=options.model, environment=_AS_PEERS)
        )
        images = max(_FEWEST, int((await ours.run(options.set, 2 * _FEWEST)).rate * options.seconds))
        names = [name for name in options.only.split(",") if installed(options.python, name)]
        contestants: list[Contestant] = [ours]
        for name in names:
            count = await _best_count(name, place, options, int(images * _SCREENING))
            contender = Contender(name, place, options.python, processes=count, model=options.model)
            contestants.append(await stack.enter_async_context(contender))
        amounts = {each.name: images for each in contestants}
        if "naive" in amounts:
            amounts["naive"] = max(_FEWEST, int(images * _NAIVE))
        runs = await interleave(contestants, options.set, amounts, options.rounds)
    missing = [name for name in options.only.split(",") if name not in names]
    return summary(runs) | {"set": options.set, "not_installed": missing}


async def _best_count(name: str, place: Testbed, options: argparse.Namespace, images: int) -> int:
    if not PEERS[name].scales:
        return 1
    rates = {}
    for count in _COUNTS:
        async with Contender(name, place, options.python, processes=count, model=options.model) as one:
            rates[count] = (await one.run(options.set, images)).rate
            print(f"  {name} with {count} processes: {rates[count]:.1f} images/s", file=sys.stderr)
    return max(rates, key=lambda count: rates[count])


def summary(runs: Mapping[str, Sequence[Run]]) -> dict[str, Any]:
    """Ratios, then the figures behind them."""
    ours = runs["tagstream"]
    theirs = {name: found for name, found in runs.items() if name != "tagstream"}
    return {
        "cpu_peer_over_ours": {name: cpu_ratio(found, ours) for name, found in theirs.items()},
        "ours_over_peer": {name: rate_ratio(ours, found) for name, found in theirs.items()},
        "figures": {
            name: {
                "rate": Spread.of([run.rate for run in found]),
                "cpu_ms": Spread.of([run.cpu_ms for run in found]),
                "peak_rss_mb": Spread.of([run.parts["peak_rss_mb"] for run in found]),
                "processes": found[0].parts.get("processes", 1),
            }
            for name, found in runs.items()
        },
    }


def show(report: Mapping[str, Any]) -> None:
    """Print a table."""
    print(f"peers on the set {report['set']}: median (least to greatest)")
    for name, figures in report["figures"].items():
        ratio = report["cpu_peer_over_ours"].get(name, 1)
        print(f"{name:12} {figures['processes']} processes  {figures['rate']} images/s")
        print(f"{'':12} CPU {figures['cpu_ms']} ms per image, {ratio} of ours")
        print(f"{'':12} memory {figures['peak_rss_mb']} MB")
    for name in report["not_installed"]:
        print(f"{name:12} is not installed: `make bench` says why")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what can be chosen."""
    parser.add_argument("--python", type=Path, default=Path(".venv-peers/bin/python"), help="has the peers")
    parser.add_argument("--only", default=",".join(PEERS), help="peers, separated by commas")
    parser.add_argument("--set", choices=SETS, default="mixed")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8, help="about the length of a run of ours")
    parser.add_argument("--model", type=Path, help="a model folder; the default model otherwise")
    parser.add_argument("--pinned", action="store_true", help="one core for those who are measured")


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    run_program(__doc__, add_arguments, measure, show)
