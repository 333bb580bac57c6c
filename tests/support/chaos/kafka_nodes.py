"""Several Kafka nodes on this machine: leaders and coordinators can move, which one node cannot show."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import Self

from support.chaos.run import steady_port

from streams.cli.local.embedded_broker import EmbeddedBroker

_HOST = "127.0.0.1"
COMPACTING = {"log.cleaner.backoff.ms": "500"}  # between two looks at what is to be compacted


class KafkaNodes:
    """As `EmbeddedBroker`, but of several nodes. `kill` ends one, each in its turn; `start` brings it back.

    Every partition has a copy on each node, and a write needs most of them: no committed record is lost with
    a node, and whoever coordinated a group or a transaction is replaced.
    """

    def __init__(self, folder: Path, count: int = 3) -> None:
        ports = {node: (steady_port(), steady_port()) for node in range(1, count + 1)}
        voters = ",".join(f"{node}@{_HOST}:{controller}" for node, (_, controller) in ports.items())
        self._nodes = [
            EmbeddedBroker(
                folder / f"node-{node}", port, properties=_properties(node, port, controller, voters, count)
            )
            for node, (port, controller) in ports.items()
        ]
        self._turns = cycle(self._nodes)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses for clients."""
        return ",".join(node.bootstrap_servers for node in self._nodes)

    def start(self) -> None:
        """Start the nodes that are not running, together: one alone would wait for the others."""
        with ThreadPoolExecutor(len(self._nodes)) as threads:
            list(threads.map(EmbeddedBroker.start, self._nodes))

    def kill(self) -> None:
        """kill -9 of the next node."""
        next(self._turns).kill()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for node in self._nodes:
            node.kill()


def _properties(node: int, port: int, controller_port: int, voters: str, count: int) -> dict[str, str]:
    copies, needed = str(count), str(count // 2 + 1)
    return COMPACTING | {
        "node.id": str(node),
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{_HOST}:{port},CONTROLLER://{_HOST}:{controller_port}",
        "default.replication.factor": copies,
        "min.insync.replicas": needed,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": needed,
        "controller.quorum.election.timeout.ms": "1000",
        "controller.quorum.fetch.timeout.ms": "2000",
    }
