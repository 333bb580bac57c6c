"""Consumers in Java, JavaScript and Go that are killed, and files that do not notice."""

import asyncio
import shutil
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from support.cluster import Cluster
from support.examples import EXAMPLES, Programs, until

from schemas.uploads import UploadData
from streams.cli.local.kafka_jars import default_cache_dir, fetch_jars, read_lock

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]
CLIENT = ("kafka-clients", "slf4j-api", "slf4j-simple", "lz4-java", "snappy-java", "zstd-jni")


async def java(_programs: Programs, _folder: Path) -> tuple[str, ...]:
    """Kafka's own client, from the jars of the embedded broker."""
    jars = [jar for jar in read_lock() if jar.filename.rpartition("-")[0] in CLIENT]
    paths = await asyncio.to_thread(fetch_jars, default_cache_dir(), jars)
    program = EXAMPLES / "consume_java" / "ConsumeExactlyOnce.java"
    return "java", "-cp", ":".join(map(str, paths)), str(program)


async def node(programs: Programs, folder: Path) -> tuple[str, ...]:
    """KafkaJS, from the lock file."""
    shutil.copytree(EXAMPLES / "consume_kafkajs", folder, ignore=shutil.ignore_patterns("node_modules"))
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier")
    await programs.output_of("npm", "ci", "--prefix", str(folder), *quiet)
    return "node", str(folder / "consume.js")


async def go(programs: Programs, folder: Path) -> tuple[str, ...]:
    """franz-go, as go.sum pins it."""
    await programs.output_of("go", "build", "-C", str(EXAMPLES / "consume_franz_go"), "-o", str(folder), ".")
    return (str(folder),)


LANGUAGES = {"java": ("javac", java), "node": ("npm", node), "go": ("go", go)}


async def publish_and_abort(cluster: Cluster, name: str) -> None:
    """Write an update that no reader of committed records may see."""
    producer = AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, transactional_id=f"{cluster.name}-{name}"
    )
    async with producer:
        await producer.begin_transaction()
        await producer.send_and_wait(cluster.names.tag_updates, b'{"ghost":true}', partition=0)
        await producer.abort_transaction()


def lines(path: Path) -> list[str]:
    return path.read_text("utf-8").split("\n")[:-1] if path.exists() else []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_kills_lose_nothing_and_double_nothing(
    cluster: Cluster, programs: Programs, koala: str, tmp_path: Path, language: str
) -> None:
    """kill -9 twice while results come in, in the middle of a line: afterwards a line per update."""
    needs, ready = LANGUAGES[language]
    if not shutil.which(needs):
        pytest.skip(f"needs {needs}")
    command = (*await ready(programs, tmp_path / "program"), str(tmp_path / "updates.tsv"))
    updates, log = tmp_path / "updates.tsv", tmp_path / "log"
    await publish_and_abort(cluster, language)
    before = 0
    for round_ in range(2):
        ids = [f"{language}-{round_}-{number}" for number in range(15)]
        await cluster.publish(
            [UploadData(public_id=public_id, url=koala, auto_tagging=0.2) for public_id in ids]
        )
        async with programs.running_of(log, *command) as program:
            await until(partial(more_than, updates, before + 5))
            await program.kill()
        before = len(lines(updates))
        with updates.open("a", encoding="utf-8") as file:
            file.write("0\t99")  # as a kill leaves it
    await publish_and_abort(cluster, f"{language}-again")
    async with programs.running_of(log, *command):
        await until(partial(complete, cluster, updates))
    told = [tuple(line.split("\t", 2)) for line in lines(updates)]
    records = await cluster.read(cluster.names.tag_updates)
    wanted = [(str(record.partition), str(record.offset), record.value.decode()) for record in records]
    assert sorted(told) == sorted(wanted)


async def more_than(path: Path, count: int) -> bool:
    return len(lines(path)) > count


async def complete(cluster: Cluster, path: Path) -> bool:
    return len(lines(path)) >= len(await cluster.read(cluster.names.tag_updates)) > 0
