"""A consumer that is killed, and a database that does not notice."""

import asyncio
import contextlib
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from support.cluster import Cluster
from support.examples import Programs, until

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


def rows(database: Path) -> list[tuple[int, int, str]]:
    with contextlib.closing(sqlite3.connect(database)) as tables:
        if not tables.execute("SELECT 1 FROM sqlite_master").fetchone():
            return []
        return list(tables.execute("SELECT partition, position, public_id FROM categorizations"))


async def publish_and_abort(cluster: Cluster) -> None:
    """Write a result that no reader of committed records may see."""
    producer = AIOKafkaProducer(bootstrap_servers=cluster.bootstrap, transactional_id=cluster.name)
    async with producer:
        await producer.begin_transaction()
        ghost = b'{"public_id":"ghost","tags":["ghost"]}'
        await producer.send_and_wait(cluster.names.categorizations, ghost, partition=0)
        await producer.abort_transaction()


async def publish_until(stop: asyncio.Event, cluster: Cluster, koala: str) -> set[str]:
    """Publish uploads, ten at a time, until told to stop; their ids."""
    published: set[str] = set()
    while not stop.is_set():
        ids = [f"once-{len(published) + number}" for number in range(10)]
        await cluster.publish([UploadData(public_id=public_id, url=koala) for public_id in ids])
        published |= set(ids)
    return published


async def test_kills_lose_nothing_and_double_nothing(
    cluster: Cluster, programs: Programs, koala: str, tmp_path: Path
) -> None:
    """kill -9 twice while results come in: afterwards a row per result, and no other."""
    database, log = tmp_path / "images.db", tmp_path / "log"
    command = ("examples/consume_exactly_once.py", str(database))
    await publish_and_abort(cluster)
    stop = asyncio.Event()
    publishing = asyncio.create_task(publish_until(stop, cluster, koala))

    async def grown(before: int) -> bool:
        return len(rows(database)) >= before + 50

    written = 0
    for _ in range(2):
        async with programs.running(log, *command) as program:
            await until(partial(grown, written))
            await program.kill()
        written = len(rows(database))
    stop.set()
    published = await publishing

    async def complete() -> bool:
        return published <= {public_id for _, _, public_id in rows(database)}

    assert not await complete()
    async with programs.running(log, *command) as program:
        await until(complete)
        assert await program.interrupt() == 0
    results = await cluster.read(cluster.names.categorizations)
    assert sorted((partition, offset) for partition, offset, _ in rows(database)) == sorted(
        (result.partition, result.offset) for result in results
    )
    assert "ghost" not in {public_id for _, _, public_id in rows(database)}
