"""Kafka Connect's JDBC sink fills a table of PostgreSQL from `image.tags`, and is right after kills."""

import asyncio
import os
import shutil
from pathlib import Path

import pytest
from support.cluster import Cluster, free_port
from support.engines.postgres import Postgres, running
from support.engines.uploads import upload
from support.examples import EXAMPLES, Programs, until

from schemas.uploads import UploadData
from streams.cli.local.kafka_jars import default_cache_dir, fetch_jars, read_lock

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

RECIPE = EXAMPLES / "connect_postgres"
ROWS = "SELECT tenant, public_id, tag, source FROM image_tags ORDER BY 1, 2, 3"


@pytest.fixture(scope="module")
def connect_jars() -> str:
    """Kafka Connect and Debezium's JDBC sink, from Maven Central, each jar checked against its lock."""
    if not shutil.which("java"):
        pytest.skip("needs java")
    jars = read_lock(Path(__file__).parent / "connect.lock")
    return ":".join(map(str, fetch_jars(default_cache_dir() / "connect", jars)))


def command(jars: str) -> tuple[str, ...]:
    main = "org.apache.kafka.connect.cli.ConnectStandalone"
    files = (str(RECIPE / "worker.properties"), str(RECIPE / "image-tags.properties"))
    return ("java", "-Xmx512m", "-cp", jars, main, *files)


async def told(cluster: Cluster) -> list[tuple[str, ...]]:
    """What the API says: each image's tags, with where they are from."""
    found = []
    for tenant in ("", "acme"):
        which = f"&tenant={tenant}" if tenant else ""
        listed = await cluster.get(0, f"/images?limit=100{which}")
        for image in listed["images"]:
            state = await cluster.get(0, f"/images/{image['public_id']}?{which}")
            found += [
                (tenant, image["public_id"], tag["tag"], ",".join(tag["sources"])) for tag in state["tags"]
            ]
    return sorted(found)


async def test_a_table_of_postgresql_is_what_the_api_says(
    cluster: Cluster, connect_jars: str, tmp_path: Path
) -> None:
    """A row per image and tag; withdrawn tags and deleted images go; Connect and the worker are killed."""
    with running(free_port()) as postgres:
        programs = Programs(environment_of(cluster, postgres, tmp_path))
        await cluster.publish([upload(n, {"koala": 0.9, "tree": 0.6}, 1) for n in range(30)])
        async with programs.running_of(tmp_path / "connect.log", *command(connect_jars)) as connect:
            await until(lambda: filled(postgres, 20), 90)
            await connect.kill()
        await cluster.kill(0)
        await cluster.publish([upload(n, {"koala": 0.9, "sea": 0.7}, 2) for n in range(0, 30, 3)])
        await cluster.publish([UploadData(public_id="image-4", type="image.deleted", version=3)])
        await cluster.start(0)
        await cluster.until_ready([0])
        await cluster.until_folded(41)
        wanted = await told(cluster)
        assert ("", "image-0", "sea", "imagga_tagging") in wanted
        assert "image-4" not in {public_id for _, public_id, *_ in wanted}
        async with programs.running_of(tmp_path / "connect.log", *command(connect_jars)):
            await until(lambda: equal(postgres, wanted), 90)
            by_tag = "SELECT tag, count(*) FROM image_tags WHERE tenant = '' GROUP BY tag ORDER BY 2 DESC, 1"
            top = await cluster.get(0, "/trends/top?window=all&limit=100")
            counted = [(each["tag"], str(each["count"])) for each in top["tags"]]
            assert await asyncio.to_thread(postgres.rows, by_tag) == counted


def environment_of(cluster: Cluster, postgres: Postgres, folder: Path) -> dict[str, str]:
    return {
        "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
        "IMAGE_TAGS_TOPIC": f"{cluster.names.prefix}image.tags",
        "CONNECT_OFFSETS": str(folder / "connect.offsets"),
        "CONNECT_PORT": str(free_port()),
        "POSTGRES_URL": postgres.url,
        "POSTGRES_USER": postgres.user,
        "POSTGRES_PASSWORD": "none",
        "PATH": os.environ["PATH"],
    }


async def filled(postgres: Postgres, count: int) -> bool:
    return len(await asyncio.to_thread(postgres.rows, ROWS)) >= count


async def equal(postgres: Postgres, wanted: list[tuple[str, ...]]) -> bool:
    return sorted(await asyncio.to_thread(postgres.rows, ROWS)) == wanted
