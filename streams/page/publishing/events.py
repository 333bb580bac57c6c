"""Events that the page publishes, and what comes of them."""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

import msgspec

from schemas.errors import BadEventError
from schemas.origins import TopicPartitionOffset
from schemas.topics import Progress, TopicNames
from schemas.uploads import Record, UploadData, parse_upload
from streams.kafka.connection import KafkaConnection
from streams.kafka.publishing import UploadLog
from streams.web.access.errors import BadQuestionError, UnavailableError

_PATIENCE = 15.0  # seconds until a caller is told that Kafka does not answer
_LOOK_INTERVAL = 0.05  # seconds between two looks whether events are folded


class FoldedState(Protocol):
    """The state of a partition: see `streams.state.partition.PartitionState`."""

    @property
    def rows(self) -> Mapping[str, Mapping[str, Any]]:
        """The encoded rows by table and key."""

    @property
    def progress(self) -> Progress:
        """What of the log is folded in."""


class Events:
    """Publishes upload events, and tells when they are folded."""

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self.states: Mapping[int, FoldedState] = {}
        self._uploads = UploadLog(connection, names)
        self._stack = AsyncExitStack()
        self._is_open = False

    async def open(self) -> None:
        """Connect."""
        await self._stack.enter_async_context(self._uploads)
        self._is_open = True

    async def close(self) -> None:
        """Let go of the connection."""
        self._is_open = False
        await self._stack.aclose()

    async def publish(self, events: Sequence[UploadData]) -> list[TopicPartitionOffset]:
        """Publish events; return once all replicas that are in sync have them.

        Raises:
            UnavailableError: Kafka did not say in time that it has them: some may be there.
        """
        if not self._is_open:
            raise UnavailableError("starting", "nothing can be published yet; try again in a moment")
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._uploads.publish(events)
        except (OSError, RuntimeError) as error:  # aiokafka's errors are of the latter kind
            reason = "Kafka does not answer: it may be published or not; look, and try again"
            raise UnavailableError("kafka_away", reason) from error

    async def until_folded(self, places: Sequence[TopicPartitionOffset], seconds: float) -> bool:
        """Wait until published events are folded here, for so many seconds at most; tell whether they are."""
        try:
            async with asyncio.timeout(seconds):
                for published in places:
                    partition, offset = await self._uploads.in_log(published)
                    while not self._holds(partition, offset):  # noqa: ASYNC110 - a replica wakes nobody
                        await asyncio.sleep(_LOOK_INTERVAL)
        except TimeoutError:
            return False
        return True

    def _holds(self, partition: int, offset: int) -> bool:
        state = self.states.get(partition)
        return state is not None and state.progress.holds(offset)


def checked(event: UploadData, new_id: Callable[[], str] = lambda: uuid.uuid4().hex) -> UploadData:
    """An event with an id, if workers will be able to read it.

    Raises:
        BadQuestionError: They will not.
    """
    event.event_id = new_id()
    value = msgspec.json.encode(event)
    try:
        parse_upload(Record(topic="", partition=0, offset=0, timestamp=0, key=None, value=value))
    except BadEventError as error:
        raise BadQuestionError(error.code, str(error)) from None
    return event
