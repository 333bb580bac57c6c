"""Deleting from the log what is folded in, as Kafka Streams does with its repartition topics.

The log keeps records until then, however old they are; afterwards they are rows, and the upload topics still
have them for as long as those keep theirs.
"""

import logging
import time
from collections.abc import Callable, Mapping

from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.errors import KafkaError, TopicAuthorizationFailedError

from streams.kafka.admin import open_admin
from streams.kafka.connection import KafkaConnection

log = logging.getLogger(__name__)

PURGE_EVERY = 30.0  # seconds


class Purge:
    """Deletes what is folded in, once in a while."""

    def __init__(
        self, connection: KafkaConnection, topic: str, folded: Callable[[], Mapping[int, int]]
    ) -> None:
        """Prepare.

        Args:
            connection: How to reach Kafka.
            topic: Whose records are deleted.
            folded: Gives the first offset that is not folded in, by partition.
        """
        self._connection = connection
        self._topic = topic
        self._folded = folded
        self._done: dict[int, int] = {}
        self._next = time.monotonic() + PURGE_EVERY
        self._told = False

    async def run(self) -> None:
        """Delete, if it is time to; what a broker refuses stays, and is told once."""
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PURGE_EVERY
        due = {
            partition: offset
            for partition, offset in self._folded().items()
            if offset > self._done.get(partition, 0)
        }
        if not due:
            return
        try:
            async with open_admin(self._connection) as admin:
                wanted = {
                    TopicPartition(self._topic, partition): RecordsToDelete(offset)
                    for partition, offset in due.items()
                }
                await admin.delete_records(wanted)
            self._done.update(due)
        except (KafkaError, OSError) as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        denied = isinstance(error, TopicAuthorizationFailedError)
        if not self._told or not denied:
            cure = "; grant DELETE on it" if denied else ""
            log.warning("topic %s keeps what is folded in: %r%s", self._topic, error, cure)
        self._told = True
