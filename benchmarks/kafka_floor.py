"""What Kafka alone takes from an event to a result: the least that exactly-once costs here.

    python -m benchmarks.kafka_floor

A process reads events with a `read_committed` consumer and answers each with one transaction that writes a
small record to six topics: as many as the result, the tag-update and the rows of an image go to. Another
`read_committed` consumer sees the first of them. Nothing is computed; there is one event per 100 ms.
"""

import argparse
import asyncio
import json
import time
import uuid
from contextlib import AsyncExitStack
from statistics import median

import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewTopic

from benchmarks.processes import Program
from benchmarks.program import parser_of
from benchmarks.testbed import open_testbed
from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection

EVERY = 0.1  # seconds
_WARM_UP = 20  # events whose times do not count
_OUTPUTS = 6


async def floor_ms(bootstrap: str, events: int = 100) -> list[float]:
    """Measure the times from before an event is handed to the producer until its answer is seen, in ms."""
    prefix = f"floor-{uuid.uuid4().hex[:8]}"
    topics = [NewTopic(f"{prefix}.{number}", 1, 1) for number in range(_OUTPUTS + 1)]
    async with open_admin(KafkaConnection(bootstrap)) as admin:
        await admin.create_topics(topics)
    async with AsyncExitStack() as stack:
        answerer = Program("benchmarks.kafka_floor", "--answer", prefix, "--bootstrap", bootstrap)
        stack.push_async_callback(answerer.stop)
        await answerer.start()
        consumer = await _reader(bootstrap, f"{prefix}.1", stack)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
        await producer.start()
        stack.push_async_callback(producer.stop)
        times = []
        for number in range(_WARM_UP + events):
            started = time.perf_counter()
            await producer.send(f"{prefix}.0", b"%d" % number, partition=0)
            await consumer.getone()
            times.append((time.perf_counter() - started) * 1000)
            await asyncio.sleep(EVERY)
        return times[_WARM_UP:]


async def answer(bootstrap: str, prefix: str) -> None:
    """Answer each event with a transaction, until killed."""
    async with AsyncExitStack() as stack:
        consumer = await _reader(bootstrap, f"{prefix}.0", stack)
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=prefix)
        await producer.start()
        print("{}", flush=True)
        async for event in consumer:
            async with producer.transaction():
                outputs = range(1, _OUTPUTS + 1)
                sends = [
                    await producer.send(f"{prefix}.{number}", event.value, partition=0) for number in outputs
                ]
                await asyncio.gather(*sends)


async def _reader(bootstrap: str, topic: str, stack: AsyncExitStack) -> AIOKafkaConsumer:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, isolation_level="read_committed", enable_auto_commit=False
    )
    await consumer.start()
    stack.push_async_callback(consumer.stop)
    place = TopicPartition(topic, 0)
    consumer.assign([place])
    await consumer.seek_to_end()
    await consumer.position(place)
    return consumer


async def run() -> None:
    """Measure with a broker of one's own."""
    async with open_testbed() as place:
        times = await floor_ms(place.bootstrap)
    print(json.dumps({"kafka_floor_p50_ms": median(times)}))


def main() -> None:
    """Read the command line and run; the last line is for machines."""
    parser = parser_of(__doc__)
    parser.add_argument("--answer", help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    options = parser.parse_args()
    uvloop.run(answer(options.bootstrap, options.answer) if options.answer else run())


if __name__ == "__main__":
    main()
