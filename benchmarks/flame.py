"""Where a worker's CPU time goes: a flame graph, and the functions that take most of it.

    python -m benchmarks.flame [--set mixed] [--images 1500] [--into .tagstream/bench/flame.svg]

Runs py-spy (dependency group `bench`) on a worker under load. Samples of threads that wait do not count. Times
are shares of all samples; those of the event loop's thread are sorted by package, and named by the innermost
function of ours that was running. Samples count wall time of running threads: on a busy machine, also the time
for which a thread that could run had no core.
"""

import argparse
import asyncio
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks.photo_sets import SETS
from benchmarks.place import open_place
from benchmarks.workers import Workers

_TOP = 25
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


def innermost(stack: Stack) -> str:
    """Name the function that was running."""
    function, file = stack.frames[-1]
    return f"{function} ({file})"


def table(title: str, counts: Counter[str], total: int) -> Iterable[str]:
    """Give the most frequent as lines."""
    yield f"\n{title}"
    for name, samples in counts.most_common(_TOP):
        yield f"{samples / total:7.1%}  {name}"


def summarize(folded: str) -> str:
    """Give the tables."""
    found = list(stacks(folded))
    total = sum(stack.samples for stack in found)
    parts: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for stack in found:
        parts[part_of(stack)] += stack.samples
        functions[innermost(stack)] += stack.samples
    lines = [*table("by our function", parts, total), *table("by function", functions, total)]
    return "\n".join(lines)


async def record(options: argparse.Namespace) -> str:
    """Run a worker under load and give py-spy's folded stacks."""
    spy = shutil.which("py-spy") or str(Path(sys.executable).with_name("py-spy"))
    raw = options.into.with_suffix(".folded")
    raw.parent.mkdir(parents=True, exist_ok=True)
    async with open_place() as place, Workers("pipeline", place) as workers:
        command = [spy, "record", "-p", str(workers.pids[0]), "-r", "250", "-d", "3600", "-f", "raw", "-o", raw]
        spying = await asyncio.create_subprocess_exec(*map(str, command), stdout=asyncio.subprocess.DEVNULL)
        await asyncio.sleep(2)
        run = await workers.run(options.set, options.images)
        spying.send_signal(2)
        await spying.wait()
    print(f"{run.rate:.1f} images/s, {run.cpu_ms:.2f} ms of CPU per image, parts:", dict(run.parts))
    return raw.read_text()


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--set", choices=SETS, default="mixed")
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--into", type=Path, default=Path(".tagstream/bench/flame.svg"))
    options = parser.parse_args()
    print(summarize(asyncio.run(record(options))))


if __name__ == "__main__":
    main()
