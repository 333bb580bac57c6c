"""Three workers that answer questions, and one of them dies: real broker, real processes."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support.cluster import Cluster
from support.fault_cases import STUB, assert_exact, uploads

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

NAMED_WITHIN = 9.0  # seconds without progress after which a partition must be named; the promise is 5
SURVIVORS = (0, 1)


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


class Questioner:
    """Asks a worker again and again, and holds each answer against what the worker itself says of it."""

    def __init__(self, cluster: Cluster, worker: int) -> None:
        self.answers = 0
        self._cluster = cluster
        self._worker = worker
        self._moved: dict[int, tuple[int, float]] = {}

    async def run(self) -> None:
        """Ask, for ever."""
        while True:
            self._check(await self._cluster.get(self._worker, "/trends/top?window=all"))
            await asyncio.sleep(0.1)

    def _check(self, answer: dict[str, Any]) -> None:
        now = time.monotonic()
        assert answer["complete"]
        assert [state["partition"] for state in answer["as_of"]] == list(range(self._cluster.partitions))
        for state in answer["as_of"]:
            partition, offset = state["partition"], state["next_offset"]
            last, since = self._moved.get(partition, (-1, now))
            assert offset >= last, "an answer went back behind an earlier one"
            if offset != last or not state["lag"]:
                self._moved[partition] = (offset, now)
            elif now - since > NAMED_WITHIN:
                assert partition in answer["behind"], f"{partition} waits and is not named: {answer}"
        self.answers += 1


async def test_two_of_three_go_on_answering_when_one_is_killed(cluster: Cluster) -> None:
    """Uploads flow, a worker dies for good: each answer of the others covers every partition.

    Where a dead worker's partition stands still, the answer names it; after it has moved, all is complete and
    every count is right in both.
    """
    for worker in range(3):
        await cluster.start(worker)
    await cluster.until_ready(range(3))
    await until_complete(cluster)
    questioners = [Questioner(cluster, worker) for worker in SURVIVORS]
    asking = [asyncio.create_task(questioner.run()) for questioner in questioners]
    for start in range(0, 300, 10):
        await cluster.publish(uploads(range(start, start + 10)))
        await asyncio.sleep(0.2)
        if start == 100:
            await cluster.kill(2)
    await cluster.until_folded(300)
    for worker in SURVIVORS:
        await until_counted(cluster, worker, 300)
    for task in asking:
        assert not task.done(), task.exception()
        task.cancel()
    assert min(questioner.answers for questioner in questioners) > 20
    await assert_exact(cluster, 300)


async def until_complete(cluster: Cluster) -> None:
    async with asyncio.timeout(60):
        for worker in range(3):
            while not (await cluster.get(worker, "/trends/top?window=all")).get("complete"):
                await asyncio.sleep(0.2)


async def until_counted(cluster: Cluster, worker: int, count: int) -> None:
    async with asyncio.timeout(30):
        while True:
            answer = await cluster.get(worker, "/trends/top?window=all")
            counts = {row["tag"]: row["count"] for row in answer["tags"]}
            if counts == {"koala": count, "tree": count} and answer["complete"] and not answer["behind"]:
                return
            await asyncio.sleep(0.2)
