"""A moment between two transactions of a partition: where its changelogs end then.

Rows of one transaction lie in several topics, and their ends cannot be asked for all at once. But ends only
grow. So where they are the same in two looks, and in neither a transaction is open, they were so between the
looks, all at the same time: what lies before them is what some number of whole transactions has left.
"""

import asyncio
import time
from collections.abc import Collection

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaTimeoutError

Ends = dict[TopicPartition, int]

_PATIENCE = 120.0  # seconds
_PAUSE = 0.002


async def find_cut(
    committed: AIOKafkaConsumer, uncommitted: AIOKafkaConsumer, places: Collection[TopicPartition]
) -> Ends:
    """Where changelogs of one partition end, at a moment at which none of its transactions is open.

    Args:
        committed: Reads committed records only.
        uncommitted: Reads all records.
        places: The changelogs of one partition.

    Raises:
        KafkaTimeoutError: There was no such moment: something is written all the time, or hangs.
    """
    deadline = time.monotonic() + _PATIENCE
    before: Ends | None = None
    while time.monotonic() < deadline:
        stable, ends = await asyncio.gather(committed.end_offsets(places), uncommitted.end_offsets(places))
        at_rest: Ends | None = stable if stable == ends else None
        if at_rest is not None and at_rest == before:
            return at_rest
        before = at_rest
        await asyncio.sleep(0 if at_rest is not None else _PAUSE)
    partition = next(iter(places)).partition
    raise KafkaTimeoutError(
        f"partition {partition}: no moment without an open transaction within {_PATIENCE:g} s; export again "
        "when less is uploaded"
    )
