"""Decode hostile files in processes of their own: what crashes, hangs, is slow or takes memory?

    python benchmarks/decoding.py [--mutations 5000] [--seed 1] [--only avif] [FOLDER ...]

Takes all bombs, so many mutated images, and the files of the folders. The last line is for machines; the exit
status is 0 only if nothing crashed, hung or raised anything but a refusal.
"""

from __future__ import annotations

import argparse
import heapq
import multiprocessing
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from bombs import BOMBS
from mutations import SEED, mutated, seeds

from model import BadImageError, decode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

Case = tuple[str, str]  # kind, and what it needs to be made again

HANG = 60.0  # seconds
SIZE = 260
_PER_PROCESS = 500


@dataclass(frozen=True, order=True)
class Cost:
    """What decoding one file took."""

    seconds: float
    megabytes: float
    name: str
    outcome: str

    def __str__(self) -> str:
        """One line of a table."""
        name = Path(self.name).name[-48:]
        return f"  {self.seconds:6.2f} s {self.megabytes:6.0f} MB  {name:48} {self.outcome}"


@dataclass
class Tally:
    """What came of all files."""

    costs: list[Cost] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def add(self, cost: Cost) -> None:
        """Count a file; keep it in mind if it is among the costly."""
        self.outcomes[cost.outcome] += 1
        self.costs.append(cost)
        if len(self.costs) > 2 * _PER_PROCESS:
            self.costs = list({*self.slowest(50), *self.largest(50)})

    def slowest(self, count: int) -> list[Cost]:
        """Those that took longest."""
        return heapq.nlargest(count, self.costs)

    def largest(self, count: int) -> list[Cost]:
        """Those that took the most memory."""
        return heapq.nlargest(count, self.costs, key=lambda cost: cost.megabytes)


def cases(mutations: int, folders: list[Path], only: str) -> Iterator[Case]:
    """Everything that is to be decoded."""
    yield from (("bomb", name) for name in BOMBS if name.endswith(only))
    for folder in folders:
        yield from (("file", str(path)) for path in sorted(folder.rglob("*")) if path.is_file())
    yield from (("mutation", str(number)) for number in range(mutations))


def serve(pipe: Connection, originals: dict[str, bytes], seed: int) -> None:
    """Decode the cases that come; runs in a process of its own."""
    while case := pipe.recv():
        kind, name = case
        if kind == "mutation":
            name, data = mutated(originals, int(name), seed)
        else:
            data = BOMBS[name]() if kind == "bomb" else Path(name).read_bytes()
        pipe.send(measured(name, data))


def measured(name: str, data: bytes) -> Cost:
    """Decode a file; return what it took."""
    before = _peak(reset=True)
    started = time.perf_counter()
    try:
        decoded = decode(data, SIZE)
        outcome = f"decoded {decoded.format}"
    except BadImageError as error:
        outcome = error.code
    except Exception as error:  # noqa: BLE001 - whatever else it is, it is a fault
        outcome = f"RAISED {error!r}"
    seconds = time.perf_counter() - started
    return Cost(seconds, _peak() - before, name, outcome)


def _peak(*, reset: bool = False) -> float:
    """The largest memory of this process so far, or since it was reset: megabytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def run(todo: list[Case], originals: dict[str, bytes], seed: int, tally: Tally) -> None:
    """Decode all cases, with a new process after each crash and hang, and now and then."""
    context = multiprocessing.get_context("spawn")
    todo.reverse()
    while todo:
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, originals, seed), daemon=True)
        process.start()
        theirs.close()
        for _ in range(min(_PER_PROCESS, len(todo))):
            case = todo.pop()
            if fault := _ask(ours, case, tally):
                tally.faults.append(fault)
                print(fault, flush=True)
                process.kill()
                break
        else:
            ours.send(None)
        process.join()


def _ask(pipe: Connection, case: Case, tally: Tally) -> str | None:
    """Have a case decoded; return what went wrong."""
    try:
        pipe.send(case)
        if not pipe.poll(HANG + 60):  # making a bomb takes time as well
            return f"HANG {case}"
        cost: Cost = pipe.recv()
    except (EOFError, ConnectionError):
        return f"CRASH {case}"
    tally.add(cost)
    return f"{cost.outcome} {case}" if cost.outcome.startswith("RAISED") else None


def main() -> int:
    """Decode, then print what was costly."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--mutations", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", default="", help="ending of the names of bombs and originals")
    chosen = parser.parse_args()
    tally = Tally()
    originals = {name: data for name, data in seeds().items() if name.endswith(chosen.only)}
    run(list(cases(chosen.mutations, chosen.folders, chosen.only)), originals, chosen.seed, tally)
    for title, costs in (("slowest", tally.slowest(12)), ("largest", tally.largest(12))):
        print(title, *map(str, costs), sep="\n")
    for outcome, count in tally.outcomes.most_common():
        print(f"{count:7} {outcome}")
    crashes, hangs = (sum(fault.startswith(kind) for fault in tally.faults) for kind in ("CRASH", "HANG"))
    files = sum(tally.outcomes.values()) + crashes + hangs
    worst = f"slowest_s={max(tally.costs).seconds:.2f} most_mb={tally.largest(1)[0].megabytes:.0f}"
    print(f"files={files} crashes={crashes} hangs={hangs} {worst} seed={chosen.seed}")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
