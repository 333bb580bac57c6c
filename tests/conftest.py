"""One fixture per border. Tests share one broker, so each uses topic and application names of its own."""

import logging
import os
import signal
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, settings

from streams.cli.file_server import FileServer
from streams.cli.local.embedded_broker import EmbeddedBroker

log = logging.getLogger(__name__)

# A shell lets what it starts in the background ignore Ctrl-C, and so would the commands that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A busy machine is no fault. Where CI is set, hypothesis has such a profile that draws the same each time.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if not os.environ.get("CI"):
    settings.load_profile("busy")

COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
SAMPLES = Path(__file__).parents[1] / "streams" / "photos"


@pytest.fixture
def unique() -> str:
    """A name that no other test uses, for topics, groups and applications."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def photos() -> AsyncIterator[FileServer]:
    """The sample photos, served by their place in the order of their names."""
    async with FileServer(sorted(SAMPLES.glob("*.jpg")), "127.0.0.1", 0) as server:
        yield server


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate that nobody trusts, and its key: paths of PEM files."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = str(folder / "cert.pem"), str(folder / "key.pem")
    options = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=koala", "-keyout", key]
    subprocess.run(["openssl", "req", *options, "-out", certificate], check=True, capture_output=True)  # noqa: S607
    return certificate, key


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap servers: of KAFKA_BOOTSTRAP_SERVERS, else of Kafka in Docker, else of the embedded broker."""
    with ExitStack() as stack:
        external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS") or _kafka_in_docker(stack)
        yield external or stack.enter_context(_embedded(tmp_path_factory)).bootstrap_servers


@pytest.fixture(scope="session")
def new_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], EmbeddedBroker]]:
    """Make brokers that a test may stop and kill: not started yet, on a free port, with empty storage."""
    made: list[EmbeddedBroker] = []

    def make() -> EmbeddedBroker:
        made.append(_embedded(tmp_path_factory))
        return made[-1]

    yield make
    for broker in made:
        broker.kill()


@pytest.fixture
def broker(new_broker: Callable[[], EmbeddedBroker]) -> EmbeddedBroker:
    """One of a test's own, which it may stop and kill."""
    broker = new_broker()
    broker.start()
    return broker


def _embedded(tmp_path_factory: pytest.TempPathFactory) -> EmbeddedBroker:
    cache_dir = os.environ.get("TAGSTREAM_CACHE_DIR")
    return EmbeddedBroker(tmp_path_factory.mktemp("kafka"), 0, Path(cache_dir) if cache_dir else None)


def _kafka_in_docker(stack: ExitStack) -> str | None:
    if not _docker_listens():
        return None
    import docker  # noqa: PLC0415 - most runs need no Docker

    try:
        with closing(docker.from_env(timeout=2)) as engine:
            engine.ping()
        return _container(stack)
    except (docker.errors.DockerException, OSError) as error:
        log.warning("no Kafka in Docker, taking the embedded broker: %s", error)
        return None


def _docker_listens() -> bool:
    # Asked first because docker's client leaks its socket, a warning and so an error, where nobody answers.
    kind, _, path = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    if kind != "unix":
        return True
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(2)
        return client.connect_ex(path) == 0


def _container(stack: ExitStack) -> str:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415 - as above

    service = yaml.safe_load(COMPOSE.read_text("utf-8"))["services"]["kafka"]
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    container = DockerContainer(service["image"]).with_envs(**service["environment"])
    # What Kafka calls itself must be what the tests call it: the same port inside and outside.
    container.with_env("KAFKA_LISTENERS", f"PLAINTEXT://:9092,CONTROLLER://:9093,HOST://:{port}")
    container.with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://localhost:9092,HOST://localhost:{port}")
    container.with_bind_ports(port, port)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(90))
    stack.enter_context(container)
    return f"localhost:{port}"
