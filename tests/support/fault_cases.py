"""What the tests of faults share: uploads whose tags are known, and questions to a worker and its log."""

from collections import Counter

import httpx
from support.cluster import Cluster

from schemas.uploads import UploadData

PHOTO = "data:application/json,%7B%22koala%22:0.9,%22tree%22:0.6%7D"
STUB = {"TAGSTREAM_TAGGER": "stub"}


def uploads(numbers: range) -> list[UploadData]:
    """An upload per number, each of an image of its own with two tags."""
    return [
        UploadData(public_id=f"image-{n}", event_id=f"event-{n}", url=PHOTO, auto_tagging=0.5, user_id="u")
        for n in numbers
    ]


async def assert_exact(cluster: Cluster, count: int) -> None:
    """Check that the first so many uploads had each their outcome once, and that every count is right."""
    results = await cluster.results()
    assert Counter(result["cause"]["id"] for result in results) == Counter(f"event-{n}" for n in range(count))
    assert len(await cluster.read(cluster.names.tag_updates)) == count
    assert await cluster.read(cluster.names.dead_letters) == []
    assert await cluster.counts() == {"koala": count, "tree": count}


async def status(cluster: Cluster, worker: int, path: str = "/readyz") -> tuple[int, str]:
    """What a worker says of its health; 0 where it does not answer."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{cluster.ports[worker]}{path}")
        except httpx.TransportError:
            return 0, ""
        return answer.status_code, answer.json()["status"]


def log_of(cluster: Cluster, worker: int) -> str:
    """All that a worker wrote."""
    return cluster.log_path(worker).read_text("utf-8", "replace")
