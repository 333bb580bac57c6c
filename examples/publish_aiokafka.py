"""Publish an upload event with aiokafka.

Run: python examples/publish_aiokafka.py koala https://photos.example/koala.jpg
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import asyncio
import json
import os
import sys
import uuid

from aiokafka import AIOKafkaProducer

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
UPLOADS = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.uploads"


async def publish(public_id: str, url: str) -> None:
    """Publish one event, and print where Kafka has put it."""
    event = {"event_id": uuid.uuid4().hex, "public_id": public_id, "url": url, "auto_tagging": 0.4}
    async with AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True) as producer:
        # The key decides on the partition: all events of an image must meet in one.
        place = await producer.send_and_wait(UPLOADS, json.dumps(event).encode(), key=public_id.encode())
    print(f"{public_id}: {place.topic}, partition {place.partition}, offset {place.offset}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    asyncio.run(publish(*sys.argv[1:]))
