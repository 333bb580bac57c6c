"""One worker for all examples: they share its topics, as programs of one deployment do."""

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from support.cluster import Cluster, free_port
from support.examples import PHOTOS, Programs


@pytest.fixture(scope="session")
def flaky_port() -> int:
    """Where the worker may fetch from a source that a test serves."""
    return free_port()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def own_add_on(tmp_path_factory: pytest.TempPathFactory) -> str:
    """TAGSTREAM_ADD_ONS, as the example that writes a model prints it."""
    folder = tmp_path_factory.mktemp("models") / "prevailing_colour"
    printed = await Programs({}).output("examples/own_add_on/write_model.py", str(folder))
    name, _, add_ons = printed.strip().partition("=")
    assert name == "TAGSTREAM_ADD_ONS"
    return add_ons


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def cluster(
    kafka: str, own_add_on: str, flaky_port: int, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    """A worker that is ready, with few attempts for busy sources; idle once the examples are through."""
    environment = {
        "TAGSTREAM_ADD_ONS": own_add_on,
        "TAGSTREAM_SOURCE_ROOTS": PHOTOS.as_uri(),
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{flaky_port}",
        "TAGSTREAM_RETRY_FIRST": "0.5",
        "TAGSTREAM_RETRY_BUDGET": "1",
    }
    name = f"examples-{uuid.uuid4().hex[:12]}"
    cluster = Cluster(kafka, name, tmp_path_factory.mktemp("worker"), environment=environment)
    try:
        await cluster.start(0)
        await cluster.until_ready([0])
        yield cluster
    finally:
        await cluster.close()


@pytest.fixture(scope="session")
def programs(cluster: Cluster) -> Programs:
    """Programs that reach that worker and its topics."""
    return Programs(
        {
            "KAFKA_BOOTSTRAP_SERVERS": cluster.bootstrap,
            "TAGSTREAM_TOPIC_PREFIX": cluster.names.prefix,
            "TAGSTREAM_API": f"http://127.0.0.1:{cluster.ports[0]}",
        }
    )


@pytest.fixture(scope="session")
def koala() -> str:
    """URL of a photo that the worker may read."""
    return (PHOTOS / "koala.jpg").as_uri()
