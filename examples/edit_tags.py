"""Publish a person's word on an image's tags: no tagger, upload or re-tag undoes it.

Run: python examples/edit_tags.py koala --add zoo --remove mammal --by ann
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import argparse
import asyncio
import json
import os
import uuid
from datetime import UTC, datetime

from aiokafka import AIOKafkaProducer

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
UPLOADS = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.uploads"

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("public_id")
parser.add_argument("--add", dest="added", action="append", default=[], metavar="TAG")
parser.add_argument("--remove", dest="removed", action="append", default=[], metavar="TAG")
parser.add_argument("--by", required=True, help="who edits")


async def publish(edit: dict[str, object]) -> None:
    """Publish an edit behind the image's upload: under the same key."""
    key, value = str(edit["public_id"]).encode(), json.dumps(edit).encode()
    async with AIOKafkaProducer(bootstrap_servers=SERVERS, enable_idempotence=True) as producer:
        await producer.send_and_wait(UPLOADS, value, key)


if __name__ == "__main__":
    arguments = vars(parser.parse_args())
    # Of several edits of a tag the latest counts. One that comes twice counts once.
    time = datetime.now(UTC).isoformat()
    event = {"type": "image.tags-edited", "event_id": uuid.uuid4().hex, "uploaded_at": time, **arguments}
    asyncio.run(publish(event))
    print("published:", json.dumps(event))
