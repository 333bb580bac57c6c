"""Keep tables of ClickHouse that say what `image.tags` and `tag.counts` say.

Rows bear their record's place in Kafka: by it ClickHouse knows the newest of a key, and the next start where
to go on. So no offsets are committed to Kafka, and it changes nothing if rows come twice. A record without a
value takes its key's row away.

Run: python examples/clickhouse/feed.py http://localhost:8123
Set: KAFKA_BOOTSTRAP_SERVERS (localhost:9092), TAGSTREAM_TOPIC_PREFIX (empty)
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable

import httpx
from aiokafka import AIOKafkaConsumer, ConsumerRecord

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "localhost:9092")
PREFIX = os.environ.get("TAGSTREAM_TOPIC_PREFIX", "")
TABLES = {f"{PREFIX}image.tags": "image_tags", f"{PREFIX}tag.counts": "tag_counts"}
READING = {"isolation_level": "read_committed", "auto_offset_reset": "earliest"}
NEXT = """SELECT if(count() = 0, 0, max(kafka_offset) + 1) FROM {} WHERE kafka_partition = {}
    FORMAT JSONCompactEachRow"""
AS_JSON: dict[str, str | int] = {
    "input_format_skip_unknown_fields": 1,
    "date_time_input_format": "best_effort",
}


def row(record: ConsumerRecord) -> str:
    """A line of JSON with the key's fields and the value's, if there is one."""
    fields = json.loads(record.key) | json.loads(record.value or "{}")
    place = {"kafka_partition": record.partition, "kafka_offset": record.offset}
    return json.dumps(fields | place | {"gone": int(record.value is None)})


async def ask(clickhouse: httpx.AsyncClient, question: str, rows: Iterable[str] = ()) -> str:
    """Ask something, or write rows: when this returns, they are there."""
    answer = await clickhouse.post("/", params={"query": question, **AS_JSON}, content="\n".join(rows))
    if answer.is_error:
        sys.exit(answer.text)
    return answer.text


async def feed(clickhouse: httpx.AsyncClient) -> None:
    """Go on where the rows end, until Ctrl-C."""
    async with AIOKafkaConsumer(*TABLES, bootstrap_servers=SERVERS, **READING) as consumer:
        for place in consumer.assignment():
            found = await ask(clickhouse, NEXT.format(TABLES[place.topic], place.partition))
            consumer.seek(place, json.loads(found)[0])
        while True:
            for place, records in (await consumer.getmany(timeout_ms=1000, max_records=20_000)).items():
                question = f"INSERT INTO {TABLES[place.topic]} FORMAT JSONEachRow"
                await ask(clickhouse, question, map(row, records))


async def main(url: str) -> None:
    """Feed the server at this address."""
    async with httpx.AsyncClient(base_url=url, timeout=60) as clickhouse:
        await feed(clickhouse)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main(sys.argv[1]))
