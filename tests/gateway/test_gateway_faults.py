"""Gateways that die: nothing that was answered is lost, nothing is there twice, and no bytes stay behind."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support.gateway.gateways import CLOUD, GatewayClient, GatewayCluster, signed
from support.gateway.sweeping import Onlooker

from streams.cli.local.embedded_broker import EmbeddedBroker

pytestmark = pytest.mark.kafka

PHOTO = (Path(__file__).parents[2] / "streams" / "photos" / "koala.jpg").read_bytes()
HALF_A_FORM = (
    b'--b\r\ncontent-disposition: form-data; name="file"; filename="k.jpg"\r\n\r\n%b\r\n'
    b'--b\r\ncontent-disposition: form-data; name="timestamp"\r\n\r\n1'
)


@pytest.fixture
async def cluster(kafka: str, tmp_path: Path) -> AsyncIterator[GatewayCluster]:
    """A worker and two gateways, each a process."""
    started = GatewayCluster(kafka, f"test-{uuid.uuid4().hex[:12]}", tmp_path, partitions=2)
    try:
        await started.start_as(0, "tag,query")
        await asyncio.gather(started.start_as(1, "gateway"), started.start_as(2, "gateway"))
        await started.until_ready([0], 90)
        await started.until_gateways([1, 2])
        yield started
    finally:
        await started.close()


async def send_half(url: str) -> asyncio.StreamWriter:
    """Send an upload up to the end of its file, and not to its own."""
    parts, body = urlsplit(url), HALF_A_FORM % PHOTO
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST /v1_1/{CLOUD}/image/upload HTTP/1.1\r\nhost: {parts.netloc}\r\n"
    head += f"content-type: multipart/form-data; boundary=b\r\ncontent-length: {len(body) + 1000}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return writer


async def test_bytes_of_a_call_that_was_cut_off_are_swept(cluster: GatewayCluster) -> None:
    """A gateway is killed between bytes and event: no asset, and no bytes once all is swept."""
    async with GatewayClient(cluster.url(2)) as other:
        kept = (await other.upload(PHOTO, public_id="kept")).json()
        writer = await send_half(cluster.url(1))
        async with asyncio.timeout(30):
            while len(cluster.stored()) < 2:
                await asyncio.sleep(0.02)
        await cluster.kill(1)
        writer.close()
        assert len(cluster.stored()) == 2
        async with Onlooker(cluster) as onlooker:
            assert await onlooker.sweep() == 1
            assert [asset.public_id for asset in onlooker.library.all(CLOUD)] == ["kept"]
        assert len(cluster.stored()) == 1
        assert (await other.get(kept["url"])).content == PHOTO


async def test_a_call_is_finished_by_another_gateway(cluster: GatewayCluster) -> None:
    """A gateway is killed while it waits; sent again to another one, the call is one asset with its bytes."""
    await cluster.kill(0)
    fields, again = signed({"tags": "zoo"}), {"content-type": "multipart/form-data; boundary=b"}
    async with GatewayClient(cluster.url(1)) as one, GatewayClient(cluster.url(2)) as two:
        first = asyncio.create_task(one.post("image/upload", fields, ("k.jpg", PHOTO), headers=again))
        async with asyncio.timeout(30):
            while not await cluster.read(cluster.names.uploads):
                await asyncio.sleep(0.1)
        await cluster.kill(1)
        with pytest.raises(httpx.TransportError):
            await first
        second = asyncio.create_task(two.post("image/upload", fields, ("k.jpg", PHOTO), headers=again))
        await cluster.start_as(0, "tag,query")
        answer = await second
        assert answer.status_code == 200, answer.text
        told = answer.json()
        assert told["tags"] == ["zoo"]
        assert (await two.get(told["url"])).content == PHOTO
        async with Onlooker(cluster) as onlooker:
            await onlooker.sweep()
            (asset,) = onlooker.library.all(CLOUD)
            assert asset.public_id == told["public_id"]
    assert len(cluster.stored()) == 1


async def test_a_gateway_that_is_told_to_stop_answers_first(cluster: GatewayCluster) -> None:
    """Whoever waits for tags is told that they are pending; then the process ends with 0."""
    await cluster.kill(0)
    async with GatewayClient(cluster.url(1)) as client:
        waiting = asyncio.create_task(client.upload(PHOTO, categorization="imagga_tagging"))
        async with asyncio.timeout(30):
            while not await cluster.read(cluster.names.uploads):
                await asyncio.sleep(0.1)
        assert await cluster.stop(1) == 0
        answer = await waiting
    assert answer.status_code == 200
    assert answer.json()["info"]["categorization"] == {"imagga_tagging": {"status": "pending"}}
    assert "error" not in answer.json()


async def test_a_gateway_outlives_its_broker(
    new_broker: Callable[[], EmbeddedBroker], tmp_path: Path
) -> None:
    """While Kafka is away calls are refused with a reason; when it is back they are answered again."""
    broker = new_broker()
    broker.start()
    cluster = GatewayCluster(broker.bootstrap_servers, "restarted", tmp_path, partitions=1)
    try:
        await cluster.start_as(0, "tag,query,gateway")
        await cluster.until_ready([0], 90)
        await cluster.until_gateways([0])
        async with GatewayClient(cluster.url(0)) as client:
            assert (await client.upload(PHOTO, public_id="before")).status_code == 200
            broker.kill()
            refused = await client.upload(PHOTO, public_id="meanwhile")
            assert refused.status_code == 500
            assert "Kafka does not answer" in refused.json()["error"]["message"]
            broker.start()
            async with asyncio.timeout(150):
                while (await client.upload(PHOTO, public_id="after")).status_code != 200:
                    await asyncio.sleep(1)
            async with Onlooker(cluster) as onlooker:
                await onlooker.sweep()
                names = {asset.public_id for asset in onlooker.library.all(CLOUD)}
                assert names >= {"before", "after"}
                assert len(cluster.stored()) == len(names)
    finally:
        await cluster.close()
