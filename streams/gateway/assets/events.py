"""Events on their way: published, then waited for until they are committed, refused, or the time is up.

Nobody asks Kafka for a single event. What is committed comes with the rows that the library follows; what is
refused comes with the dead letters, which are followed from the moment at which the gateway began.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Protocol

from schemas.dead_letters import Fault
from schemas.origins import TopicPartitionOffset
from schemas.topics import Progress, TopicNames
from schemas.uploads import UploadData
from streams.fold.precedence.repeats import event_key_of
from streams.fold.rows import State
from streams.gateway.assets.library import Library
from streams.gateway.assets.publisher import Place, Publisher
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputFollower, OutputRecord
from streams.kafka.publishing import event_id_of

log = logging.getLogger(__name__)

LONGEST_WAIT = 50.0  # seconds: SDKs give up after 60
_LOOK_INTERVAL = 1.0  # seconds between two looks whether an event has passed unnoticed
_COME_BACK_AFTER = 1.0  # seconds, where Kafka is away


class Settled(Enum):
    """What is known of an event."""

    COMMITTED = "committed"
    PENDING = "pending"


class RefusedError(Exception):
    """The engine could not handle an event: it is a dead letter.

    Attributes:
        fault: Why.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(f"{fault.reason}: {fault.message}")
        self.fault = fault


class Events:
    """Submits events, and tells what became of them."""

    def __init__(
        self,
        publisher: Publisher,
        library: Library,
        names: TopicNames,
        states: Callable[[], Mapping[int, "FoldedState"]],
    ) -> None:
        """Prepare.

        Args:
            publisher: Where events go.
            library: Where they come back.
            names: The topics'.
            states: Gives the states of all partitions.
        """
        self._publisher = publisher
        self._library = library
        self._source = f"kafka:{names.uploads}"
        self._states = states
        self._refusals: dict[str, list[asyncio.Future[Fault]]] = {}
        self._closing = asyncio.Event()
        self.listens = asyncio.Event()

    def key_of(self, event_id: str) -> str:
        """The key by which rows remember an event."""
        return event_key_of(self._source, event_id)

    def close(self) -> None:
        """Let whoever waits answer that it is pending."""
        self._closing.set()

    def was_committed(self, event: UploadData) -> bool:
        """Whether an event, or the same one sent before, has lately changed its asset."""
        return self._library.holds_event(
            event.tenant or "", event.public_id or "", self.key_of(event.event_id or "")
        )

    async def submit(self, event: UploadData, *, until: float | None) -> Settled:
        """Publish an event and wait.

        Args:
            event: With its id, tenant and public id.
            until: The loop's time at which waiting ends; None: nobody waits.

        Raises:
            RefusedError: It is a dead letter.
            Exception: It could not be published, or nobody knows.
        """
        cloud, row, event_id = event.tenant or "", event.public_id or "", event.event_id or ""
        key = self.key_of(event_id)
        with self._library.awaited(cloud, row, key) as committed, self._refusal(event_id) as refused:
            if not committed.is_set():
                published = await self._publisher.publish(event)
                if until is None:
                    return Settled.PENDING
                await self._settle(committed, refused, published, until)
            if committed.is_set():
                return Settled.COMMITTED
            if refused.done():
                raise RefusedError(refused.result())
            return Settled.PENDING

    async def _settle(
        self,
        committed: asyncio.Event,
        refused: "asyncio.Future[Fault]",
        published: TopicPartitionOffset,
        until: float,
    ) -> None:
        """Wait for an outcome, for the end of the time, or for the gateway's end."""
        loop = asyncio.get_running_loop()
        tasks = [asyncio.create_task(each.wait()) for each in (committed, self._closing)]
        waits: set[asyncio.Future[Any]] = {*tasks, refused}
        in_log = asyncio.create_task(self._publisher.in_log(published))
        try:
            while (left := until - loop.time()) > 0:
                done, _ = await asyncio.wait(
                    waits,
                    timeout=min(left, _LOOK_INTERVAL),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if done:
                    return
                if in_log.done() and not in_log.exception() and await self._has_passed(in_log.result()):
                    committed.set()
                    return
        finally:
            for task in (*tasks, in_log):
                task.cancel()

    async def _has_passed(self, place: Place) -> bool:
        """Whether an event is folded although no row tells, as where nine of an image came at once."""
        state = self._states().get(place.partition)
        if state is None or not state.progress.holds(place.offset):
            return False
        if str(place.offset) in state.rows["retries"]:
            return False
        try:
            async with asyncio.timeout(_LOOK_INTERVAL):
                await self._library.barrier()  # rows come by other topics than the offset
        except TimeoutError:
            return False
        return True

    @contextmanager
    def _refusal(self, event_id: str) -> "Iterator[asyncio.Future[Fault]]":
        future: asyncio.Future[Fault] = asyncio.get_running_loop().create_future()
        waiting = self._refusals.setdefault(event_id, [])
        waiting.append(future)
        try:
            yield future
        finally:
            waiting.remove(future)
            future.cancel()
            if not waiting:
                self._refusals.pop(event_id, None)

    async def listen(self, connection: KafkaConnection, names: TopicNames) -> None:
        """Follow the dead letters, for ever."""
        while True:
            try:
                async with OutputFollower(connection, names, ("dead-letter",)) as follower:
                    self.listens.set()
                    async for letter in follower.records():
                        self._take(letter)
            except (OSError, RuntimeError) as error:  # aiokafka's errors are of the latter kind
                log.warning("following dead letters is interrupted: %s", error)
            await asyncio.sleep(_COME_BACK_AFTER)

    def _take(self, letter: OutputRecord) -> None:
        if not self._refusals or letter.fault is None:
            return
        for future in self._refusals.get(event_id_of(letter), ()):
            if not future.done():
                future.set_result(letter.fault)


class FoldedState(State, Protocol):
    """The state of a partition: see `streams.state.partition.PartitionState`."""

    @property
    def next_offset(self) -> int:
        """The first offset that is not folded in."""

    @property
    def progress(self) -> Progress:
        """What of the log is folded in."""
