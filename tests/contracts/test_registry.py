"""Schemas in a registry: registered at the start, named in headers; one that is away holds nothing up."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import ConsumerRecord
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.json_schema import JSONDeserializer
from confluent_kafka.serialization import MessageField, SerializationContext
from support.cluster import Cluster, free_port
from support.fault_cases import STUB, uploads
from support.registry.apicurio import running, unpacked

from schemas.contracts.channels import topic_schemas
from schemas.contracts.schema_ids import VALUE_SCHEMA_ID, schema_id_header
from schemas.errors import SettingsError
from schemas.json_schemas import json_schema
from streams.fetch.sending.schema_registry import SchemaRegistry

GUID = "9f0a3d1c-52a4-4b39-b2a6-9d0a9a3e0c11"


@pytest.fixture(scope="session")
def registry_jar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return unpacked(tmp_path_factory.mktemp("apicurio"))


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    """A worker that looks for a registry on a port where nothing is yet."""
    url = f"http://127.0.0.1:{free_port()}/apis/ccompat/v7"
    cluster = Cluster(
        kafka, unique, tmp_path, partitions=1, environment={**STUB, "TAGSTREAM_SCHEMA_REGISTRY": url}
    )
    try:
        yield cluster
    finally:
        await cluster.close()


def port_of(cluster: Cluster) -> int:
    return httpx.URL(cluster.environment["TAGSTREAM_SCHEMA_REGISTRY"]).port or 0


async def until_logged(cluster: Cluster, text: str) -> None:
    async with asyncio.timeout(60):
        while text not in cluster.log_path(0).read_text("utf-8"):
            await asyncio.sleep(0.1)


async def outputs(cluster: Cluster, count: int) -> list[ConsumerRecord]:
    """All categorizations and tag-updates of so many uploads."""
    async with asyncio.timeout(60):
        while len(await cluster.read(cluster.names.tag_updates)) < count:
            await asyncio.sleep(0.1)
    topics = cluster.names.categorizations, cluster.names.tag_updates
    return [record for topic in topics for record in await cluster.read(topic)]


def schema_header(record: ConsumerRecord) -> bytes | None:
    return dict(record.headers).get(VALUE_SCHEMA_ID)


def deserialized(url: str, record: ConsumerRecord) -> Any:  # noqa: ANN401 - JSON
    """A record's value as Confluent's own deserializer reads it, valid by the registry's schema."""
    with SchemaRegistryClient({"url": url}) as client:
        read = JSONDeserializer(None, schema_registry_client=client)
        context = SerializationContext(record.topic, MessageField.VALUE, list(record.headers))
        return read(record.value, context)


@pytest.mark.kafka
@pytest.mark.slow
async def test_round_trip(cluster: Cluster, registry_jar: Path) -> None:
    """Each topic has its schema registered; a record names its own and is plain JSON: Confluent reads it.

    A worker that starts again finds the same ids.
    """
    with running(registry_jar, port_of(cluster)) as url:
        await cluster.start(0)
        await cluster.until_ready([0])
        await until_logged(cluster, "schemas are registered at")
        await cluster.publish(uploads(range(3)))
        records = await outputs(cluster, 3)
        async with httpx.AsyncClient(trust_env=False, base_url=url) as client:
            for each in topic_schemas(cluster.names):
                found = (await client.get(f"/subjects/{each.topic}-value/versions/latest")).json()
                assert json.loads(found["schema"]) == json_schema(each.name)
        assert len(records) == 6
        for record in records:
            assert await asyncio.to_thread(deserialized, url, record) == json.loads(record.value)
        await cluster.kill(0)
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.publish(uploads(range(3, 4)))
        assert len(set(map(schema_header, await outputs(cluster, 4)))) == 2


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_registry_that_is_away_holds_nothing_up(cluster: Cluster, registry_jar: Path) -> None:
    """Records go without the header, the log says why; once it answers they have it."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(1)))
    assert {schema_header(record) for record in await outputs(cluster, 1)} == {None}
    await until_logged(cluster, "until then records go without the header")
    with running(registry_jar, port_of(cluster)):
        await until_logged(cluster, "schemas are registered at")
        await cluster.publish(uploads(range(1, 2)))
        _, first, _, second = await outputs(cluster, 2)
        assert schema_header(first)
        assert schema_header(second)


@pytest.mark.kafka
@pytest.mark.slow
async def test_a_schema_that_the_registry_refuses(cluster: Cluster, registry_jar: Path) -> None:
    """Its topic's records go without the header, and the log names topic and reason; others have theirs."""
    with running(registry_jar, port_of(cluster)) as url:
        topic = cluster.names.tag_updates
        async with httpx.AsyncClient(trust_env=False, base_url=url) as client:
            older = json.dumps(json_schema("tag-update") | {"title": "An older one"})
            first = {"schemaType": "JSON", "schema": older}
            await client.post(f"/subjects/{topic}-value/versions", json=first)
            await client.put(f"/config/{topic}-value", json={"compatibility": "FULL_TRANSITIVE"})
        await cluster.start(0)
        await cluster.until_ready([0])
        await until_logged(cluster, f"the schema of topic {topic} is not registered: status ")
        await cluster.publish(uploads(range(1)))
        tagged, updated = await outputs(cluster, 1)
        assert schema_header(tagged)
        assert schema_header(updated) is None


def test_the_header_is_what_confluents_serializers_write() -> None:
    """0 and an id of four bytes, or 1 and a GUID of sixteen where the registry has one."""
    assert schema_id_header(258) == (VALUE_SCHEMA_ID, b"\x00\x00\x00\x01\x02")
    name, value = schema_id_header(258, GUID)
    assert (name, value[:1], value[1:].hex()) == (VALUE_SCHEMA_ID, b"\x01", GUID.replace("-", ""))


def test_name_and_password_come_together() -> None:
    """One without the other is refused; the message names what is missing, not the secret."""
    with pytest.raises(SettingsError, match="SCHEMA_REGISTRY_PASSWORD is not set") as caught:
        SchemaRegistry.at("http://registry:8081", {"SCHEMA_REGISTRY_USERNAME": "ann"})
    assert "ann" not in str(caught.value)
    with pytest.raises(SettingsError, match="SCHEMA_REGISTRY_USERNAME is not set"):
        SchemaRegistry.at("http://registry:8081", {"SCHEMA_REGISTRY_PASSWORD": "secret"})
