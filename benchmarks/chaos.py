"""`make chaos`: kill workers and the broker under load, then count what was lost and what was doubled.

Kills and freezes hit inside transactions, where they can (`inside=`). Sources flap meanwhile, publishers have
four partitioners, state topics are compacted all the time, and one event in 17 is hostile or broken. Settings
come from the environment: SECONDS, WORKERS, SEED, UPLOADS (at most; publishing pauses while too many wait),
BROKERS (3: leaders and coordinators move when one is killed), STREAMS (no: none is written). The last line is
for machines; the exit status is 0 only if everything is exact and no partition stood still.
"""

import argparse
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

from support.chaos.kafka_nodes import COMPACTING, KafkaNodes
from support.chaos.run import Chaos, Plan, steady_port

from streams.cli.local.embedded_broker import EmbeddedBroker

SHORT = 150  # seconds; a longer run has more images, and so takes longer to come back from a kill
SECONDS_PER_KILL = (6, 12)  # in a short run, in a long one
SECONDS_PER_DISASTER = (150, 30)  # a broker kill and a freeze each: of the only node, of one of several


def plan(environment: Mapping[str, str]) -> Plan:
    """Read what is to happen."""
    seconds = int(environment.get("SECONDS") or 90)
    nodes, long = int(environment.get("BROKERS") or 1), seconds > SHORT
    disasters = max(seconds // SECONDS_PER_DISASTER[nodes > 1], 1)
    return Plan(
        seed=int(environment.get("SEED") or random.randrange(10**6)),
        uploads=int(environment.get("UPLOADS") or max(20_000, 100 * seconds)),
        seconds=seconds,
        kills=max(seconds // SECONDS_PER_KILL[long], 10),
        workers=int(environment.get("WORKERS") or 3),
        broker_kills=disasters,
        freezes=disasters,
        sweep=True,
        snapshot_interval=20.0 if long else 3.0,
        replication=nodes,
        streams=environment.get("STREAMS") != "no",
    )


async def main(chosen: Plan, folder: Path) -> int:
    """Run the chaos; return the exit status."""
    started = time.monotonic()
    print(f"{chosen}\nlogs and data in {folder}", flush=True)
    one = chosen.replication == 1
    kafka = (
        EmbeddedBroker(folder / "kafka", steady_port(), properties=COMPACTING)
        if one
        else KafkaNodes(folder, chosen.replication)
    )
    with kafka as broker:
        chaos = Chaos(chosen, broker, folder, lambda text: print(text, flush=True))
        verdict = await chaos.run()
    for line in verdict.lines():
        print(line)
    print(_summary(chaos, chosen, time.monotonic() - started))
    exact = str(not any(verdict.differences.values())).lower()
    counts = f"lost={verdict.lost} duplicates={verdict.duplicates} counts_exact={exact} kills={chaos.kills}"
    print(f"{counts} stuck={chaos.progress.stuck} inside={chaos.inside}")
    return 0 if verdict.exact else 1


def _summary(chaos: Chaos, chosen: Plan, seconds: float) -> str:
    sources = ", ".join(f"{number} {kind}" for kind, number in chaos.sources.told.items())
    return (
        f"sources: {sources}\n"
        f"uploads={chaos.published} broker_kills={chaos.broker_kills} freezes={chaos.freezes} "
        f"restarts={chaos.restarts} strangers={chaos.strangers} "
        f"longest_standstill_s={chaos.progress.longest:.0f} seconds={seconds:.0f} seed={chosen.seed}"
    )


if __name__ == "__main__":
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of each lost connection
    directory = Path(tempfile.mkdtemp(prefix="chaos-"))
    status = asyncio.run(main(plan(os.environ), directory))
    if status == 0:
        shutil.rmtree(directory)
    sys.exit(status)
