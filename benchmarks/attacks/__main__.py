"""`make attack`: what a stranger can do to a running worker, with bounds as assertions.

    python -m benchmarks.attacks [NAME ...] [--slack FACTOR] [--seconds 600] [--keep FOLDER]

Each attack is a module of this folder with `SETTINGS` of its worker, `LOOP`, the most CPU time for which the
event loop may be held at once, and `attack(arena)`, which gives the figures and their bounds. Broker, worker
and clients are real; with KAFKA_BOOTSTRAP_SERVERS a running broker is taken. The exit status is 0 only if
every figure is within its bound.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import logging
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from benchmarks.attacks.arena import open_arena
from benchmarks.attacks.checks import Check
from benchmarks.program import parser_of
from streams.cli.local.embedded_broker import EmbeddedBroker

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

ATTACKS = (
    "bodies",
    "log_lines",
    "rotation",
    "questions",
    "dear_images",
    "wire",
    "data_floods",
    "two_tenants",
)
"""Modules of this folder, each an attack, in the order in which they are run."""


async def run(name: str, bootstrap: str, folder: Path, seconds: float) -> Sequence[Check]:
    """Run one attack against a worker of its own."""
    module = importlib.import_module(f"benchmarks.attacks.{name}")
    async with open_arena(bootstrap, folder / name, module.SETTINGS) as arena:
        arena.seconds = seconds
        checks: list[Check] = await module.attack(arena)
        held = await arena.metric("tagstream_event_loop_longest_seconds", time="cpu")
        return [
            *checks,
            Check("CPU time for which the event loop was held at once, s", held, module.LOOP, clocked=True),
        ]


def run_all(options: argparse.Namespace, folder: Path) -> bool:
    """Run the attacks that are named, print their figures; return whether all is within its bounds."""
    good = True
    with contextlib.ExitStack() as stack:
        bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if not bootstrap:
            bootstrap = stack.enter_context(EmbeddedBroker(folder / "kafka", 0)).bootstrap_servers
        for name in options.names or ATTACKS:
            print(f"{name}: {importlib.import_module(f'benchmarks.attacks.{name}').__doc__.splitlines()[0]}")
            began = time.monotonic()
            try:
                checks = asyncio.run(run(name, bootstrap, folder, options.seconds))
            except (RuntimeError, OSError, TimeoutError) as error:
                print(f"  FAIL {type(error).__name__}: {error}", flush=True)
                good = False
                continue
            print("\n".join(check.line(options.slack) for check in checks))
            print(f"  {time.monotonic() - began:.0f} s", flush=True)
            good = good and all(check.holds(options.slack) for check in checks)
    return good


def main() -> int:
    """Run; return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("names", nargs="*", choices=[[], *ATTACKS], help="none: all of them")
    parser.add_argument(
        "--slack", type=float, default=1.0, help="by which times may be longer: a busy machine"
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="how long two tenants are at it")
    parser.add_argument("--keep", type=Path, help="where logs and data are kept")
    options = parser.parse_args()
    if options.keep:
        options.keep.mkdir(parents=True, exist_ok=True)
        return 0 if run_all(options, options.keep) else 1
    with tempfile.TemporaryDirectory(prefix="attacks-", ignore_cleanup_errors=True) as folder:
        return 0 if run_all(options, Path(folder)) else 1


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    sys.exit(main())
