"""An Apache Kafka broker inside this project: one node, this machine only, nothing to install.

with EmbeddedBroker(Path(".tagstream/kafka")) as broker:
    connect_to(broker.bootstrap_servers)
"""

import asyncio
import contextlib
import logging
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.cli.local import broker_keeper
from streams.cli.local.broker_directory import BrokerDirectory, kill_group
from streams.cli.local.kafka_jars import BrokerError, default_cache_dir, fetch_jars, java

__all__ = ["DEFAULT_DATA_DIR", "DEFAULT_PORT", "BrokerError", "EmbeddedBroker"]

log = logging.getLogger(__name__)

DEFAULT_PORT = 9092
DEFAULT_DATA_DIR = Path(".tagstream/kafka")
_HOST = "127.0.0.1"
_NOT_EPHEMERAL = 15_000, 30_000  # ports
_CLUSTER_ID = "dGFnc3RyZWFtLWthZmthIQ"  # 16 bytes in base64; any will do: these brokers never meet
_JVM = (
    *("-Xms64m", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"),
    "--sun-misc-unsafe-memory-access=allow",  # or Java 25 warns of Kafka at each start
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",  # INFO writes 400 lines of configuration at each start
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSS",
)
_READY_WITHIN = 90.0  # seconds; 3 on an idle machine
_STOP_WITHIN = 15.0  # seconds before a stop turns into a kill
_UMASK = 0o077  # its files hold every event, with whatever addresses these name
_TAIL = 12  # log lines that an error shows


class EmbeddedBroker:
    """One broker. After `stop` or `kill` it can be started again: same data, same port where that is free.

    It dies with this process, however this process ends.

    Attributes:
        data_dir: Where its data is.
        port: Where it listens; once started, this may be another port than the one asked for.

    `properties` of the constructor are Kafka's own, and win over ours.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = DEFAULT_PORT,
        cache_dir: Path | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self._properties = properties or {}
        self._cache_dir = (cache_dir or default_cache_dir()).absolute()  # the broker runs elsewhere
        self._directory = BrokerDirectory(self.data_dir)
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"{_HOST}:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the broker's process lives."""
        return self._keeper is not None and self._keeper.poll() is None

    @property
    def log_file(self) -> Path:
        """The file of the broker's own log lines."""
        return self._directory.log_file

    def start(self) -> None:
        """Start, and return once the broker answers clients.

        Raises:
            BrokerError: It cannot start; the message says why and what to do.
        """
        if self.running:
            return
        classpath = os.pathsep.join(str(path) for path in fetch_jars(self._cache_dir))
        command = [str(java()), *_JVM, "-cp", classpath]
        descriptor = self._directory.claim()
        try:
            self._launch(command, descriptor)
        finally:
            os.close(descriptor)  # from here on the broker's processes hold the lock
        try:
            self._wait_until_ready()
        except BaseException:
            self.kill()
            raise

    def stop(self) -> None:
        """Stop gracefully; kill what does not stop in time."""
        if self._keeper and self._keeper.stdin:
            self._keeper.stdin.close()
            try:
                self._keeper.wait(_STOP_WITHIN + 5)
            except subprocess.TimeoutExpired:
                log.warning("the embedded broker does not stop: killing it")
        self.kill()

    def kill(self) -> None:
        """End the broker at once, as a crash would."""
        if not self._keeper:
            return
        holder = self._directory.holder()
        if holder and holder.group == self._keeper.pid:
            kill_group(holder.group)
        if self._keeper.stdin:
            self._keeper.stdin.close()
        self._keeper.wait()
        self._keeper = None
        self._directory.wait_until_free()

    def _launch(self, command: list[str], descriptor: int) -> None:
        wanted, self.port = self.port, _free_port(self.port)
        if wanted not in (0, self.port):
            log.warning("port %d is taken: the embedded broker listens on port %d", wanted, self.port)
        self._directory.record(descriptor, 0, self.port)
        self._directory.prepare(_HOST, self.port, _free_port(0), self._properties)
        if not self._directory.formatted:
            self._format(command)
        keeper = [sys.executable, "-I", broker_keeper.__file__, str(_STOP_WITHIN)]
        with self.log_file.open("ab") as output:
            self._keeper = subprocess.Popen(  # noqa: S603 - our own command
                [*keeper, *command, "kafka.Kafka", "server.properties"],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self.data_dir,
                env=_environment(),
                start_new_session=True,  # Ctrl-C in the terminal is for us, and we stop the broker
                umask=_UMASK,
                pass_fds=(descriptor,),
            )
        self._directory.record(descriptor, self._keeper.pid, self.port)

    def _format(self, command: list[str]) -> None:
        tool = ["kafka.tools.StorageTool", "format", "-t", _CLUSTER_ID, "-c", "server.properties"]
        result = subprocess.run(  # noqa: S603 - our own command
            [*command, *tool, "--ignore-formatted"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd=self.data_dir,
            env=_environment(),
            start_new_session=True,
            umask=_UMASK,
            check=False,
        )
        if result.returncode:
            output = (result.stdout + result.stderr).decode("utf-8", "replace")
            cure = "choose another data directory, or remove this one if its data is not needed"
            raise BrokerError(f"cannot format {self.data_dir} for Kafka; {cure}:\n{output.strip()}")

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_WITHIN
        while time.monotonic() < deadline:
            if not self.running:
                raise BrokerError(f"the embedded broker stopped while starting{self._evidence()}")
            if _listening(self.port) and _answers(self.bootstrap_servers):
                return
            time.sleep(0.05)
        cause = f"did not answer on {self.bootstrap_servers} within {_READY_WITHIN:.0f} s"
        raise BrokerError(f"the embedded broker {cause}{self._evidence()}")

    def _evidence(self) -> str:
        cure = "start it again; if that fails too, choose another data directory"
        return f"; {cure}. The end of {self.log_file}:\n{self._directory.log_tail(_TAIL)}"


def _free_port(wanted: int) -> int:
    """A port; 0: one that no outgoing connection is given before the broker listens (RFC 6056)."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java: a port in TIME_WAIT is free
        while True:
            port = wanted or random.randint(*_NOT_EPHEMERAL)
            wanted = 0
            with contextlib.suppress(OSError):
                probe.bind((_HOST, port))
                return port


def _listening(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((_HOST, port)) == 0


def _answers(bootstrap_servers: str) -> bool:
    # In a thread of its own: the caller may be in an event loop.
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, _ask_for_metadata(bootstrap_servers)).result()


async def _ask_for_metadata(bootstrap_servers: str) -> bool:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except KafkaError:
        return False
    finally:
        await admin.close()


def _environment() -> dict[str, str]:
    # Options of somebody else's Java would change ours.
    return {name: value for name, value in os.environ.items() if "JAVA" not in name}
