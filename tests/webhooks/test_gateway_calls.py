"""What receivers are told of calls of the gateway, from the SDK's call to the SDK's check."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cloudinary
import cloudinary.utils
import pytest
from support.gateway.gateways import CLOUD, KEY, SECRET, GatewayClient, GatewayCluster
from support.webhooks.receiver import Receiver, receiving

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

KOALA = (Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg").read_bytes()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One that is up."""
    async with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
async def cluster(
    kafka: str, unique: str, tmp_path: Path, receiver: Receiver
) -> AsyncIterator[GatewayCluster]:
    """One process that does it all."""
    environment = {
        "TAGSTREAM_TAGGER": "onnx",
        "TAGSTREAM_THREADS": "1",
        "TAGSTREAM_ALLOW_WEBHOOKS": "127.0.0.1",
        "TAGSTREAM_GATEWAY_URL": "https://photos.example",
    }
    started = GatewayCluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    credentials = tmp_path / "gateway.toml"
    text = credentials.read_text("utf-8")
    told = f'name = "{CLOUD}"\nnotification_url = "{receiver.url}"'
    credentials.write_text(text.replace(f'name = "{CLOUD}"', told), "utf-8")
    try:
        await started.start_as(0, "tag,gateway,webhooks")
        await started.until_ready([0], 90)
        await started.until_gateways([0], 60)
        yield started
    finally:
        await started.close()


@pytest.fixture(autouse=True)
def _sdk() -> Iterator[None]:
    cloudinary.reset_config()
    cloudinary.config(cloud_name=CLOUD, api_key=KEY, api_secret=SECRET)
    yield
    cloudinary.reset_config()


def told(receiver: Receiver, kind: str) -> dict[str, Any]:
    (found,) = [each.value for each in receiver.taken if each.value["notification_type"] == kind]
    return found


async def test_each_call_is_told(cluster: GatewayCluster, receiver: Receiver) -> None:
    """Upload, tags, rename and destroy lead to one notification each, in this order, of one asset.

    That of the upload has what the call was answered, and the SDK accepts all signatures.
    """
    async with GatewayClient(cluster.url(0)) as client:
        answer = await client.upload(
            KOALA, public_id="zoo/koala", categorization="imagga_tagging", auto_tagging="0.4", tags="zoo"
        )
        assert answer.status_code == 200, answer.text
        await client.call("image/tags", command="add", tag="bear", public_ids=["zoo/koala"])
        await client.call("image/rename", from_public_id="zoo/koala", to_public_id="koala")
        await client.call("image/destroy", public_id="koala")
        await receiver.until(lambda: len(receiver.taken) == 4)
    kinds = [each.value["notification_type"] for each in receiver.taken]
    assert kinds == ["upload", "resource_tags_changed", "rename", "delete"]
    uploaded, answered = told(receiver, "upload"), answer.json()
    same = ("public_id", "asset_id", "version", "tags", "width", "height", "bytes", "etag", "secure_url")
    assert {name: uploaded[name] for name in same} == {name: answered[name] for name in same}
    assert uploaded["info"]["categorization"]["imagga_tagging"]["data"][0]["tag"] == "koala"
    assert told(receiver, "resource_tags_changed")["resources"][0]["added"] == ["bear"]
    renamed = told(receiver, "rename")
    assert (renamed["from_public_id"], renamed["to_public_id"]) == ("zoo/koala", "koala")
    deleted = told(receiver, "delete")["resources"][0]
    assert (deleted["public_id"], deleted["asset_id"]) == ("koala", answered["asset_id"])
    for each in receiver.taken:
        at, signature = int(each.headers["X-Cld-Timestamp"]), each.headers["X-Cld-Signature"]
        assert cloudinary.utils.verify_notification_signature(each.body.decode(), at, signature)


async def test_what_is_answered_later_is_told(cluster: GatewayCluster, receiver: Receiver) -> None:
    """An asynchronous upload is told to the address that its call names, and a broken image as an error."""
    async with GatewayClient(cluster.url(0)) as client, receiving(Receiver()) as own:
        options = {"async": "1", "notification_url": own.url, "categorization": "imagga_tagging"}
        answer = await client.upload(KOALA, public_id="later", **options)
        assert answer.json()["status"] == "pending"
        await own.until(lambda: len(own.taken) == 1)
        uploaded = told(own, "upload")
        assert uploaded["public_id"] == "later"
        assert uploaded["info"]["categorization"]["imagga_tagging"]["status"] == "complete"
        cut = await client.upload(KOALA[:20_000], public_id="broken", **options)
        assert cut.json().get("status") == "pending", cut.text
        await own.until(lambda: len(own.taken) == 2)
        failed = told(own, "error")
        assert failed["public_id"] == "broken"
        assert failed["error"]["reason"]
    assert receiver.taken == []
