"""The embedded broker's directory: who runs a broker on it, its configuration, its log lines."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from streams.cli.local.kafka_jars import BrokerError
from streams.own_files import close_to_others, make_own_folder, open_own, replace_own

_ENOUGH_DISK = 200_000_000  # bytes; an empty broker takes a few MB, and fails strangely on a full disk
_ORPHAN_WITHIN = 10.0  # seconds that a broker may take to notice that its process is gone
_GLANCE = 0.3  # seconds; whoever only looks at the lock holds it for a moment

# One node is everything, so each internal topic has one replica and few partitions. After a crash the node
# waits for its old session to end: 3 s, not the usual 9. Paths are relative: there is nothing to escape.
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=log
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
"""


@dataclass(frozen=True)
class Holder:
    """Who runs a broker on the directory.

    Attributes:
        owner: The process that started it.
        group: The process group of the broker; 0 before it was launched.
        port: Where it listens.
    """

    owner: int
    group: int
    port: int

    @property
    def orphaned(self) -> bool:
        """Whether the process that started the broker is gone."""
        return not _alive(self.owner)

    @property
    def kept(self) -> bool:
        """Whether the broker's keeper lives, which stops an orphaned broker."""
        return _alive(self.group)


_read_holder = msgspec.json.Decoder(Holder).decode
_MOST_BYTES = 4096  # of the file that says who it is


class BrokerDirectory:
    """A directory that at most one broker uses at a time.

    The lock is an open file that the broker's processes inherit: it lasts exactly as long as the last of
    them, whoever dies first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log_file = path / "broker.log"
        self._pid_file = path / "broker.pid"

    @property
    def formatted(self) -> bool:
        """Whether the storage was formatted."""
        return (self.path / "log" / "meta.properties").exists()

    def prepare(self, host: str, port: int, controller_port: int, properties: Mapping[str, str]) -> None:
        """Write the broker's configuration, and set the last run's log aside.

        `properties` are Kafka's own, and win over those that are given here.
        """
        text = _PROPERTIES.format(host=host, port=port, controller_port=controller_port)
        text += "".join(f"{name}={value}\n" for name, value in properties.items())
        replace_own(self.path / "server.properties", text.encode())
        if self.log_file.exists():
            self.log_file.replace(self.log_file.with_suffix(".log.1"))

    def log_tail(self, lines: int) -> str:
        """The last lines that the broker wrote, without the frames of Java's stack traces."""
        with suppress(OSError):
            written = self.log_file.read_text("utf-8", "replace").splitlines()
            return "\n".join([line for line in written if not line.startswith("\tat ")][-lines:])
        return ""

    def claim(self) -> int:
        """Lock the directory; return the descriptor that holds the lock.

        Raises:
            BrokerError: Another broker uses it, or it cannot be used.
        """
        try:
            make_own_folder(self.path)
            if self.formatted:
                close_to_others(self.path)
            descriptor = os.open(self._pid_file, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            message = f"cannot use {self.path} for the broker's data: {error}; choose another data directory"
            raise BrokerError(message) from error
        try:
            self._check_disk()
            self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def record(self, descriptor: int, group: int, port: int) -> None:
        """Note in the locked file who runs the broker, for whoever finds the directory locked."""
        text = msgspec.json.encode(Holder(os.getpid(), group, port))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text, 0)

    def holder(self) -> Holder | None:
        """Who runs a broker here now; None: nobody does."""
        try:
            with open_own(self._pid_file) as file:
                return None if _try_lock(file.fileno()) else _read_holder(file.read(_MOST_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError, RecursionError):
            return Holder(owner=os.getpid(), group=0, port=0)  # being written by a broker that starts

    def wait_until_free(self) -> None:
        """Wait for the last process of the broker to be gone."""
        deadline = time.monotonic() + _ORPHAN_WITHIN
        while self.holder() is not None and time.monotonic() < deadline:
            time.sleep(0.02)

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self.path).free
        if free < _ENOUGH_DISK:
            raise BrokerError(
                f"only {free / 1e6:.0f} MB are free at {self.path}, and the broker needs "
                f"{_ENOUGH_DISK / 1e6:.0f} MB; free some, or choose another data directory"
            )

    def _lock(self, descriptor: int) -> None:
        began = time.monotonic()
        while not _try_lock(descriptor):
            holder, waited = self.holder(), time.monotonic() - began
            if holder is None:
                continue
            if waited > (_ORPHAN_WITHIN * 2 if holder.orphaned else _GLANCE):
                raise BrokerError(
                    f"{self.path} is in use by the broker of process {holder.owner}, which listens on port "
                    f"{holder.port}; use that one, stop it, or choose another data directory"
                )
            if holder.orphaned and (waited > _ORPHAN_WITHIN or not holder.kept):
                kill_group(holder.group)
            time.sleep(0.05)


def kill_group(group: int) -> None:
    """Kill all processes of a broker."""
    if group > 1:  # 0 would be our own group
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        raise BrokerError(
            "the embedded broker runs on Linux and macOS; on Windows use WSL, or a broker of your own "
            "through KAFKA_BOOTSTRAP_SERVERS"
        )
    import fcntl  # noqa: PLC0415 - it does not exist on Windows

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
