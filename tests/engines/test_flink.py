"""Flink SQL counts from `tag.counts` what `/trends/top` says, after a kill."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from support.cluster import Cluster
from support.engines.uploads import upload
from support.examples import EXAMPLES, Programs

from schemas.uploads import UploadData
from streams.cli.local.kafka_jars import default_cache_dir, fetch_jars, read_lock

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


@pytest.fixture(scope="module")
def flink_jars() -> str:
    """Flink, its SQL and its connector to Kafka, from Maven Central, each jar checked against its lock."""
    if not shutil.which("javac"):
        pytest.skip("needs javac")
    jars = read_lock(Path(__file__).parent / "flink.lock")
    return ":".join(map(str, fetch_jars(default_cache_dir() / "flink", jars)))


async def test_flink_counts_as_the_api_does(cluster: Cluster, flink_jars: str) -> None:
    """Of each tenant, with images that were tagged anew and one that is deleted."""
    await cluster.publish([upload(n, {"koala": 0.9, "tree": 0.6}, 1) for n in range(30)])
    await cluster.until_folded(10)
    await cluster.kill(0)
    await cluster.publish([upload(n, {"koala": 0.9, "sea": 0.7}, 2) for n in range(0, 30, 3)])
    await cluster.publish([UploadData(public_id="image-4", type="image.deleted", version=3)])
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.until_folded(41)
    for tenant in ("", "acme"):
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
            "TAGSTREAM_TOPIC_PREFIX": cluster.names.prefix,
            "TENANT": tenant,
            "PATH": os.environ["PATH"],
        }
        opened = ("--add-opens", "java.base/java.util=ALL-UNNAMED")
        program = str(EXAMPLES / "flink_sql" / "TopTags.java")
        printed = await Programs(environment).output_of("java", *opened, "-cp", flink_jars, program)
        counted = [tuple(line.split("\t")) for line in printed.splitlines() if "\t" in line]
        async with asyncio.timeout(30):
            top = await cluster.get(0, f"/trends/top?window=all&limit=100{tenant and '&tenant=' + tenant}")
        assert counted == [(each["tag"], str(each["count"])) for each in top["tags"]]
        assert counted
