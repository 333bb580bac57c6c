"""The role as processes: a worker tags, two others tell, and one of them is killed."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import cloudinary
import cloudinary.utils
import pytest
from support.cluster import Cluster
from support.fault_cases import PHOTO, STUB, status
from support.webhooks.receiver import Receiver, receiving

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

TAGGER, FIRST, SECOND = 0, 1, 2
ASSETS, EDITS = 20, 3
SECRET = "s3cret-word"  # noqa: S105 - of a test


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One that is up."""
    async with receiving(Receiver()) as receiver:
        yield receiver


@pytest.fixture
def credentials(tmp_path: Path, receiver: Receiver) -> Path:
    """A cloud whose notifications go to the receiver."""
    path = tmp_path / "gateway.toml"
    path.write_text(
        f'[[cloud]]\nname = "demo"\nnotification_url = "{receiver.url}"\n'
        f'[[cloud.key]]\nid = "key-1"\nsecret = "{SECRET}"\n',
        "utf-8",
    )
    path.chmod(0o600)
    return path


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, credentials: Path) -> AsyncIterator[Cluster]:
    """One process that tags, and two that tell."""
    webhooks = {
        "TAGSTREAM_CREDENTIALS": str(credentials),
        "TAGSTREAM_ALLOW_WEBHOOKS": "127.0.0.1",
        "TAGSTREAM_WEBHOOK_RETRY_FIRST": "0.1",
        "TAGSTREAM_WEBHOOK_RETRY_LONGEST": "0.5",
    }
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=STUB | webhooks)
    try:
        for worker in (TAGGER, FIRST, SECOND):
            cluster.environment["TAGSTREAM_ROLES"] = "tag" if worker == TAGGER else "webhooks"
            await cluster.start(worker)
        await until_ready(cluster, TAGGER, FIRST, SECOND)
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture(autouse=True)
def _sdk() -> Iterator[None]:
    cloudinary.reset_config()
    cloudinary.config(cloud_name="demo", api_key="key-1", api_secret=SECRET)
    yield
    cloudinary.reset_config()


async def until_ready(cluster: Cluster, *workers: int) -> None:
    async with asyncio.timeout(60):
        for worker in workers:
            while await status(cluster, worker) != (200, "ready"):
                await asyncio.sleep(0.1)


async def metric(cluster: Cluster, worker: int, name: str) -> float:
    lines = (await cluster.metrics(worker)).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


async def test_a_kill_loses_nothing_and_changes_no_order(cluster: Cluster, receiver: Receiver) -> None:
    """One of two tellers is killed with -9 while the receiver fails now and then: all is told, in order.

    What is told again is only what the dead one had under way, and the SDK accepts every signature.
    """
    count = 0

    def sick(_: object) -> int:
        nonlocal count
        count += 1
        return 503 if count % 7 == 0 else 200

    receiver.status = sick
    for number in range(ASSETS):
        await cluster.publish([UploadData(public_id=f"asset-{number}", tenant="demo", url=PHOTO)])
    await receiver.until(lambda: len(receiver.told) >= ASSETS // 4)
    await cluster.kill(FIRST)
    for edit in range(EDITS):
        events = [
            UploadData(
                public_id=f"asset-{number}", tenant="demo", type="image.tags-edited", added=[f"e{edit}"]
            )
            for number in range(ASSETS)
        ]
        await cluster.publish(events)
    await receiver.until(lambda: len(receiver.told) == ASSETS * (1 + EDITS), seconds=90)
    for number in range(ASSETS):
        assert receiver.said(f"asset-{number}") == ["upload", *["resource_tags_changed"] * EDITS]
        added = [each.value["resources"][0]["added"] for each in receiver.taken if about(each.value, number)]
        assert list(dict.fromkeys(map(tuple, added))) == [(f"e{edit}",) for edit in range(EDITS)]
    for each in receiver.taken:
        at, signature = int(each.headers["X-Cld-Timestamp"]), each.headers["X-Cld-Signature"]
        assert cloudinary.utils.verify_notification_signature(each.body.decode(), at, signature)
    async with asyncio.timeout(30):
        while await metric(cluster, SECOND, "tagstream_webhooks_pending"):
            await asyncio.sleep(0.1)
    assert await metric(cluster, SECOND, 'tagstream_webhook_attempts_total{result="delivered"}') > 0


def about(value: dict[str, object], number: int) -> bool:
    resources = value.get("resources")
    return isinstance(resources, list) and resources[0]["public_id"] == f"asset-{number}"


async def test_a_role_without_its_file_does_not_start(cluster: Cluster) -> None:
    """No key could sign: the process ends with 78 and says which file is missing."""
    cluster.environment["TAGSTREAM_CREDENTIALS"] = "/nowhere/gateway.toml"
    await cluster.start(9)
    assert await cluster.ended(9) == 78
    assert "/nowhere/gateway.toml: the credentials cannot be read" in cluster.log_path(9).read_text("utf-8")
