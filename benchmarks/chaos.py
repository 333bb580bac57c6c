"""`make chaos`: kill workers and the broker under load, then count what was lost and what was doubled.

Settings come from the environment: SECONDS, WORKERS, SEED, UPLOADS. The last line is for machines; the exit
status is 0 only if everything is exact.
"""

import asyncio
import logging
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chaos import Chaos, Plan, steady_port

from streams.broker import EmbeddedBroker

SECONDS_PER_KILL = 6
SECONDS_PER_DISASTER = 150  # a broker kill and a freeze each


def plan(environment: Mapping[str, str]) -> Plan:
    """Read what is to happen."""
    seconds = int(environment.get("SECONDS") or 90)
    disasters = max(seconds // SECONDS_PER_DISASTER, 1)
    return Plan(
        seed=int(environment.get("SEED") or random.randrange(10**6)),
        uploads=int(environment.get("UPLOADS") or max(20_000, 200 * seconds)),
        seconds=seconds,
        kills=max(seconds // SECONDS_PER_KILL, 10),
        workers=int(environment.get("WORKERS") or 3),
        broker_kills=disasters,
        freezes=disasters,
        sweep=True,
    )


async def main(chosen: Plan, folder: Path) -> int:
    """Run the chaos; give the exit status."""
    started = time.monotonic()
    print(f"{chosen}\nlogs and data in {folder}", flush=True)
    with EmbeddedBroker(folder / "kafka", steady_port()) as broker:
        chaos = Chaos(chosen, broker, folder, lambda text: print(text, flush=True))
        verdict = await chaos.run()
    for line in verdict.lines():
        print(line)
    faults = f"broker_kills={chaos.broker_kills} freezes={chaos.freezes} dooms={chaos.dooms}"
    print(f"uploads={chaos.published} {faults} seconds={time.monotonic() - started:.0f} seed={chosen.seed}")
    exact = str(not any(verdict.differences.values())).lower()
    print(f"lost={verdict.lost} duplicates={verdict.duplicates} counts_exact={exact} kills={chaos.kills}")
    return 0 if verdict.exact else 1


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of each lost connection
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    status = asyncio.run(main(plan(os.environ), directory))
    if status == 0:
        shutil.rmtree(directory)
    sys.exit(status)
