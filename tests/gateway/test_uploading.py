"""Uploads through a gateway, from the call to the committed tags, with a real broker and the real model."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiokafka.admin import NewTopic
from support.gateway.gateways import CLOUD, KEY, SECRET, GatewayClient, GatewayCluster, signed

from model import SEEN, decode_views, perceptual_hash
from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection

pytestmark = pytest.mark.kafka

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"
KOALA = (PHOTOS / "koala.jpg").read_bytes()


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[GatewayCluster]:
    started = GatewayCluster(kafka, unique, tmp_path, partitions=2, environment={"TAGSTREAM_TAGGER": "onnx"})
    try:
        await started.start_as(0, "tag,query,gateway")
        await started.until_ready([0], 90)
        await started.until_gateways([0])
        yield started
    finally:
        await started.close()


async def test_an_upload_is_answered_with_its_tags(cluster: GatewayCluster) -> None:
    """Koala first, above 0.9; the tags are exactly those above the threshold; the file is where it says."""
    async with GatewayClient(cluster.url(0)) as client:
        answer = await client.upload(
            KOALA, categorization="imagga_tagging", auto_tagging="0.4", tags="zoo", public_id="animals/koala"
        )
        assert answer.status_code == 200, answer.text
        told = answer.json()
        said = told["info"]["categorization"]["imagga_tagging"]
        assert said["status"] == "complete"
        assert said["data"][0]["tag"] == "koala"
        assert said["data"][0]["confidence"] > 0.9
        above = [each["tag"] for each in said["data"] if each["confidence"] > 0.4]
        assert told["tags"] == ["zoo", *above]
        assert (told["public_id"], told["format"], told["bytes"]) == ("animals/koala", "jpg", len(KOALA))
        assert (told["width"], told["height"], told["original_filename"]) == (600, 800, "koala")
    assert len(cluster.stored()) == 1
    assert cluster.stored()[0].startswith(f"{CLOUD}/")


async def test_the_perceptual_hash_is_told_where_it_is_asked_for(cluster: GatewayCluster) -> None:
    """By uploads, updates and questions about one asset; nobody knows it before an add-on has looked."""
    expected = perceptual_hash(decode_views(KOALA, [SEEN]).squares[SEEN][0])
    name = {"public_id": "koala"}
    async with GatewayClient(cluster.url(0)) as client:
        stored = await client.upload(KOALA, **name, phash="true")
        assert (stored.status_code, "phash" in stored.json()) == (200, False)
        looked = await client.post("image/explicit", signed({**name, "categorization": "imagga_tagging"}))
        assert (looked.status_code, "phash" in looked.json()) == (200, False)
        asked = await client.post("image/explicit", signed({**name, "phash": "true"}))
        assert asked.json()["phash"] == expected
        uploaded = await client.upload(KOALA, categorization="imagga_tagging", phash="true")
        assert uploaded.json()["phash"] == expected
        told = await client.get(
            f"/v1_1/{CLOUD}/resources/image/upload/koala", params={"phash": "true"}, auth=(KEY, SECRET)
        )
        assert told.json()["phash"] == expected


async def test_a_call_that_is_sent_again_is_the_same_asset(cluster: GatewayCluster) -> None:
    """The same signature, file and boundary: one asset, its bytes once, and the same answer.

    Another file, or another boundary, as SDKs choose one for each call, is another asset.
    """
    fields = signed({"categorization": "imagga_tagging"})
    boundary = {"Content-Type": "multipart/form-data; boundary=the-same"}
    async with GatewayClient(cluster.url(0)) as client:
        first = await client.post("image/upload", fields, ("koala.jpg", KOALA), headers=boundary)
        second = await client.post("image/upload", fields, ("koala.jpg", KOALA), headers=boundary)
        assert first.status_code == second.status_code == 200
        assert first.json() == second.json()
        other = await client.post("image/upload", fields, ("other.jpg", KOALA), headers=boundary)
        anew = await client.post("image/upload", fields, ("koala.jpg", KOALA))
        assert len({each.json()["public_id"] for each in (first, other, anew)}) == 3
    assert len(cluster.stored()) == 3
    assert len(await cluster.table("images")) == 3


async def test_an_upload_topic_with_other_partitions_than_the_state(
    kafka: str, unique: str, tmp_path: Path
) -> None:
    """What the gateway publishes is sent on to the image's own partition, and is answered as ever."""
    inputs = f"{unique}.calls"
    async with open_admin(KafkaConnection(kafka)) as admin:
        await admin.create_topics([NewTopic(inputs, 3, 1)])
    environment = {"TAGSTREAM_TAGGER": "onnx", "TAGSTREAM_UPLOADS_TOPICS": inputs}
    cluster = GatewayCluster(kafka, unique, tmp_path, partitions=4, environment=environment)
    try:
        await cluster.start_as(0, "tag,query,gateway")
        await cluster.until_ready([0], 90)
        await cluster.until_gateways([0])
        async with GatewayClient(cluster.url(0)) as client:
            names = [f"photo-{number}" for number in range(6)]
            for name in names:
                told = await client.upload(
                    KOALA, public_id=name, categorization="imagga_tagging", auto_tagging="0.9"
                )
                assert (told.status_code, told.json()["tags"]) == (200, ["koala"]), told.text
            for name in names:
                tagged = await client.post(
                    "image/tags", signed({"command": "add", "tag": "zoo", "public_ids": [name]})
                )
                assert tagged.json() == {"public_ids": [name]}
            assert await cluster.counts() == {f"koala\x1f{CLOUD}": 6, f"zoo\x1f{CLOUD}": 6}
            for name in names:
                gone = await client.post("image/destroy", signed({"public_id": name}))
                assert gone.json() == {"result": "ok"}
        assert +(await cluster.counts()) == {}
        assert await cluster.read(cluster.names.dead_letters) == []
    finally:
        await cluster.close()
