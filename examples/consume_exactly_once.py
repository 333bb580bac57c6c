"""Write categorizations into a database, each exactly once, whoever is killed when.

A row holds its record's place in Kafka, which is where the next start goes on. So a row and the progress that
it means are one write in one transaction, and no offsets are committed to Kafka.

Run: python examples/consume_exactly_once.py images.db
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import asyncio
import contextlib
import json
import os
import sqlite3
import sys

from aiokafka import AIOKafkaConsumer

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
CATEGORIZATIONS = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "") + "image.categorizations"
TABLE = """CREATE TABLE IF NOT EXISTS categorizations
    (partition INTEGER, position INTEGER, public_id TEXT, tags TEXT, PRIMARY KEY (partition, position))"""
NEXT = "SELECT max(position) + 1 FROM categorizations WHERE partition = ?"


async def consume(database: sqlite3.Connection) -> None:
    """Go on where the rows end, until Ctrl-C."""
    # What a transaction has not committed, or has aborted, is no result.
    options = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"}
    async with AIOKafkaConsumer(CATEGORIZATIONS, bootstrap_servers=SERVERS, **options) as consumer:
        for place in consumer.assignment():
            [position] = database.execute(NEXT, [place.partition]).fetchone()
            consumer.seek(place, position or 0)
        async for record in consumer:
            image = json.loads(record.value)
            row = (record.partition, record.offset, image["public_id"], ", ".join(image["tags"]))
            with database:  # a transaction
                database.execute("INSERT INTO categorizations VALUES (?, ?, ?, ?)", row)
            print(*row)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with contextlib.closing(sqlite3.connect(sys.argv[1])) as tables, contextlib.suppress(KeyboardInterrupt):
        tables.execute(TABLE)
        asyncio.run(consume(tables))
