"""How much each key may ask: uploads by the second, calls of the Admin API by the hour, calls at once.

Each gateway counts for itself, in memory; behind a balancer a key has as many of each as there are gateways.
"""

import contextlib
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NamedTuple

from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.credentials import CONCURRENT
from streams.gateway.requests.problems import TooOftenError
from streams.web.access.rates import TokenBuckets

HOUR = 3600
MAX_COUNTED = 10_000  # keys and presets that are counted at once
_BURST = 10  # uploads at once that a rate of few per second allows all the same


class Allowance(NamedTuple):
    """What a key has left of an hour's calls."""

    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """Give the headers that tell of it."""
        reset = format_datetime(datetime.fromtimestamp(self.reset, UTC), usegmt=True)
        return {
            "x-featureratelimit-limit": str(self.limit),
            "x-featureratelimit-remaining": str(self.remaining),
            "x-featureratelimit-reset": reset,
        }


class Rates:
    """Counts for each key of each cloud."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Begin.

        Args:
            clock: Gives seconds since the epoch.
        """
        self._clock = clock
        self._hours: OrderedDict[tuple[str, str], tuple[int, int]] = OrderedDict()
        self._uploads = TokenBuckets(clock, most=MAX_COUNTED)
        self._at_once: Counter[tuple[str, str]] = Counter()

    def take_admin(self, caller: Caller) -> Allowance:
        """Count a call of the Admin API.

        Raises:
            TooOftenError: The key has no more of them in this hour.
        """
        hour, limit = int(self._clock()) // HOUR, caller.signing_key.admin_per_hour
        name = _name(caller)
        counted, calls = self._hours.get(name, (hour, 0))
        calls = calls + 1 if counted == hour else 1
        self._hours[name] = (hour, min(calls, limit + 1))
        self._hours.move_to_end(name)
        if len(self._hours) > MAX_COUNTED:
            self._hours.popitem(last=False)
        allowance = Allowance(limit, max(limit - calls, 0), (hour + 1) * HOUR)
        if calls > limit:
            until = datetime.fromtimestamp(allowance.reset, UTC)
            again = f"Try again on {until:%Y-%m-%d %H:%M:%S} UTC"
            message = f"Rate Limit Exceeded. Limit of {limit} api operations reached. {again}"
            raise TooOftenError(message, allowance.headers())
        return allowance

    def take_upload(self, caller: Caller) -> None:
        """Count an upload.

        Raises:
            TooOftenError: It is too soon.
        """
        rate = caller.signing_key.uploads_per_second
        missing = self._uploads.take(_name(caller), rate, max(_BURST, rate))
        if missing:
            raise TooOftenError(
                f"Too many uploads: this key has {rate:g} a second; try again in {missing:.1f} s"
            )

    @contextlib.contextmanager
    def place(self, caller: Caller) -> Iterator[None]:
        """Hold one of the places that a caller's calls have at once.

        Raises:
            TooOftenError: All are taken.
        """
        name, most = _name(caller), caller.key.concurrent if caller.key else CONCURRENT
        if self._at_once[name] >= most:
            raise TooOftenError(
                f"{most} calls of {caller.name} are under way; try again when some are answered"
            )
        self._at_once[name] += 1
        try:
            yield
        finally:
            self._at_once[name] -= 1
            if not self._at_once[name]:
                del self._at_once[name]


def _name(caller: Caller) -> tuple[str, str]:
    return caller.cloud.name, caller.name
