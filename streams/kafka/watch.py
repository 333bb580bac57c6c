"""Watching the cluster while a worker runs: whether it answers, and whether it still is as it must be.

aiokafka waits without a word for a broker that is away, for a topic that was deleted, and for a group that
it may not join. So somebody has to ask.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from schemas.errors import KafkaRefusalError, TopicsError
from schemas.topics import TopicNames
from streams.kafka.admin import open_admin, partition_counts
from streams.kafka.checks.enforcing import enforce, refusal_of_cluster
from streams.kafka.checks.topics import check_partitions
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import check_login, lasting_fault

log = logging.getLogger(__name__)

_INTERVAL = 2.0  # seconds between two questions
_PATIENCE = 5.0  # seconds that an answer may take
_REQUEST_MS = 5000
_SILENT_AFTER = 8.0  # seconds without an answer
_SURE_AFTER = 3  # looks in a row: a broker that has just started may not know everything yet


class KafkaWatch:
    """Asks the cluster again and again."""

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        partitions: int,
        group: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch a cluster.

        Args:
            connection: How it is reached.
            names: The deployment's topics.
            partitions: How many each must have.
            group: The group that we are in; None: in none.
            clock: Seconds that only grow.
        """
        self._connection = connection
        self._names = names
        self._partitions = partitions
        self._group = group
        self._clock = clock
        self._heard = clock()
        self._silent = False
        self._faults = 0

    @property
    def answers(self) -> bool:
        """Whether the cluster has answered lately."""
        return self._clock() - self._heard < _SILENT_AFTER

    async def run(self) -> None:
        """Watch, for ever.

        Raises:
            TopicsError: A topic is gone, or has another number of partitions.
            KafkaRefusalError: The cluster does not let us in any more, or does not let us do our work.
        """
        while True:
            try:
                async with open_admin(self._connection, request_timeout_ms=_REQUEST_MS) as admin:
                    while True:
                        async with asyncio.timeout(_PATIENCE):
                            await self._ask(admin)
                        self._note_answer()
                        await asyncio.sleep(_INTERVAL)
            except (KafkaError, OSError) as error:  # TimeoutError is an OSError
                if fault := lasting_fault(error, self._connection):
                    raise KafkaRefusalError(fault) from error
                await self._note_silence(error)
            await asyncio.sleep(_INTERVAL)

    async def _ask(self, admin: AIOKafkaAdminClient) -> None:
        counts = await partition_counts(admin, self._names.configs)
        try:
            self._check(counts)
            self._faults = 0
        except TopicsError:
            self._faults += 1
            if self._faults >= _SURE_AFTER:
                raise
        if self._group is None:
            return
        try:
            await admin.find_coordinator(self._group)
        except GroupAuthorizationFailedError as error:
            raise GroupAuthorizationFailedError(self._group) from error

    def _check(self, counts: dict[str, int]) -> None:
        gone = [name for name in self._names.configs if name not in counts]
        if gone:
            cure = "restore it, or see docs/operations.md on what its loss means, and start the worker again"
            raise TopicsError(f"topic {', '.join(gone)} was deleted while the worker ran; {cure}")
        enforce([check_partitions(counts, self._partitions, self._names)], refusal_of_cluster)

    def _note_answer(self) -> None:
        if self._silent:
            log.warning("Kafka answers again, after %.0f s", self._clock() - self._heard)
        self._heard, self._silent = self._clock(), False

    async def _note_silence(self, error: BaseException) -> None:
        if self.answers:
            return
        if not self._silent:
            servers = self._connection.bootstrap_servers
            log.warning("Kafka at %s does not answer, waiting for it: %r", servers, error)
        self._silent = True
        await check_login(self._connection)
