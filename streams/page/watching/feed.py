"""Committed outputs as they come, for those who watch: one consumer for all of them, while there are any.

Nobody who is slow holds anything up: what there is no room for is left out and counted.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable

from schemas.topics import TopicNames
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputFollower, OutputRecord
from streams.page.watching.telling import Told, told_of
from streams.web.access.errors import UnavailableError

log = logging.getLogger(__name__)

ROOM = 100  # outputs that wait for one who watches
_LINGER = 30.0  # seconds that the consumer stays when nobody watches
_PATIENCE = 15.0  # seconds until somebody who wants to watch is told that Kafka does not answer
_COME_BACK_AFTER = 1.0  # seconds, where Kafka is away
Wants = Callable[[Told], bool]


class Watcher:
    """What waits for one who watches.

    Attributes:
        skipped: How many were left out since this was last looked at.
        closed: Whether nothing more will come.
    """

    def __init__(self, wants: Wants, room: int) -> None:
        self.skipped = 0
        self.closed = False
        self._wants = wants
        self._room = room
        self._waiting: deque[tuple[Told, OutputRecord]] = deque()
        self._woken = asyncio.Event()

    def offer(self, told: Told, record: OutputRecord) -> None:
        """Take an output in, if it is wanted; the oldest makes room."""
        if not self._wants(told):
            return
        if len(self._waiting) >= self._room:
            self._waiting.popleft()
            self.skipped += 1
        self._waiting.append((told, record))
        self._woken.set()

    def close(self) -> None:
        """Say that nothing more will come."""
        self.closed = True
        self._woken.set()

    async def some(self, seconds: float) -> list[tuple[Told, OutputRecord]]:
        """Wait until there is something, for so many seconds at most; give all of it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), seconds)
        found = [*self._waiting]
        self._waiting.clear()
        if not self.closed:
            self._woken.clear()
        return found

    def take_skipped(self) -> int:
        """How many were left out; from now on they are counted anew."""
        skipped, self.skipped = self.skipped, 0
        return skipped


class Feed:
    """Follows the outputs and tells those who watch."""

    def __init__(self, connection: KafkaConnection, names: TopicNames) -> None:
        self._connection = connection
        self._names = names
        self._watchers: set[Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._listens = asyncio.Event()
        self._ending: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    @contextlib.asynccontextmanager
    async def watch(self, wants: Wants, room: int = ROOM) -> AsyncIterator[Watcher]:
        """Watch what is committed from the entry on.

        Args:
            wants: Which outputs are wanted.
            room: How many may wait.

        Raises:
            UnavailableError: Kafka does not answer.
        """
        watcher = Watcher(wants, room)
        self._watchers.add(watcher)
        if self._ending is not None:
            self._ending.cancel()
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        try:
            if self._closed:
                watcher.close()
            await self._until_it_listens()
            yield watcher
        finally:
            self._watchers.discard(watcher)
            if not self._watchers:
                self._ending = asyncio.get_running_loop().call_later(_LINGER, self._end)

    async def _until_it_listens(self) -> None:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._listens.wait()
        except TimeoutError:
            raise UnavailableError("kafka_away", "Kafka does not answer; try again in a moment") from None

    async def close(self) -> None:
        """Let those who watch go, and follow no longer."""
        self._closed = True
        self._listens.set()
        for watcher in self._watchers:
            watcher.close()
        task = self._task
        self._end()
        if task is not None:
            await asyncio.gather(task, return_exceptions=True)

    def _end(self) -> None:
        if self._task is not None:
            self._task.cancel()
        self._task = None
        if not self._closed:
            self._listens.clear()

    async def _follow(self) -> None:
        while True:
            try:
                async with OutputFollower(self._connection, self._names) as follower:
                    self._listens.set()
                    async for record in follower.records():
                        if self._watchers:
                            self._tell(record)
            except (OSError, RuntimeError) as error:  # aiokafka's errors are of the latter kind
                log.warning("following outputs for the page is interrupted: %s", error)
            await asyncio.sleep(_COME_BACK_AFTER)

    def _tell(self, record: OutputRecord) -> None:
        told = told_of(record)
        for watcher in self._watchers:
            watcher.offer(told, record)
