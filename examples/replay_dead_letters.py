"""Publish once more what failed for a reason that may have passed: one look at the new dead letters.

Run: python examples/replay_dead_letters.py circuit_open   (by hand or from cron, once the source is up)
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)

`tagstream dead-letters list`, `explain` and `replay` do the same by hand, with more filters and a --dry-run.
"""

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from schemas.dead_letters import read_fault
from schemas.replays import failed_place, replay_headers

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
DEAD_LETTERS = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.dead-letters"


async def replay(reason: str) -> None:
    """Publish again the retryable events of a reason among the letters that came since the last time."""
    options = {
        "group_id": f"{DEAD_LETTERS}-replay-{reason}",  # remembers how far each reason was looked through
        "isolation_level": "read_committed",
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
    }
    async with (
        AIOKafkaConsumer(DEAD_LETTERS, bootstrap_servers=SERVERS, **options) as letters,
        AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True) as producer,
    ):
        ends = await letters.end_offsets(letters.assignment())  # what fails again meanwhile is for next time
        while any([await letters.position(place) < end for place, end in ends.items()]):
            for records in (await letters.getmany(timeout_ms=500)).values():
                for letter in records:
                    fault, failed = read_fault(letter.headers), failed_place(letter.headers)
                    if failed and fault.retryable and fault.reason == reason and letter.value is not None:
                        # Of these headers the event keeps its identity and time: twice is as good as once.
                        headers = replay_headers(letter, failed)
                        place = (failed.topic, letter.value, letter.key, failed.partition)
                        await producer.send_and_wait(*place, headers=headers)
                        print(f"replayed {failed}: {fault.message}")
        await letters.commit()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    asyncio.run(replay(sys.argv[1]))
