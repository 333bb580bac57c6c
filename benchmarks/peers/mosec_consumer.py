"""The consumer in front of mosec: fetches images by aiohttp, has them tagged, sends the results.

32 images are on their way at a time; offsets are committed by aiokafka every second: at most once.
"""

import asyncio
from http import HTTPStatus

import aiohttp
import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord

from benchmarks.limit import AHEAD, CONNECTIONS
from benchmarks.peers.work import Assignment, assignment, result, url_of
from model import Tag

_LOOK_EVERY = 0.2  # seconds, for mosec to be there


async def work(mine: Assignment) -> None:
    """Work until killed."""
    consumer = AIOKafkaConsumer(
        mine.uploads,
        bootstrap_servers=mine.bootstrap,
        group_id=mine.uploads,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=1000,
    )
    producer = AIOKafkaProducer(bootstrap_servers=mine.bootstrap, linger_ms=10, enable_idempotence=True)
    await producer.start()
    await consumer.start()
    waiting: asyncio.Queue[ConsumerRecord] = asyncio.Queue(AHEAD)
    server = f"http://127.0.0.1:{mine.port}/inference"

    async def tag(sources: aiohttp.ClientSession, tagging: aiohttp.ClientSession) -> None:
        while True:
            record = await waiting.get()
            async with sources.get(url_of(record.value)) as answer:
                image = await answer.read()
            async with tagging.post(server, data=image) as answer:
                answer.raise_for_status()
                tags = [Tag(name, chance, chance) for name, chance in orjson.loads(await answer.read())]
            await producer.send(mine.results, result(record.value, tags), record.key)

    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS)) as sources,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=AHEAD)) as tagging,
        asyncio.TaskGroup() as tasks,
    ):
        await _until_up(tagging, mine.port)
        for _ in range(AHEAD):
            tasks.create_task(tag(sources, tagging))
        async for record in consumer:
            await waiting.put(record)


async def _until_up(session: aiohttp.ClientSession, port: int) -> None:
    while True:
        try:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as answer:
                if answer.status == HTTPStatus.OK:
                    return
        except aiohttp.ClientConnectionError:
            pass
        await asyncio.sleep(_LOOK_EVERY)


if __name__ == "__main__":
    uvloop.run(work(assignment()))
