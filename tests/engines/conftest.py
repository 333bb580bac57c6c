"""One worker that tells others what changed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from support.cluster import Cluster
from support.fault_cases import STUB


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    environment = {**STUB, "TAGSTREAM_STREAMS": "image.tags,tag.counts"}
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        yield cluster
    finally:
        await cluster.close()
