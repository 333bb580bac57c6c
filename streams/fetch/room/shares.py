"""Shares of tenants in what all fetches of a worker have together: slots, places apart, memory.

A tenant takes more only while it has no more than four times what is left then: alone it has four fifths of
all, and whoever comes next finds some. Until a worker sees a second tenant, the first one may have all.
(A. K. Choudhury and E. L. Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", 1998.)
"""

import asyncio
from collections import Counter, defaultdict, deque

_TIMES = 4


class TenantShares:
    """So much of something, and who has how much of it.

    Attributes:
        free: What nobody has.
    """

    def __init__(self, number: int) -> None:
        self.free = number
        self._taken = Counter[str]()
        self._first: str | None = None
        self._is_shared = False

    def may_take(self, tenant: str, more: int = 1) -> bool:
        """Whether there is so much for a tenant."""
        return more <= self.free and not self.is_over(tenant, more)

    def is_over(self, tenant: str, more: int = 1) -> bool:
        """Whether so much more would be beyond a tenant's share; one that has nothing yet is never."""
        had = self._taken[tenant]
        return self._is_shared and had > 0 and had + more > _TIMES * (self.free - more)

    def charge(self, tenant: str, more: int = 1) -> None:
        """Count what a tenant takes; below 0: what it gives back."""
        if self._first is None:
            self._first = tenant
        self._is_shared = self._is_shared or tenant != self._first
        self.free -= more
        self._taken[tenant] += more
        if not self._taken[tenant]:
            del self._taken[tenant]


class TenantSlots:
    """A semaphore of which each tenant has its share; a tenant's fetches keep their order."""

    def __init__(self, number: int) -> None:
        self._shares = TenantShares(number)
        self._waiting: defaultdict[str, deque[asyncio.Future[None]]] = defaultdict(deque)

    @property
    def free(self) -> int:
        """How many nobody has."""
        return self._shares.free

    async def acquire(self, tenant: str) -> None:
        """Wait for a slot and take it."""
        if tenant not in self._waiting and self._shares.may_take(tenant):
            self._shares.charge(tenant)
            return
        slot = asyncio.get_running_loop().create_future()
        self._waiting[tenant].append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if not slot.cancelled():  # it was given one as it was cancelled
                self.release(tenant)
            raise

    def release(self, tenant: str) -> None:
        """Give a slot back."""
        self._shares.charge(tenant, -1)
        for name, waiting in list(self._waiting.items()):
            while waiting and self._shares.may_take(name):
                slot = waiting.popleft()
                if not slot.cancelled():
                    self._shares.charge(name)
                    slot.set_result(None)
            if not waiting:
                del self._waiting[name]
