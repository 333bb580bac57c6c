"""Four clients of Kafka, each with the partitioner that it has by itself."""

import asyncio
import json
import os
import shutil
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Producer
from support.cluster import Cluster
from support.examples import Programs

HERE = Path(__file__).parent
Event = tuple[str | None, dict[str, object]]
"""A key, and an upload event."""
Publish = Callable[[Cluster, Sequence[Event], str | None], Awaitable[None]]
"""Publishes events to a topic, the first upload topic if none is named."""


def _key(key: str | None) -> bytes | None:
    return None if key is None else key.encode()


def _confluent(cluster: Cluster, events: Sequence[Event], topic: str) -> None:
    producer = Producer({"bootstrap.servers": cluster.bootstrap})
    for key, event in events:
        producer.produce(topic, json.dumps(event).encode(), key=_key(key))
    assert producer.flush(30) == 0


def _kafka_python(cluster: Cluster, events: Sequence[Event], topic: str) -> None:
    from kafka import KafkaProducer  # noqa: PLC0415 - it warns of what Python deprecates

    producer = KafkaProducer(bootstrap_servers=cluster.bootstrap)
    sent = [producer.send(topic, json.dumps(event).encode(), _key(key)) for key, event in events]
    for delivery in sent:
        delivery.get(timeout=30)
    producer.close()


async def by_confluent(cluster: Cluster, events: Sequence[Event], topic: str | None = None) -> None:
    """librdkafka: CRC32 of the key."""
    await asyncio.to_thread(_confluent, cluster, events, topic or cluster.names.uploads)


async def by_kafka_python(cluster: Cluster, events: Sequence[Event], topic: str | None = None) -> None:
    """murmur2 of the key."""
    await asyncio.to_thread(_kafka_python, cluster, events, topic or cluster.names.uploads)


async def by_aiokafka(cluster: Cluster, events: Sequence[Event], topic: str | None = None) -> None:
    """murmur2 of the key, too."""
    async with AIOKafkaProducer(bootstrap_servers=cluster.bootstrap) as producer:
        for key, event in events:
            await producer.send_and_wait(
                topic or cluster.names.uploads, json.dumps(event).encode(), _key(key)
            )


async def kafkajs(folder: Path) -> Publish:
    """Install kafkajs by its lock file; murmur2 of the key, by another implementation."""
    if not shutil.which("npm"):
        pytest.skip("needs npm")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder / name)
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts")
    await Programs({}).output_of("npm", "ci", "--prefix", str(folder), *quiet)

    async def publish(cluster: Cluster, events: Sequence[Event], topic: str | None = None) -> None:
        told = {
            "BROKERS": cluster.bootstrap,
            "TOPIC": topic or cluster.names.uploads,
            "NODE_PATH": str(folder / "node_modules"),
        }
        process = await asyncio.create_subprocess_exec(
            "node", str(HERE / "publish.js"), stdin=asyncio.subprocess.PIPE, env={**os.environ, **told}
        )
        messages = [[key, json.dumps(event)] for key, event in events]
        await asyncio.wait_for(process.communicate(json.dumps(messages).encode()), 60)
        assert process.returncode == 0

    return publish
