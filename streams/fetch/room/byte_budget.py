"""Memory for images: taken before their bytes arrive, given back when they have been decoded.

A fetch takes at once what its source claims to send; without a claim, twice what has arrived. A claim costs
nothing, so what a slow source does not fill is taken back while others wait. That leaves fetches that have a
part each and could wait for one another for ever. Dijkstra's banker prevents that: all share the memory but
for one largest image's, and this goes to one of those that wait, whole: it needs no more, and gives it on.
(E. W. Dijkstra, "Een algorithme ter voorkoming van de dodelijke omarming", EWD 108.)
"""

import asyncio
from collections import Counter

from streams.fetch.room.shares import TenantShares

_LOOKS = 10  # in how many looks' time a source must be on course to send the rest


class Reservation:
    """The memory of one image. `release` it, whatever happens.

    Attributes:
        host: Where the image comes from.
        tenant: Whose it is.
        expected: How many bytes its source claims to send; 0: it does not say.
        arrived: How many have arrived.
        held: How many are counted as used.
        seen: How many had arrived when it was last looked at; None: it was not yet.
    """

    def __init__(self, budget: "ByteBudget", host: str, tenant: str) -> None:
        self.host = host
        self.tenant = tenant
        self.expected = 0
        self.arrived = 0
        self.held = 0
        self.seen: int | None = None
        self._budget = budget

    def expect(self, size: int) -> bool:
        """Take what will arrive; tell whether there is room for it, otherwise wait for `room`."""
        self.expected = size
        return self._budget.admits(self)

    def add(self, size: int) -> bool:
        """Count bytes that have arrived; tell whether there is room for them, otherwise wait for `room`."""
        self.arrived += size
        return self.arrived <= self.held or self._budget.admits(self)

    async def room(self) -> None:
        """Wait until there is room."""
        await self._budget.wait_for(self)

    def complete(self) -> None:
        """End the growth: nothing more will arrive."""
        self._budget.end_fetch(self)

    def release(self) -> None:
        """Free all that is taken; more than once does no harm."""
        self.arrived = 0
        self._budget.end_fetch(self)


class ByteBudget:
    """The memory that all images together may take.

    Invariants: `used` never exceeds the limit; no host's fetches hold more than half of what is shared, if
    that is enough for an image; no tenant's images grow beyond its share; a whole image's room is free, or
    its holder gives it back without any wait.

    Args of the constructor: the limit; the size of the largest image; the seconds between two looks at who is
    slow while others wait.
    """

    def __init__(self, limit: int, largest: int, every: float = 1.0) -> None:
        if limit < 2 * largest:
            raise ValueError(f"{limit} bytes have no room for two images of {largest} bytes")
        shared = limit - largest
        self._shares = TenantShares(shared)
        self._of_one_host = max(shared // 2, largest)
        self._largest = largest
        self._every = every
        self._shared = shared
        self._of_hosts: Counter[str] = Counter()
        self._fetching: set[Reservation] = set()
        self._waiting: dict[Reservation, asyncio.Future[None]] = {}
        self._whole: Reservation | None = None
        self._looking: asyncio.TimerHandle | None = None

    @property
    def used(self) -> int:
        """The bytes that are taken."""
        return self._shared - self._shares.free + (self._whole.held if self._whole else 0)

    @property
    def is_short(self) -> bool:
        """Whether anybody waits for memory, and not for its own tenant's share of it."""
        return any(not self._shares.is_over(each.tenant, self._more(each)) for each in self._waiting)

    def reserve(self, host: str, tenant: str = "") -> Reservation:
        """Begin to count an image that is fetched from `host`."""
        reservation = Reservation(self, host, tenant)
        self._fetching.add(reservation)
        return reservation

    def admits(self, reservation: Reservation) -> bool:
        """Reserve what a fetch needs, if there is room, but nothing that others have waited for longer."""
        return self._admits(reservation, is_next=not self._waiting)

    async def wait_for(self, reservation: Reservation) -> None:
        """Wait until a fetch has what it needs."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting[reservation] = loop.create_future()
        if self._looking is None:
            self._looking = loop.call_later(self._every, self._look)
        try:
            await waiting
        finally:
            del self._waiting[reservation]

    def end_fetch(self, reservation: Reservation) -> None:
        """Count only what has arrived from now on, and as no host's; let others go on."""
        self._hold(reservation, reservation.arrived)
        if reservation is not self._whole:
            self._charge(reservation, -reservation.held)
        self._fetching.discard(reservation)
        if reservation is self._whole and not reservation.held:
            self._whole = None
        self._wake()

    def _admits(self, reservation: Reservation, *, is_next: bool) -> bool:
        more = self._more(reservation)
        in_share = self._of_hosts[reservation.host] + more <= self._of_one_host
        if in_share and self._shares.may_take(reservation.tenant, more):
            self._hold(reservation, reservation.held + more)
            return True
        if is_next and self._whole is None:
            self._hold(reservation, 0)
            self._whole = reservation
            self._hold(reservation, self._largest)
            return True
        return False

    def _more(self, reservation: Reservation) -> int:
        """What a fetch needs beyond what it holds."""
        return max(reservation.expected, min(2 * reservation.arrived, self._largest)) - reservation.held

    def _hold(self, reservation: Reservation, size: int) -> None:
        if reservation is not self._whole:
            self._shares.charge(reservation.tenant, size - reservation.held)
            self._charge(reservation, size - reservation.held)
        reservation.held = size
        reservation.seen = None

    def _charge(self, reservation: Reservation, size: int) -> None:
        """Count bytes as a host's, as long as they are fetched."""
        if reservation in self._fetching:
            self._of_hosts[reservation.host] += size
            self._of_hosts = +self._of_hosts  # only those that have any

    def _wake(self) -> None:
        is_next = True
        for reservation, waiting in self._waiting.items():
            if waiting.done():  # woken already, or cancelled
                continue
            if self._admits(reservation, is_next=is_next):
                waiting.set_result(None)
            else:
                is_next = False

    def _look(self) -> None:
        """Take back what slow sources do not fill, as long as others wait; a whole image's room is kept."""
        for reservation in self._fetching - {self._whole}:
            missing = reservation.held - reservation.arrived
            seen, reservation.seen = reservation.seen, reservation.arrived
            if seen is not None and missing > _LOOKS * (reservation.arrived - seen):
                self._hold(reservation, reservation.arrived)
        self._wake()
        again = asyncio.get_running_loop().call_later(self._every, self._look) if self._waiting else None
        self._looking = again
