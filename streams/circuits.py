"""A circuit per source host: one that keeps failing is left alone for a while, then tried with one fetch."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from streams.errors import SourceBusyError, SourceGoneError
from streams.fetching import Fetched

log = logging.getLogger(__name__)

OPENS_AFTER = 5  # failures in a row
FIRST_PAUSE = 5.0  # seconds; doubled with each probe that fails
LONGEST_PAUSE = 60.0
_MAX_HOSTS = 10_000  # remembered; beyond, the one that was heard of longest ago is forgotten


class Fetches(Protocol):
    """What is guarded: see `streams.fetching.Fetcher`."""

    async def fetch(self, url: str) -> Fetched:
        """Get the bytes behind a URL."""


@dataclass
class _Circuit:
    failures: int = 0
    pause: float = FIRST_PAUSE
    open_until: float = 0.0
    probing: bool = False


class GuardedFetcher:
    """Fetches, but not from hosts whose circuit is open.

    Args of the constructor: what fetches, and a clock in seconds that never goes back.
    """

    def __init__(self, fetcher: Fetches, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}

    @property
    def open_hosts(self) -> list[str]:
        """Give the hosts that are left alone now."""
        return [host for host, circuit in self._circuits.items() if circuit.failures >= OPENS_AFTER]

    async def fetch(self, url: str) -> Fetched:
        """Get the bytes behind a URL.

        Raises:
            SourceGoneError: They cannot be had.
            SourceBusyError: They cannot be had now, or the host's circuit is open.
        """
        host = _host(url)
        if host is None:
            return await self._fetcher.fetch(url)
        self._enter(host)
        try:
            fetched = await self._fetcher.fetch(url)
        except SourceBusyError as error:
            self._failed(host, error)
            raise
        except SourceGoneError as error:
            if error.code.startswith("http_"):  # it answers
                self._answered(host)
            else:
                self._circuits.get(host, _Circuit()).probing = False
            raise
        except BaseException:
            self._circuits.get(host, _Circuit()).probing = False
            raise
        self._answered(host)
        return fetched

    def _enter(self, host: str) -> None:
        circuit = self._circuits.get(host)
        if circuit is None or circuit.failures < OPENS_AFTER:
            return
        wait = circuit.open_until - self._clock()
        if wait > 0 or circuit.probing:
            message = f"{host} failed {circuit.failures} times in a row and is left alone for now"
            raise SourceBusyError("circuit_open", message, max(wait, 1.0))
        circuit.probing = True

    def _failed(self, host: str, error: SourceBusyError) -> None:
        circuit = self._circuits.pop(host, _Circuit())
        self._circuits[host] = circuit
        circuit.failures += 1
        circuit.probing = False
        if circuit.failures >= OPENS_AFTER and circuit.open_until <= self._clock():
            circuit.open_until = self._clock() + circuit.pause
            log.warning("%s keeps failing (%s): left alone for %g s", host, error.code, circuit.pause)
            circuit.pause = min(circuit.pause * 2, LONGEST_PAUSE)
        if len(self._circuits) > _MAX_HOSTS:
            del self._circuits[next(iter(self._circuits))]

    def _answered(self, host: str) -> None:
        circuit = self._circuits.pop(host, None)
        if circuit is not None and circuit.failures >= OPENS_AFTER:
            log.warning("%s answers again", host)


def _host(url: str) -> str | None:
    if url[:5].lower() == "data:":
        return None
    try:
        return urlsplit(url).netloc.rpartition("@")[2].lower() or None
    except ValueError:
        return None  # the fetcher says what is wrong with it
