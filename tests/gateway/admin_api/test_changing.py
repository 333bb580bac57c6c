"""Updates and deletions through the Admin API, by two gateways, with a real broker and the real model."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from support.gateway.gateways import CLOUD, KEY, SECRET, GatewayClient, GatewayCluster

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]

PHOTOS = Path(__file__).parents[3] / "streams" / "photos"
KOALA = (PHOTOS / "koala.jpg").read_bytes()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[GatewayCluster]:
    """A worker that is a gateway, too, and another gateway."""
    name, folder = f"test-{uuid.uuid4().hex[:12]}", tmp_path_factory.mktemp("gateways")
    started = GatewayCluster(kafka, name, folder, partitions=2, environment={"TAGSTREAM_TAGGER": "onnx"})
    try:
        await asyncio.gather(started.start_as(0, "tag,query,gateway"), started.start_as(1, "gateway"))
        await started.until_ready([0], 90)
        await started.until_gateways([0, 1])
        yield started
    finally:
        await started.close()


class Gateways:
    """Both gateways: uploads go to one, Admin calls to the other."""

    def __init__(self, cluster: GatewayCluster) -> None:
        self.uploads = GatewayClient(cluster.url(0))
        base = f"{cluster.url(1)}/v1_1/{CLOUD}/"
        self.admin = httpx.AsyncClient(base_url=base, auth=(KEY, SECRET), trust_env=False, timeout=60)

    async def upload(self, public_id: str, **options: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        answer = await self.uploads.upload(KOALA, public_id=public_id, **options)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:  # noqa: ANN401 - JSON
        answer = await self.admin.request(method, path, **more)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest_asyncio.fixture(loop_scope="module")
async def both(cluster: GatewayCluster) -> AsyncIterator[Gateways]:
    gateways = Gateways(cluster)
    async with gateways.uploads, gateways.admin:
        yield gateways


@pytest.mark.parametrize(
    "form",
    [
        {"json": {"categorization": "imagga_tagging", "auto_tagging": 0.4}},
        {
            "data": {
                "categorization": "imagga_tagging",
                "auto_tagging": "0.4",
                "notification_url": "",
                "tags": "",
            }
        },
        {"files": {"categorization": (None, "imagga_tagging"), "auto_tagging": (None, "0.4")}},
        {"content": b"categorization=imagga_tagging&auto_tagging=0.4"},
    ],
    ids=["json", "urlencoded", "multipart", "no content type"],
)
async def test_an_image_is_tagged_later(both: Gateways, form: dict[str, Any]) -> None:
    """The update that SDKs send in four forms: answered with what the add-on said, and the tags above it."""
    name = f"landscape {uuid.uuid4().hex}"
    await both.upload(name, tags="mine")
    told = await both.ask("POST", f"resources/image/upload/{name}", **form)
    said = told["info"]["categorization"]["imagga_tagging"]
    assert (said["status"], said["data"][0]["tag"]) == ("complete", "koala")
    above = {each["tag"] for each in said["data"] if each["confidence"] > 0.4}
    assert told["tags"] == sorted({"mine", *above})
    assert await both.ask("GET", f"resources/image/upload/{name}") == told


async def test_tags_and_context_are_replaced(both: Gateways) -> None:
    """Tags that are not named are gone, whoever gave them; an empty text leaves them."""
    await both.upload("fo/x", tags="a,b", context="k=v")
    told = await both.ask("POST", "resources/image/upload/fo%2Fx", json={"tags": "b,c", "context": "n=1|m=2"})
    assert (told["tags"], told["context"]) == (["b", "c"], {"custom": {"n": "1", "m": "2"}})
    told = await both.ask("POST", "resources/image/upload/fo/x", data={"tags": "", "display_name": "X"})
    assert (told["tags"], told["display_name"]) == (["b", "c"], "X")
    told = await both.ask("POST", "resources/image/upload/fo/x", json={"tags": []})
    assert "tags" not in told
    found = await both.ask(
        "POST", "resources/search", json={"expression": "context.n=1", "with_field": ["tags"]}
    )
    assert [each["public_id"] for each in found["resources"]] == ["fo/x"]


async def test_updates_that_are_refused(both: Gateways) -> None:
    """In words that SDKs' tests know; nothing of them is done."""
    await both.upload("refused", tags="a")
    for wrong in ("categorization", "detection", "ocr", "raw_convert"):
        body = await both.ask(
            "POST", "resources/image/upload/refused", 400, data={wrong: "illegal", "tags": "b"}
        )
        assert body["error"]["message"].startswith("Illegal value")
    assert (await both.ask("GET", "resources/image/upload/refused"))["tags"] == ["a"]
    body = await both.ask("POST", "resources/image/upload/nowhere", 404, data={"tags": "b"})
    assert body["error"]["message"] == "Resource not found - nowhere"


async def test_deletions(both: Gateways, cluster: GatewayCluster) -> None:
    """By names, prefix, tag, id, and all: assets and bytes are gone, and what was not there is told so."""
    before = cluster.stored()
    names = [f"del/{number}" for number in range(6)]
    made = await asyncio.gather(*(both.upload(name, tags=f"t{name[-1]},deleted") for name in names))
    body = json.dumps({"public_ids": [names[0], "none"], "transformations": None}).encode()
    told = await both.ask(
        "DELETE", "resources/image/upload", content=body, headers={"content-type": "application/json"}
    )
    assert told["deleted"] == {names[0]: "deleted", "none": "not_found"}
    assert told["partial"] is False
    told = await both.ask(
        "DELETE", "resources/image/upload", content=b"public_ids[0]=del%2F1&public_ids[1]=del%2F1"
    )
    assert told["deleted"] == {names[1]: "deleted"}
    told = await both.ask(
        "DELETE", "resources/image/tags/t2", headers={"content-type": "multipart/form-data"}
    )
    assert told["deleted"] == {names[2]: "deleted"}
    told = await both.ask("DELETE", "resources", params={"asset_ids[]": made[3]["asset_id"]})
    assert told["deleted"] == {made[3]["asset_id"]: "deleted"}
    told = await both.ask(
        "DELETE", "resources/image/upload", params={"prefix": "del/4", "keep_original": "true"}
    )
    assert told["deleted"] == {}
    told = await both.ask("DELETE", "resources/image/upload", params={"prefix": "del/"})
    assert told["deleted"] == {names[4]: "deleted", names[5]: "deleted"}
    assert told["deleted_counts"][names[4]] == {"original": 1, "derived": 0}
    assert (await both.ask("GET", "resources/image/tags/deleted"))["resources"] == []
    assert cluster.stored() == before
    body = await both.ask("DELETE", "resources/image/upload", 400)
    assert "public_ids" in body["error"]["message"]


async def test_what_lists_say_after_all(both: Gateways) -> None:
    """Uploads of one gateway are in the lists of the other; so are their tags; then all are deleted."""
    await asyncio.gather(*(both.upload(f"list/{number}", tags=f"listed,n{number}") for number in range(3)))
    found: list[str] = []
    while len(found) < 3:
        listed = await both.ask("GET", "resources/image/tags/listed?tags=true")
        found = [each["public_id"] for each in listed["resources"]]
    assert sorted(found) == ["list/0", "list/1", "list/2"]
    tags = await both.ask("GET", "tags/image?prefix=n")
    assert tags == {"tags": ["n0", "n1", "n2"]}
    usage = await both.ask("GET", "usage")
    assert usage["storage"]["usage"] == usage["resources"] * len(KOALA)
    while (await both.ask("DELETE", "resources/image/upload", params={"all": "true"}))["partial"]:
        pass
    assert (await both.ask("GET", "resources/image"))["resources"] == []
