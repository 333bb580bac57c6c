"""A stock Faust application that counts what Tagstream has committed."""

from collections import Counter
from pathlib import Path

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from support.cluster import Cluster, free_port
from support.examples import Programs, until

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


async def publish_and_abort(cluster: Cluster) -> None:
    """Write a result that no reader of committed records may count."""
    async with AIOKafkaProducer(
        bootstrap_servers=cluster.bootstrap, transactional_id=cluster.name
    ) as producer:
        await producer.begin_transaction()
        ghost = b'{"public_id":"ghost","tags":["ghost"]}'
        await producer.send_and_wait(cluster.names.categorizations, ghost, b"ghost", partition=0)
        await producer.abort_transaction()


async def test_its_table_has_the_tags_of_every_image(
    cluster: Cluster, programs: Programs, koala: str, tmp_path: Path
) -> None:
    """As its last committed result has them: what a transaction aborted is not there."""
    await publish_and_abort(cluster)
    ids = [f"counted-{number}" for number in range(20)]
    for threshold in (0.8, 0.4):
        await cluster.publish([UploadData(public_id=name, url=koala, auto_tagging=threshold) for name in ids])

    async def all_tagged_twice() -> bool:
        results = await cluster.results()
        return sum(result["public_id"] in ids for result in results) == 2 * len(ids)

    await until(all_tagged_twice)
    images = {result["public_id"]: result["tags"] for result in await cluster.results()}
    expected = Counter(tag for tags in images.values() for tag in tags)
    assert expected["mammal"] >= len(ids)
    port = free_port()
    app = ("-m", "faust", "--datadir", str(tmp_path / "faust"), "-A", "examples.faust_app")
    async with (
        httpx.AsyncClient(trust_env=False) as client,
        programs.running(tmp_path / "log", *app, "worker", "-l", "info", "--web-port", str(port)),
    ):

        async def counted() -> dict[str, int] | None:
            try:
                counts = (await client.get(f"http://127.0.0.1:{port}/counts/")).json()
            except httpx.TransportError:
                return None
            return dict(counts) if sum(counts.values()) >= expected.total() else None

        assert await until(counted) == expected
