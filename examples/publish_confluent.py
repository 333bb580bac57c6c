"""Publish an upload event with confluent-kafka.

Run: python examples/publish_confluent.py koala https://photos.example/koala.jpg
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import json
import os
import sys
import uuid

from confluent_kafka import KafkaError, Message, Producer

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
UPLOADS = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.uploads"
CONFIG = {
    "bootstrap.servers": SERVERS,
    "enable.idempotence": True,
    # An image's events meet in the partition that murmur2 of its public_id gives, as Java's client has it,
    # aiokafka, and KafkaJS. What librdkafka's own CRC32 puts elsewhere is forwarded: this saves that hop.
    "partitioner": "murmur2_random",
}


def report(error: KafkaError | None, message: Message) -> None:
    """Print where Kafka has put the event, or end with what it said."""
    if error:
        sys.exit(f"not published: {error}")
    place = f"{message.topic()}, partition {message.partition()}, offset {message.offset()}"
    print(f"{(message.key() or b'').decode()}: {place}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    public_id, url = sys.argv[1:]
    event = {"event_id": uuid.uuid4().hex, "public_id": public_id, "url": url, "auto_tagging": 0.4}
    producer = Producer(CONFIG)
    producer.produce(UPLOADS, json.dumps(event).encode(), key=public_id, on_delivery=report)
    producer.flush()
