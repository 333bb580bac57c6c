"""Publishing from three clients: the same partition, and a result."""

import itertools
import re
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from aiokafka.partitioner import murmur2
from support.cluster import Cluster
from support.examples import EXAMPLES, Programs, until

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


def partitions_of(public_id: str) -> tuple[int, int]:
    """The partitions, of four, that Java's clients and librdkafka choose by default."""
    key = public_id.encode()
    return (murmur2(key) & 0x7FFFFFFF) % 4, zlib.crc32(key) % 4


def told_apart(name: str) -> str:
    """A public id on which these two disagree."""
    ids = (f"koala-{name}-{number}" for number in itertools.count())
    return next(public_id for public_id in ids if len(set(partitions_of(public_id))) == 2)


async def assert_published(cluster: Cluster, public_id: str, printed: str) -> None:
    """Check where the program says that Kafka has put the event, and what comes of it."""
    where = rf"{public_id}: {re.escape(cluster.names.uploads)}, partition (\d), offset \d+\n"
    found = re.fullmatch(where, printed)
    assert found, printed
    assert int(found[1]) == partitions_of(public_id)[0]

    async def result() -> dict[str, Any] | None:
        results = await cluster.results()
        return next((result for result in results if result["public_id"] == public_id), None)

    assert "koala" in (await until(result))["tags"]


@pytest.mark.parametrize("client", ["aiokafka", "confluent"])
async def test_python(cluster: Cluster, programs: Programs, koala: str, client: str) -> None:
    """Either client's event meets those of other clients, and is tagged."""
    public_id = told_apart(client)
    printed = await programs.output(f"examples/publish_{client}.py", public_id, koala)
    await assert_published(cluster, public_id, printed)


@pytest.mark.skipif(not shutil.which("npm"), reason="needs node and npm")
async def test_node(cluster: Cluster, programs: Programs, koala: str, tmp_path: Path) -> None:
    """As from Python, installed from the lock file."""
    program = tmp_path / "publish_kafkajs"
    shutil.copytree(EXAMPLES / "publish_kafkajs", program, ignore=shutil.ignore_patterns("node_modules"))
    quiet = ("--no-audit", "--no-fund", "--no-update-notifier")
    await programs.output_of("npm", "ci", "--prefix", str(program), *quiet)
    public_id = told_apart("kafkajs")
    printed = await programs.output_of("node", str(program / "publish.js"), public_id, koala)
    await assert_published(cluster, public_id, printed)


@pytest.mark.parametrize("client", ["aiokafka", "confluent"])
async def test_usage(programs: Programs, client: str) -> None:
    """Without arguments a program says what it is for and how to run it."""
    printed = await programs.output(f"examples/publish_{client}.py", code=1)
    assert f"Run: python examples/publish_{client}.py" in printed
