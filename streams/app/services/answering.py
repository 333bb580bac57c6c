"""The role `query`: questions are answered from the state of all partitions."""

from contextlib import AsyncExitStack

from streams.app.services.query_indexes import QueryIndexes
from streams.app.services.service import Spawn, WebPart
from streams.state.replica import Replica


class Answering:
    """Keeps the indexes that questions are answered from."""

    web = WebPart()

    def __init__(self, indexes: QueryIndexes, *, alone: bool) -> None:
        """Answer from these indexes.

        Args:
            indexes: Their routes are served by the worker, whatever its roles are.
            alone: Whether nothing else is done here: then nobody should ask before answers are whole.
        """
        self._indexes = indexes
        self._alone = alone
        self._replica: Replica | None = None

    @property
    def waits_for(self) -> str | None:
        """The state, where there is nothing else to do."""
        loaded = self._replica is not None and self._replica.loaded
        return None if loaded or not self._alone else "loading state"

    async def open(self, stack: AsyncExitStack) -> None:
        """Nothing to load."""

    async def start(self, replica: Replica, spawn: Spawn) -> None:
        """Follow the state, and keep what is made of it in order."""
        self._replica = replica
        self._indexes.follow(replica)
        spawn(self._indexes.keep_up())

    async def stop(self) -> None:
        """Nothing is in work that must be finished."""
