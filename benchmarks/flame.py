"""Where a worker's CPU time goes: a flame graph, and the functions that take most of it.

    python -m benchmarks.flame [--set mixed] [--images 1500] [--into .tagstream/bench/flame.folded]

Runs py-spy (`pip install py-spy`) on a worker under load, and sums up the samples of threads that do not
wait: by the innermost function of ours that was on the stack, by the function that was running, and by
what the event loop's thread was doing, callers included. On a busy machine a thread that could run, but
has no core, counts as well. The folded stacks are kept; any flame graph viewer reads them.
"""

import argparse
import asyncio
import re
import shutil
import signal
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.photo_sets import SETS
from benchmarks.program import parser_of
from benchmarks.testbed import open_testbed
from benchmarks.workers import Workers

_TOP = 25
_WAITING = ("select (selectors.py)", "_worker (concurrent/futures/thread.py)")
_LOOP = "Runner.run (asyncio/runners.py)"
_FRAME = re.compile(r"(?P<function>\S.*) \((?P<file>[^()]*)\)$")
_OURS = re.compile(r"^(streams|model|schemas)/")


class Stack(NamedTuple):
    """A call stack, outermost first, each frame as (function, file), and how often it was seen."""

    frames: list[tuple[str, str]]
    samples: int


def stacks(folded: str) -> Iterator[Stack]:
    """Read the lines that py-spy's format `raw` has."""
    for line in folded.splitlines():
        names, _, count = line.rpartition(" ")
        frames = [_frame(name) for name in names.split(";")]
        yield Stack(frames, int(count))


def _frame(name: str) -> tuple[str, str]:
    found = _FRAME.match(name)
    return (found["function"], found["file"].rpartition(":")[0] or found["file"]) if found else (name, "")


def part_of(stack: Stack) -> str:
    """Name the part of the work that a stack belongs to, by the innermost frame that tells."""
    for function, file in reversed(stack.frames):
        if _OURS.match(file):
            return f"{file} {function}"
        if "faust" in file or "mode/" in file:
            return "faust"
    return "event loop"


def shown(frame: tuple[str, str]) -> str:
    """Name a function."""
    return f"{frame[0]} ({frame[1]})"


def table(title: str, counts: Counter[str], total: int) -> Iterable[str]:
    """The most frequent as lines."""
    yield f"\n{title}"
    for name, samples in counts.most_common(_TOP):
        yield f"{samples / total:7.1%}  {name}"


def summarize(folded: str) -> str:
    """The tables of a file of folded stacks."""
    found = [stack for stack in stacks(folded) if not shown(stack.frames[-1]).endswith(_WAITING)]
    total = sum(stack.samples for stack in found)
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    loop: Counter[str] = Counter()
    for stack in found:
        parts[part_of(stack)] += stack.samples
        functions[shown(stack.frames[-1])] += stack.samples
        names = {shown(frame) for frame in stack.frames}
        loop.update(dict.fromkeys(names if _LOOP in names else (), stack.samples))
    return "\n".join(
        [
            *table("by our function", parts, total),
            *table("by function", functions, total),
            *table("the event loop, callers included", loop, total),
        ]
    )


async def record(options: argparse.Namespace) -> str:
    """Run a worker under load and return py-spy's folded stacks."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    options.into.parent.mkdir(parents=True, exist_ok=True)
    async with open_testbed() as place, Workers("pipeline", place) as workers:
        command = [
            spy,
            "record",
            "-p",
            str(workers.pids[0]),
            "-r",
            "250",
            "-d",
            "3600",
            "-f",
            "raw",
            "-o",
            options.into,
        ]
        spying = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.DEVNULL)
        await asyncio.sleep(2)
        run = await workers.run(options.set, options.images)
        spying.send_signal(signal.SIGINT)
        await spying.wait()
    print(f"{run.rate:.1f} images/s, {run.cpu_ms:.2f} ms of CPU per image, parts:", dict(run.parts))
    return options.into.read_text()


def main() -> None:
    """Read the command line and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--set", choices=SETS, default="mixed")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--into", type=Path, default=Path(".tagstream/bench/flame.folded"))
    options = parser.parse_args()
    print(summarize(asyncio.run(record(options))))


if __name__ == "__main__":
    main()
