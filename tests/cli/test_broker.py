import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.cli.local.embedded_broker import BrokerError, EmbeddedBroker

pytestmark = pytest.mark.kafka
COMMAND = (sys.executable, "-m", "streams.cli", "broker", "--port", "0")


@pytest.fixture(scope="module")
def broker(new_broker: Callable[[], EmbeddedBroker]) -> Iterator[EmbeddedBroker]:
    with new_broker() as started:
        yield started


async def produce(servers: str, topic: str, values: list[bytes]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    if topic not in await admin.list_topics():
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


async def consume(servers: str, topic: str, count: int) -> list[bytes | None]:
    async with AIOKafkaConsumer(topic, bootstrap_servers=servers, auto_offset_reset="earliest") as consumer:
        return [(await consumer.getone()).value for _ in range(count)]


async def test_carries_records(kafka: str, unique: str) -> None:
    """The tests' broker, whichever it is, gives back what was produced, in order."""
    await produce(kafka, unique, [b"1", b"2", b"3"])
    assert await consume(kafka, unique, 3) == [b"1", b"2", b"3"]


async def test_commits_transactions(broker: EmbeddedBroker, unique: str) -> None:
    """One node is enough for transactions: a committed record is there, an aborted one is not."""
    await produce(broker.bootstrap_servers, unique, [])
    producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, transactional_id=unique)
    async with producer:
        await producer.begin_transaction()
        await producer.send(unique, b"aborted")
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send(unique, b"committed")
    consumer = AIOKafkaConsumer(
        unique,
        bootstrap_servers=broker.bootstrap_servers,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    async with consumer:
        assert (await consumer.getone()).value == b"committed"


@pytest.mark.parametrize("end", [EmbeddedBroker.stop, EmbeddedBroker.kill])
async def test_data_survives_a_restart(
    end: Callable[[EmbeddedBroker], None], new_broker: Callable[[], EmbeddedBroker], unique: str
) -> None:
    """After a stop as after a crash the broker comes back on the same port with the same records."""
    broker = new_broker()
    broker.start()
    await produce(broker.bootstrap_servers, unique, [b"1", b"2"])
    before = broker.bootstrap_servers
    end(broker)
    assert not broker.running
    broker.start()
    assert broker.bootstrap_servers == before
    await produce(before, unique, [b"3"])
    assert await consume(before, unique, 3) == [b"1", b"2", b"3"]
    broker.stop()


def test_listens_on_the_loopback_address_only(broker: EmbeddedBroker) -> None:
    """Neither listener is bound to every address: 127.0.0.2, where such a one would answer, refuses."""
    properties = (broker.data_dir / "server.properties").read_text("utf-8")
    listeners = next(line for line in properties.splitlines() if line.startswith("listeners="))
    addresses = [entry.rpartition("/")[2] for entry in listeners.removeprefix("listeners=").split(",")]
    assert [address.partition(":")[0] for address in addresses] == ["127.0.0.1", "127.0.0.1"]
    for port in (int(address.partition(":")[2]) for address in addresses):
        with socket.create_connection(("127.0.0.1", port), timeout=1), socket.socket() as elsewhere:
            elsewhere.settimeout(1)
            assert elsewhere.connect_ex(("127.0.0.2", port)) != 0


def test_a_taken_port_leads_to_another(
    new_broker: Callable[[], EmbeddedBroker], caplog: pytest.LogCaptureFixture
) -> None:
    """The broker says that the port is taken and listens on a free one."""
    broker = new_broker()
    with socket.create_server(("127.0.0.1", 0)) as other, caplog.at_level(logging.WARNING):
        taken = broker.port = other.getsockname()[1]
        with broker:
            assert broker.port != taken
    assert f"port {taken} is taken: the embedded broker listens on port {broker.port}" in caplog.text


def test_one_directory_has_one_broker(broker: EmbeddedBroker) -> None:
    """A second broker on the same data is refused, naming the first; the first is not harmed."""
    second = EmbeddedBroker(broker.data_dir, 0)
    with pytest.raises(BrokerError, match=rf"in use by .* process {os.getpid()}.* port {broker.port}"):
        second.start()
    assert broker.running


def test_a_failed_start_shows_the_log(new_broker: Callable[[], EmbeddedBroker]) -> None:
    """Where Kafka gives up, its last words are in the error, and nothing is left running."""
    broker = new_broker()
    storage = broker.data_dir / "log"
    storage.mkdir()
    (storage / "meta.properties").write_text("version=1\ncluster.id=dGFnc3RyZWFtLWthZmthIQ\nnode.id=7\n")
    with pytest.raises(BrokerError, match="stopped while starting") as raised:
        broker.start()
    assert "configured node id" in str(raised.value)
    assert not broker.running


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A data directory below a file is refused with its path and the cure."""
    (tmp_path / "file").touch()
    with pytest.raises(BrokerError, match=r"file/kafka.*choose another data directory"):
        EmbeddedBroker(tmp_path / "file" / "kafka", 0).start()


def start_command(data_dir: Path) -> "subprocess.Popen[str]":
    # No java, no mvn, no JAVA_HOME: what the machine has must not matter.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("JAVA")}
    process = subprocess.Popen(
        [*COMMAND, "--data-dir", str(data_dir)],
        env=environment | {"PATH": "/nonexistent"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline().startswith("Kafka is ready at 127.0.0.1:")
    return process


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_stops_cleanly(number: signal.Signals, tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM stop the broker gracefully, and the command exits with 0."""
    with start_command(tmp_path) as process:
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert output.endswith("Kafka stopped.\n")
    assert (tmp_path / "log" / ".kafka_cleanshutdown").exists()


def test_the_broker_dies_with_its_process(tmp_path: Path) -> None:
    """After kill -9 of the command the broker stops by itself, and its directory can be used again."""
    with start_command(tmp_path) as process:
        process.kill()
    with EmbeddedBroker(tmp_path, 0) as broker:
        assert broker.running


def test_an_orphan_is_ended(tmp_path: Path) -> None:
    """A broker whose keeper was killed as well is found by its lock, and ended by the next start."""
    with start_command(tmp_path) as process:
        orphan = EmbeddedBroker(tmp_path, 0)._directory.holder()
        assert orphan
        os.kill(orphan.group, signal.SIGKILL)
        process.kill()
    started = time.monotonic()
    with EmbeddedBroker(tmp_path, 0) as broker:
        assert broker.running
    assert time.monotonic() - started < 30
