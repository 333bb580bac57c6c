"""All benchmarks in one run: `make bench`.

    python -m benchmarks [--pairs 5] [--seconds 10] [--short] [--no-instructions]

Takes about 30 minutes on two idle cores; `--short` takes about 4, to see that all of it works. It begins with
the instructions per image, and ends there, with exit code 1, if they regressed. The last line is one JSON
object; it is kept as benchmarks/results/COMMIT.json, where a README explains its keys.
"""

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import latency, memory, pipeline, scale
from benchmarks.float_model import float_model
from benchmarks.instructions import counted as instructions
from benchmarks.instructions.accepted import NOT_COUNTED, REGRESSED, accepted, interpreter, judged
from benchmarks.machine import commit, machine, versions
from benchmarks.peers import contest
from benchmarks.program import parser_of

RESULTS = Path(__file__).parent / "results"
_RATIOS = ("pipeline_over_limit_http", "pipeline_over_limit", "cpu_over_limit_http")
_PEERS = ("naive", "quix", "bytewax", "mosec", "handwritten")
_SHORT = {
    "latency": ["--uploads", "50", "--busy-seconds", "5", "--saturating", "150"],
    "scale": ["--uploads", "500", "--partitions", "4,32"],
    "memory": ["--uploads", "10000", "--backlog", "10000", "--backlog-seconds", "5"],
}


class Suite:
    """The benchmarks that are to be run, and what came of them.

    Attributes:
        details: The reports so far, by name.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self.details: dict[str, Any] = {}
        self._options = options
        self._pace = ["--pairs", str(options.pairs), "--seconds", str(options.seconds)]

    async def run(self) -> None:
        """Run all, one after the other."""
        await self._run("pipeline", pipeline, self._pace)
        await self._run("pinned", pipeline, [*self._pace, "--pinned", "--sets", "mixed"])
        await self._run("fp32", pipeline, [*self._pace, "--sets", "mixed", "--model", str(float_model())])
        rounds = ["--rounds", str(self._options.pairs), "--seconds", str(self._options.seconds)]
        await self._run("peers", contest, [*rounds, "--python", str(self._options.peers_python)])
        await self._run("latency", latency, [])
        await self._run("scale", scale, self._pace)
        await self._run("memory", memory, ["--into", str(RESULTS)])

    async def _run(self, name: str, module: ModuleType, arguments: list[str]) -> None:
        parser = argparse.ArgumentParser()
        module.add_arguments(parser)
        shorter = _SHORT.get(name, []) if self._options.short else []
        started = time.monotonic()
        print(f"== {name}", file=sys.stderr)
        report = await module.measure(parser.parse_args([*arguments, *shorter]))
        module.show(report)
        print(f"({name} took {time.monotonic() - started:.0f} s)\n", flush=True)
        self.details[name] = json.loads(json.dumps(report, default=vars))

    def summary(self) -> dict[str, Any]:
        """The ratios that matter: medians, or null where they could not be measured."""
        sets = self.details["pipeline"]["sets"]
        theirs = self.details["peers"]["cpu_peer_over_ours"]
        return {
            **{ratio: {name: sets[name][ratio]["median"] for name in sets} for ratio in _RATIOS},
            "cpu_peer_over_ours": {name: theirs.get(name, {}).get("median") for name in _PEERS},
            "latency_ratio": self.details["latency"]["latency_ratio"],
            "latency_over_floor": self.details["latency"]["latency_over_floor"],
            "two_over_one": self.details["scale"]["workers"].get("two_over_one", {}).get("median"),
            "rss_growth": self.details["memory"]["many"]["growth"],
        }


def counted() -> dict[str, int]:
    """Instructions per image by part; ends the process where they regressed or cannot be counted."""
    print("== instructions", file=sys.stderr)
    try:
        counts = instructions.count()
    except instructions.CountingError as error:
        print(f"{error}; to go on without: make bench BENCH=--no-instructions", file=sys.stderr)
        sys.exit(NOT_COUNTED)
    verdict = judged(counts, accepted().get(interpreter()))
    print(verdict.text, flush=True)
    if verdict.code == REGRESSED:
        sys.exit(REGRESSED)
    return counts


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    parser = parser_of(__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, default=10, help="about the length of one run")
    parser.add_argument("--short", action="store_true", help="one short round of everything")
    parser.add_argument("--no-instructions", action="store_true", help="where Valgrind is not to be had")
    parser.add_argument("--peers-python", type=Path, default=Path(".venv-peers/bin/python"))
    options = parser.parse_args()
    if options.short:
        options.pairs, options.seconds = 1, 2.0
    about = {"commit": commit(), "machine": machine(), "versions": versions(options.peers_python)}
    counts = None if options.no_instructions else counted()
    suite = Suite(options)
    asyncio.run(suite.run())
    report = (
        suite.summary()
        | {"instructions": counts}
        | about
        | {"pairs": options.pairs, "seconds": options.seconds}
    )
    line = json.dumps(report | {"details": suite.details})
    (RESULTS / f"{about['commit']}.json").write_text(line + "\n")
    print(line)


if __name__ == "__main__":
    main()
