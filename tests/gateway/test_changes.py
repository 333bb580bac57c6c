"""What happens to assets after their upload: described, tagged, renamed, destroyed, served."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from support.gateway.gateways import CLOUD, GatewayClient, GatewayCluster, signed

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

PHOTOS = Path(__file__).parents[2] / "streams" / "photos"
PHOTO = (PHOTOS / "koala.jpg").read_bytes()
OTHER = (PHOTOS / "cat.jpg").read_bytes()
Pair = tuple[GatewayClient, GatewayClient]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayCluster]:
    """A worker and two gateways, each a process."""
    folder = tmp_path_factory.mktemp("gateways")
    started = GatewayCluster(kafka, f"test-{uuid.uuid4().hex[:12]}", folder, partitions=2)
    try:
        await started.start_as(0, "tag,query")
        await asyncio.gather(started.start_as(1, "gateway"), started.start_as(2, "gateway"))
        await started.until_ready([0], 90)
        await started.until_gateways([1, 2])
        yield started
    finally:
        await started.close()


@pytest_asyncio.fixture(loop_scope="module")
async def pair(cluster: GatewayCluster) -> AsyncIterator[Pair]:
    async with GatewayClient(cluster.url(1)) as one, GatewayClient(cluster.url(2)) as two:
        yield one, two


async def test_the_life_of_an_asset_across_two_gateways(cluster: GatewayCluster, pair: Pair) -> None:
    """What one gateway has answered the other one knows: description, tags, name, bytes, end."""
    (one, two), before = pair, cluster.stored()
    first = (await one.upload(PHOTO, public_id="a/koala", tags="zoo,grey", context="alt=A koala")).json()
    assert (first["tags"], first["context"]) == (["zoo", "grey"], {"custom": {"alt": "A koala"}})
    told = await two.call("image/explicit", public_id="a/koala", type="upload", context="alt=B|by=me")
    assert told["context"] == {"custom": {"alt": "B", "by": "me"}}
    assert told["asset_id"] == first["asset_id"]
    answer = await one.call("image/tags", command="add", tag="new", public_ids=["a/koala", "none"])
    assert answer == {"public_ids": ["a/koala"]}
    await two.call("image/tags", command="remove", tag="zoo", public_ids=["a/koala"])
    answer = await one.call("image/context", command="remove_all", public_ids=["a/koala"])
    assert answer == {"public_ids": ["a/koala"]}
    renamed = await two.call("image/rename", from_public_id="a/koala", to_public_id="b/bear")
    assert (renamed["public_id"], renamed["asset_id"]) == ("b/bear", first["asset_id"])
    assert sorted(renamed["tags"]) == ["grey", "new"]
    assert "context" not in renamed
    served = await one.get(renamed["url"])
    assert (served.status_code, served.headers["content-type"]) == (200, "image/jpeg")
    assert served.content == PHOTO
    gone = await one.post("image/explicit", signed({"public_id": "a/koala", "type": "upload"}))
    assert (gone.status_code, gone.json()["error"]["message"]) == (404, "Resource not found - a/koala")
    assert await one.call("image/destroy", public_id="b/bear") == {"result": "ok"}
    assert await two.call("image/destroy", public_id="b/bear") == {"result": "not found"}
    assert (await two.get(renamed["url"])).status_code == 404
    told = await cluster.metrics(2)
    for line in (
        'tagstream_gateway_requests_total{call="v1_1.destroy",status="200"}',
        'tagstream_gateway_requests_total{call="serve",status="404"}',
        'tagstream_gateway_request_duration_seconds_count{call="v1_1.rename"}',
    ):
        assert line in told
    assert cluster.stored() == before


async def test_overwriting(cluster: GatewayCluster, pair: Pair) -> None:
    """A new upload takes the place of an old one, under the same id; `overwrite=false` leaves it."""
    (one, two), before = pair, cluster.stored()
    first = (await one.upload(PHOTO, public_id="x", tags="a", context="k=v")).json()
    second = (await two.upload(OTHER, public_id="x", tags="b")).json()
    assert second["asset_id"] == first["asset_id"]
    assert second["created_at"] == first["created_at"]
    assert second["version"] > first["version"]
    assert (second["tags"], "context" in second) == (["b"], False)
    third = (await one.upload(PHOTO, public_id="x", overwrite="false")).json()
    assert (third["existing"], third["etag"]) == (True, second["etag"])
    assert (await one.get(third["url"])).content == OTHER
    assert len(cluster.stored()) == len(before) + 2, "the bytes that were replaced are left to the sweeper"


async def test_raw_files(cluster: GatewayCluster, pair: Pair) -> None:
    """They are kept and served, never looked at, and are not counted; `auto` tells them from images."""
    (one, two), before = pair, cluster.stored()
    counted = await cluster.counts()
    raw = (await one.upload(b"%PDF-1.7", "a paper.pdf", "auto", tags="t", use_filename="true")).json()
    assert raw["resource_type"] == "raw"
    assert raw["public_id"].startswith("a_paper_")
    assert raw["public_id"].endswith(".pdf")
    assert "width" not in raw
    served = await two.get(raw["url"])
    assert served.content == b"%PDF-1.7"
    assert served.headers["content-disposition"].startswith("attachment")
    assert served.headers["x-content-type-options"] == "nosniff"
    await two.call("raw/tags", command="add", tag="u", public_ids=[raw["public_id"]])
    told = await one.call("raw/explicit", public_id=raw["public_id"], type="upload")
    assert told["tags"] == ["t", "u"]
    assert (await one.upload(PHOTO, "koala.jpg", "auto")).json()["resource_type"] == "image"
    assert await cluster.counts() == counted
    answer = await one.upload(b"no image", "x.jpg")
    assert (answer.status_code, answer.json()["error"]["message"][:18]) == (400, "Invalid image file")
    assert len(cluster.stored()) == len(before) + 2


async def test_chunks_over_two_gateways(cluster: GatewayCluster, pair: Pair) -> None:
    """Any gateway takes any chunk, in any order; the last one that comes makes the asset."""
    data, before = bytes(range(256)) * 4096, cluster.stored()
    size = 300_000
    starts = [*range(0, len(data), size)]
    order, names = [starts[1], starts[0], *starts[2:]], list[str]()
    for number, start in enumerate(order):
        end = min(start + size, len(data))
        answer = await pair[number % 2].post(
            "raw/upload",
            signed({"tags": "big", "folder": "f"}),
            ("data.bin", data[start:end]),
            headers={
                "x-unique-upload-id": "u1",
                "content-range": f"bytes {start}-{end - 1}/{len(data)}",
            },
        )
        told = answer.json()
        assert answer.status_code == 200, told
        assert told["done"] is (number == len(order) - 1)
        names.append(told["public_id"])
    assert names[-1] == f"f/{names[0]}"
    assert (told["bytes"], told["tags"]) == (len(data), ["big"])
    assert (await pair[0].get(told["url"])).content == data
    part = await pair[1].get(told["url"], headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, data[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(data)}"
    lying = await pair[0].post(
        "raw/upload",
        signed({}),
        ("data.bin", b"123"),
        headers={"x-unique-upload-id": "u2", "content-range": "bytes 0-9/20"},
    )
    assert lying.status_code == 400
    kept = [key for key in cluster.stored() if key.startswith(f"{CLOUD}/")]
    assert len(kept) == len(before) + 1


async def test_many_changes_of_one_asset_at_once(pair: Pair) -> None:
    """Each is answered once it is committed, and none undoes another, at whichever gateway it came."""
    await pair[0].upload(PHOTO, public_id="busy")
    tags = [f"tag-{number}" for number in range(40)]
    async with asyncio.timeout(30):
        await asyncio.gather(
            *(
                pair[number % 2].call("image/tags", command="add", tag=tag, public_ids=["busy"])
                for number, tag in enumerate(tags)
            )
        )
    told = await pair[0].call("image/explicit", public_id="busy", type="upload")
    assert sorted(told["tags"]) == sorted(tags)


async def test_a_call_whose_worker_is_away_is_pending(cluster: GatewayCluster, pair: Pair) -> None:
    """An asynchronous call is answered at once; what it asks for is done as soon as a worker is there."""
    await cluster.kill(0)
    answer = await pair[0].post(
        "image/upload",
        signed({"async": "true", "public_id": "later", "categorization": "imagga_tagging"}),
        ("k.json", orjson.dumps({"koala": 0.9})),
    )
    assert answer.status_code == 400, "the stub's pictures are no images"
    answer = await pair[0].upload(PHOTO, public_id="later", **{"async": "true"})
    told = answer.json()
    assert (told["status"], told["public_id"]) == ("pending", "later")
    assert told["batch_id"]
    await cluster.start_as(0, "tag,query")
    while (await pair[1].get(f"/{CLOUD}/image/upload/later.jpg")).status_code != 200:
        await asyncio.sleep(0.2)
