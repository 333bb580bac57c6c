"""How often each caller may ask: a token bucket each, in bounded memory."""

import functools
import ipaddress
from collections import OrderedDict
from collections.abc import Callable, Hashable

MAX_BUCKETS = 10_000
_OWN_NETWORK = 64  # bits of an IPv6 address that name a customer's network; the others are theirs to choose


class TokenBuckets:
    """Token buckets, each of its own rate. A bucket is kept as the moment at which it will be full again."""

    def __init__(self, clock: Callable[[], float], *, most: int = MAX_BUCKETS) -> None:
        """Prepare.

        Args:
            clock: Gives seconds.
            most: Buckets that are kept; beyond, the one that was not used for longest is taken for full.
        """
        self._clock = clock
        self._most = most
        self._full_at: OrderedDict[Hashable, float] = OrderedDict()

    def take(self, key: Hashable, rate: float, burst: float) -> float:
        """Take one token out of a bucket.

        Args:
            key: Whose.
            rate: Tokens per second that it is filled up with; 0: no limit.
            burst: Tokens that it has room for.

        Returns:
            0 if it was there, else the seconds until it will be.
        """
        if not rate:
            return 0.0
        now = self._clock()
        full_at = max(self._full_at.get(key, now), now) + 1 / rate
        missing = full_at - now - burst / rate
        if missing > _TINY:
            return missing
        self._full_at[key] = full_at
        self._full_at.move_to_end(key)
        if len(self._full_at) > self._most:
            self._full_at.popitem(last=False)
        return 0.0

    def __len__(self) -> int:
        return len(self._full_at)


class Rates:
    """Token buckets of one rate."""

    def __init__(
        self, rate: float, burst: int, clock: Callable[[], float], *, most: int = MAX_BUCKETS
    ) -> None:
        """Prepare.

        Args:
            rate: Questions per second that a bucket is filled up for; 0: no limit.
            burst: Questions that a full bucket has room for.
            clock: Gives seconds; it never goes back.
            most: Buckets that are kept: see `TokenBuckets`.
        """
        self._rate = rate
        self._burst = burst
        self._buckets = TokenBuckets(clock, most=most)

    def take(self, key: str) -> float:
        """Take one question out of a bucket.

        Returns:
            0 if it was there, else the seconds until it will be.
        """
        return self._buckets.take(key, self._rate, self._burst)

    @property
    def buckets(self) -> int:
        """Give the number of buckets that are kept."""
        return len(self._buckets)


_TINY = 1e-9  # seconds; what rounding leaves


@functools.lru_cache(maxsize=1024)
def network_of(peer: str) -> str:
    """Give what tells askers without a token apart: the address, or the network of an IPv6 one."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, _OWN_NETWORK), strict=False))
