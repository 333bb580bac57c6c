"""Publish again what failed for a reason that has passed: one look at the dead letters since the last time.

Run: python examples/replay_dead_letters.py circuit_open     (by hand or from cron, once the source is up)
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)

`tagstream dead-letters list`, `explain` and `replay` do it by hand, with more filters and a --dry-run.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from schemas.dead_letters import read_fault
from schemas.replays import failed_place, replay_headers

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
DEAD_LETTERS = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.dead-letters"
CONSUMER = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}


async def until_now(consumer: AIOKafkaConsumer) -> AsyncIterator[ConsumerRecord]:
    """Read what is there; what fails again meanwhile is for the next time."""
    ends = await consumer.end_offsets(consumer.assignment())
    while any([await consumer.position(place) < end for place, end in ends.items()]):
        for records in (await consumer.getmany(timeout_ms=500)).values():
            for record in records:
                yield record


async def replay(reason: str) -> None:
    """Publish the retryable events of a reason again, each where it was."""
    group = f"{DEAD_LETTERS}-replay-{reason}"  # remembers how far the letters were looked through
    async with (
        AIOKafkaConsumer(DEAD_LETTERS, bootstrap_servers=SERVERS, group_id=group, **CONSUMER) as consumer,
        AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True) as producer,
    ):
        async for letter in until_now(consumer):
            fault, failed = read_fault(letter.headers), failed_place(letter.headers)
            if failed is None or letter.value is None or not fault.retryable or fault.reason != reason:
                continue
            # By these headers it stays the same event: if a crash makes it come twice, it counts once.
            event = {"key": letter.key, "value": letter.value, "headers": replay_headers(letter, failed)}
            await producer.send_and_wait(failed.topic, partition=failed.partition, **event)
            print(f"replayed {failed}: {fault.message}")
        await consumer.commit()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(replay(sys.argv[1]))
