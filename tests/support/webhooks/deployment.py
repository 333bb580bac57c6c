"""Outputs as a worker commits them, and the role that tells receivers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic

from schemas.cloudevents import event_headers
from schemas.topics import MAX_RECORD_BYTES, TopicNames
from streams.fetch.addresses import AddressPolicy
from streams.fetch.sending.poster import Poster
from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection
from streams.webhooks.backoff import Backoff
from streams.webhooks.delivering import Deliverer
from streams.webhooks.intake import Intake
from streams.webhooks.lanes import Room
from streams.webhooks.messages.signing import SigningKey
from streams.webhooks.service import WebhookService
from streams.webhooks.unit import Sending

KEY = SigningKey("key-1", "s3cret-word")
QUICK = Backoff(first=0.05, longest=0.2, budget=60.0)


@dataclass
class Told:
    """Whom a test's clouds tell."""

    by_cloud: dict[str, list[str]] = field(default_factory=dict)

    def urls(self, cloud: str) -> Sequence[str]:
        return self.by_cloud.get(cloud, [])

    def key(self, cloud: str, _wanted: str | None) -> SigningKey | None:
        return KEY if cloud in self.by_cloud else None


@dataclass
class Deployment:
    """Topics of a test's own, a worker's transactions on them, and the role `webhooks`."""

    bootstrap: str
    names: TopicNames
    partitions: int = 2
    told: Told = field(default_factory=Told)
    backoff: Backoff = QUICK
    room: Room = field(default_factory=Room)
    deadline: float = 2.0
    allow: str = "127.0.0.1"
    failures: list[BaseException] = field(default_factory=list)
    producers: dict[int, AIOKafkaProducer] = field(default_factory=dict)
    number: int = 0
    ago_ms: int = 0

    @property
    def connection(self) -> KafkaConnection:
        return KafkaConnection(self.bootstrap)

    async def make_topics(self) -> None:
        configs = self.names.configs | self.names.webhook_configs
        async with open_admin(self.connection) as admin:
            topics = [NewTopic(name, self.partitions, 1, topic_configs=configs[name]) for name in configs]
            await admin.create_topics(topics)

    async def transact(self, *outputs: tuple[str, dict[str, Any]], partition: int = 0) -> None:
        """Commit outputs as a unit does: one transaction, one time, the partition of the upload."""
        producer = await self._producer(partition)
        now = int(time.time() * 1000) - self.ago_ms
        async with producer.transaction():
            for topic, value in outputs:
                self.number += 1
                headers = event_headers(id=f"result-{self.number}", source="t", type="t")
                await producer.send_and_wait(
                    topic,
                    msgspec.json.encode(value),
                    value.get("public_id", "x").encode(),
                    partition,
                    timestamp_ms=now + self.number,
                    headers=headers,
                )

    async def _producer(self, partition: int) -> AIOKafkaProducer:
        if partition not in self.producers:
            producer = AIOKafkaProducer(
                bootstrap_servers=self.bootstrap,
                transactional_id=f"{self.names.app_id}-{partition}",
                max_request_size=MAX_RECORD_BYTES,
            )
            await producer.start()
            self.producers[partition] = producer
        return self.producers[partition]

    def upload(self, asset: str, url: str | None = None, cloud: str = "demo") -> tuple[str, dict[str, Any]]:
        value = {"public_id": asset, "tenant": cloud, "tags": [], "cause": {"type": "image.uploaded"}}
        return self.names.categorizations, value | ({"notification_url": url} if url else {})

    def change(self, asset: str, cause: str = "image.tags-edited") -> tuple[str, dict[str, Any]]:
        resources = [{"public_id": asset, "added": ["a"], "removed": []}]
        return self.names.tag_updates, {
            "resources": resources,
            "tenant": "demo",
            "cause": {"type": cause},
        }

    @contextlib.asynccontextmanager
    async def webhooks(self) -> AsyncIterator[WebhookService]:
        """Run the role, and end it as a graceful stop does."""
        policy = AddressPolicy.parse(self.allow, "TAGSTREAM_ALLOW_WEBHOOKS")
        async with Poster(policy, deadline=self.deadline, at_once=32) as poster:
            sending = Sending(
                intake=Intake(self.names, self.told),
                deliverer=Deliverer(poster, self.told, self.backoff),
                room=self.room,
                slots=asyncio.Semaphore(32),
                end_process=lambda _, error: self.failures.append(error),
            )
            service = WebhookService(self.connection, self.names, sending)
            task = asyncio.create_task(service.run())
            try:
                async with asyncio.timeout(30):
                    await service.assigned.wait()
                    while not all(unit.is_ready for unit in service.units.values()):
                        await asyncio.sleep(0.02)
                yield service
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        assert not self.failures

    async def close(self) -> None:
        for producer in self.producers.values():
            await producer.stop()
