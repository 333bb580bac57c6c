"""What this worker knows in memory, and the routes that answer from it."""

import asyncio
import time

from streams.app.settings import Settings
from streams.fold.retention import Retention
from streams.state.images.hashes import HashIndex
from streams.state.images.index import ImageIndex
from streams.state.partition import PartitionState
from streams.state.replica import Replica
from streams.state.trends.index import TrendIndex
from streams.state.users.index import UserIndex
from streams.state.users.similar import AllNeighbours
from streams.web.api.duplicates import DuplicateRoutes
from streams.web.api.freshness import LateFreshness
from streams.web.api.images import ImageRoutes
from streams.web.api.people import PeopleRoutes
from streams.web.api.retained import RetainedBuckets
from streams.web.api.routes import Route
from streams.web.api.trends import TrendRoutes
from streams.web.api.users import UserRoutes

_COMPACTION_INTERVAL = 3.0  # seconds between two looks whether the images need compaction


class QueryIndexes:
    """The indexes over all partitions' rows.

    Attributes:
        freshness: How far the rows are; its source is set by `follow`.
        indexes: What must be told of each change of a row.
    """

    def __init__(self, settings: Settings) -> None:
        self.freshness = LateFreshness()
        self._half_life = settings.half_life
        self._states = dict[int, PartitionState]()
        self._trends, self._images, self._users = TrendIndex(self._states), ImageIndex(), UserIndex()
        self._retained = RetainedBuckets(Retention.of(settings), self._states)
        self._neighbours = AllNeighbours(self._users, time.time, settings.half_life)
        self._hashes = HashIndex(embeddings=settings.embeddings)
        self.indexes = (self._trends, self._images, self._users, self._hashes)

    def follow(self, replica: Replica) -> None:
        """Answer from these states, now that the partitions are known."""
        self._states.update(replica.states)
        self.freshness.source = replica

    @property
    def tenants(self) -> list[str]:
        """Those with images."""
        return [*self._images.libraries]

    def routes(self) -> list[Route]:
        """The routes that ask about the state."""
        states, fresh, clock = self._states, self.freshness, time.time
        users = UserRoutes(
            self._neighbours,
            self._images,
            states,
            fresh,
            clock,
            half_life_days=self._half_life,
        )
        return [
            *TrendRoutes(self._trends, fresh, clock, self._retained).routes(),
            *ImageRoutes(self._images, states, fresh).routes(),
            *DuplicateRoutes(self._hashes, states, fresh).routes(),
            *users.routes(),
            *PeopleRoutes(self._neighbours, self._images, fresh, clock).routes(),
        ]

    async def prepare(self) -> None:
        """Make what is made of the indexes, once they know every row."""
        await self._neighbours.refresh()

    async def keep_up(self) -> None:
        """Bury what is dead in the indexes, and make anew what is made of them, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._images.keep_compact(_COMPACTION_INTERVAL))
            tasks.create_task(self._neighbours.keep_fresh())
