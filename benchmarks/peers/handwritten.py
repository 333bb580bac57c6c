"""A consumer tuned by hand: the limit's program (`benchmarks.limit`) between a consumer and a producer.

aiohttp with eight connections, a thread per core that decodes and infers in batches, at most 32 images ahead;
offsets are committed once per second, when all results before them are sent: at least once, nothing counted.
"""

import asyncio
import functools
from collections import defaultdict

import aiohttp
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from benchmarks.limit import AHEAD, CONNECTIONS, FusedThreads
from benchmarks.peers.work import Assignment, assignment, result, url_of
from model import Tag, Tagger

_COMMIT_EVERY = 1.0  # seconds


class Progress:
    """How far each partition is done without gaps."""

    def __init__(self) -> None:
        self._next: dict[TopicPartition, int] = {}
        self._unfinished: dict[TopicPartition, set[int]] = defaultdict(set)

    def begin(self, record: ConsumerRecord) -> None:
        """Note that a record was read."""
        place = TopicPartition(record.topic, record.partition)
        self._next[place] = record.offset + 1
        self._unfinished[place].add(record.offset)

    def end(self, record: ConsumerRecord) -> None:
        """Note that its result is in Kafka."""
        self._unfinished[TopicPartition(record.topic, record.partition)].discard(record.offset)

    def offsets(self) -> dict[TopicPartition, int]:
        """What may be committed."""
        return {place: min(self._unfinished[place], default=end) for place, end in self._next.items()}


class Loop:
    """The consumer, the fetches and the producer."""

    def __init__(self, mine: Assignment, tagger: Tagger) -> None:
        self._mine = mine
        self._consumer = AIOKafkaConsumer(
            mine.uploads,
            bootstrap_servers=mine.bootstrap,
            group_id=mine.uploads,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        self._producer = AIOKafkaProducer(
            bootstrap_servers=mine.bootstrap, linger_ms=10, enable_idempotence=True
        )
        self._progress = Progress()
        self._room = asyncio.Semaphore(AHEAD)
        self._waiting: asyncio.Queue[ConsumerRecord] = asyncio.Queue(AHEAD)
        self._loop = asyncio.get_running_loop()
        self._threads = FusedThreads[ConsumerRecord](tagger, mine.threads, self._on_done)

    async def run(self) -> None:
        """Work until killed."""
        await self._producer.start()
        await self._consumer.start()
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as session:
            with self._threads:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._commit_for_ever())
                    for _ in range(CONNECTIONS):
                        tasks.create_task(self._fetch_for_ever(session))
                    async for record in self._consumer:
                        self._progress.begin(record)
                        await self._waiting.put(record)

    async def _fetch_for_ever(self, session: aiohttp.ClientSession) -> None:
        while True:
            record = await self._waiting.get()
            await self._room.acquire()
            async with session.get(url_of(record.value)) as answer:
                self._threads.put(record, await answer.read())

    def _on_done(self, tagged: list[tuple[ConsumerRecord, list[Tag]]]) -> None:
        asyncio.run_coroutine_threadsafe(self._send(tagged), self._loop)

    async def _send(self, tagged: list[tuple[ConsumerRecord, list[Tag]]]) -> None:
        for record, tags in tagged:
            self._room.release()
            sent = await self._producer.send(self._mine.results, result(record.value, tags), record.key)
            sent.add_done_callback(functools.partial(self._acknowledge, record))

    def _acknowledge(self, record: ConsumerRecord, _: object) -> None:
        self._progress.end(record)

    async def _commit_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_EVERY)
            if offsets := self._progress.offsets():
                await self._consumer.commit(offsets)


async def work(mine: Assignment) -> None:
    """Work until killed."""
    await Loop(mine, Tagger.load(mine.model)).run()


def main() -> None:
    """Work until killed."""
    uvloop.run(work(assignment()))


if __name__ == "__main__":
    main()
