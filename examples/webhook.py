"""POST each tag-update to a URL, at least once and in the order of its partition.

An offset is committed once the receiver has answered 2xx. After a crash the last update may come again, with
the same Idempotency-Key. A receiver that fails for four minutes ends the program: the next start goes on there.

Run: python examples/webhook.py https://shop.example/tags
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import asyncio
import contextlib
import os
import sys

import httpx
import stamina
from aiokafka import AIOKafkaConsumer

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
TAG_UPDATES = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.tag-updates"
CONSUMER = {
    "group_id": f"{TAG_UPDATES}-webhook",
    "isolation_level": "read_committed",
    "auto_offset_reset": "earliest",
    "enable_auto_commit": False,
}


# Kafka takes a consumer that is busy with one record for five minutes to be dead.
@stamina.retry(on=httpx.HTTPError, attempts=None, timeout=240)
async def deliver(client: httpx.AsyncClient, url: str, update: bytes, event_id: str) -> None:
    """POST an update until the receiver has taken it."""
    headers = {"content-type": "application/json", "idempotency-key": event_id}
    answer = await client.post(url, content=update, headers=headers)
    answer.raise_for_status()


async def forward(url: str) -> None:
    """Deliver updates until Ctrl-C."""
    async with (
        httpx.AsyncClient() as client,
        AIOKafkaConsumer(TAG_UPDATES, bootstrap_servers=SERVERS, **CONSUMER) as consumer,
    ):
        async for record in consumer:
            event_id = dict(record.headers)["ce_id"].decode()
            await deliver(client, url, record.value, event_id)
            await consumer.commit()
            print(f"delivered {event_id}: {record.key.decode()}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(forward(sys.argv[1]))
