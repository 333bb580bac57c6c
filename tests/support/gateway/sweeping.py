"""What a gateway's sweeper does, at once: whatever is no asset's goes, however young it is."""

import asyncio
from typing import Self

from support.gateway.gateways import GatewayCluster

from streams.fetch.object_store import ObjectStore
from streams.gateway.assets.library import Library
from streams.gateway.assets.sweeper import Sweeper
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import log_ends
from streams.state.replica import Replica


class Onlooker:
    """Follows the state of a cluster as a gateway does. Use it as an async context manager."""

    def __init__(self, cluster: GatewayCluster) -> None:
        self._connection = KafkaConnection(cluster.bootstrap)
        self._names = cluster.names
        self.library = Library(lambda: self._replica.catch_up("images"))
        self._replica = Replica(
            self._connection, cluster.names, cluster.partitions, follows=True, indexes=[self.library]
        )
        self._objects = ObjectStore.parse(str(cluster.objects), cluster.folder)
        self._following: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._following = asyncio.create_task(self._replica.run())
        async with asyncio.timeout(60):
            await self.library.barrier()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._following is not None:
            self._following.cancel()
            await asyncio.gather(self._following, return_exceptions=True)

    async def sweep(self) -> int:
        """Remove all orphans."""
        sweeper = Sweeper(self._objects, self.library, lambda: self._replica.states, self._ends, grace=-1)
        return await sweeper.sweep()

    async def _ends(self) -> dict[int, int]:
        return await log_ends(self._connection, self._names.uploads)
