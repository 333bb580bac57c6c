"""POST each tag-update to a URL, at least once and in the order of its partition.

An offset is committed once the receiver has answered 2xx. After a crash the last update may come again, with
the same Idempotency-Key. A receiver that says no, or fails for four minutes, ends the program: the next start
begins with the update that it did not take.

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
CONSUMER = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}


def may_pass(error: Exception) -> bool:
    """Whether it may help to try again: the receiver was not reached, is busy, or fails."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in {408, 425, 429} or error.response.is_server_error
    return isinstance(error, httpx.TransportError)


def report(details: stamina.instrumentation.RetryDetails) -> None:
    """Print why there is another attempt, and when."""
    print(f"again in {details.wait_for:.1f} s: {type(details.caused_by).__name__} {details.caused_by}")


# Less than five minutes, after which Kafka takes a consumer that works on one record for dead.
@stamina.retry(on=may_pass, attempts=None, timeout=240)
async def deliver(client: httpx.AsyncClient, url: str, update: bytes, event_id: str) -> None:
    """POST an update until the receiver has taken it."""
    headers = {"content-type": "application/json", "idempotency-key": event_id}
    answer = await client.post(url, content=update, headers=headers)
    answer.raise_for_status()


async def forward(url: str) -> None:
    """Deliver updates until Ctrl-C."""
    group = f"{TAG_UPDATES}-webhook"  # remembers how far the receiver has them
    async with (
        httpx.AsyncClient() as client,
        AIOKafkaConsumer(TAG_UPDATES, bootstrap_servers=SERVERS, group_id=group, **CONSUMER) as consumer,
    ):
        async for record in consumer:
            event_id = dict(record.headers)["ce_id"].decode()
            await deliver(client, url, record.value, event_id)
            await consumer.commit()
            print(f"delivered {event_id}: {record.key.decode(errors='replace')}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    stamina.instrumentation.set_on_retry_hooks([report])
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(forward(sys.argv[1]))
