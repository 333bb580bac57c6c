"""A circuit breaker per source host: one that keeps failing is left alone, then tried with few fetches."""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from streams.fetch.errors import SourceBusyError, SourceGoneError

log = logging.getLogger(__name__)

OPENS_AFTER = 5  # objects that failed in a row: one bad object says nothing about the others...
FAILS_FOR = 1.0  # ...that take at least so many seconds: a source that answers now and then is worth asking
FIRST_PAUSE = 1.0  # seconds; doubled each time that all probes fail
PROBES = 3  # one after the other: one failure more says little of a host that answers now and then
LONGEST_PAUSE = 60.0
_MAX_HOSTS = 10_000  # remembered; beyond, the one that was heard of longest ago is forgotten
_NOT_ASKED = frozenset({"memory_busy", "circuit_open"})


@dataclass
class _Circuit:
    """What is known of a host that failed.

    Attributes:
        since: When the first of the failures in a row began.
        failures: How many they are.
        objects: Whose they are, as hashes, up to as many as open the circuit.
        pause: How long it is left alone when it is next found dead.
        open_until: Until when it is left alone; None: its circuit is closed.
        probing: Whether one fetch is finding out.
        probes: How many have failed since the last pause.
    """

    since: float
    failures: int = 0
    objects: set[int] = field(default_factory=set)
    pause: float = FIRST_PAUSE
    open_until: float | None = None
    probing: bool = False
    probes: int = 0


class CircuitBreakers:
    """The circuits of all hosts. `clock` is in seconds and never goes back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._circuits: dict[str, _Circuit] = {}

    @property
    def open_hosts(self) -> list[str]:
        """The hosts that are left alone now."""
        return [host for host, circuit in self._circuits.items() if circuit.open_until is not None]

    @contextlib.contextmanager
    def guard(self, host: str, url: str) -> Iterator[Callable[[str], None]]:
        """Learn from how a fetch of a URL from a host ends. Enter it when the fetch may begin, not before.

        It gives a function that says which host a redirect leads to: that one is asked from then on.

        Raises:
            SourceBusyError: The host's circuit is open; also in that function.
        """
        begun = self._enter(host)

        def go_on_to(target: str) -> None:
            nonlocal host, begun
            if target == host:
                return
            self._answered(host)
            begun = self._enter(target)
            host = target

        try:
            yield go_on_to
        except SourceBusyError as error:
            if error.code in _NOT_ASKED:
                self._ended(host)
            else:
                self._failed(host, url, begun, error)
            raise
        except SourceGoneError as error:
            if error.code.startswith("http_"):  # it answers
                self._answered(host)
            else:
                self._ended(host)
            raise
        except BaseException:
            self._ended(host)
            raise
        self._answered(host)

    def _enter(self, host: str) -> float:
        """Begin to ask a host; return the time."""
        circuit = self._circuits.get(host)
        if circuit is None or circuit.open_until is None:
            return self._clock()
        wait = circuit.pause if circuit.probing else circuit.open_until - self._clock()
        if wait > 0:
            message = f"{host} failed {circuit.failures} times in a row and is left alone for now"
            raise SourceBusyError("circuit_open", message, wait)
        circuit.probing = True
        return self._clock()

    def _failed(self, host: str, url: str, begun: float, error: SourceBusyError) -> None:
        circuit = self._circuits.pop(host, None) or _Circuit(begun)
        self._circuits[host] = circuit
        circuit.failures += 1
        if len(circuit.objects) < OPENS_AFTER:
            circuit.objects.add(hash(url))
        circuit.probing = False
        dead = len(circuit.objects) >= OPENS_AFTER and self._clock() - circuit.since >= FAILS_FOR
        if circuit.open_until is not None and circuit.open_until <= self._clock():
            circuit.probes += 1
            dead = dead and circuit.probes >= PROBES
        elif circuit.open_until is not None:
            dead = False  # it is left alone already
        if dead:
            circuit.open_until, circuit.probes = self._clock() + circuit.pause, 0
            log.warning("%s keeps failing (%s): left alone for %g s", host, error.code, circuit.pause)
            circuit.pause = min(circuit.pause * 2, LONGEST_PAUSE)
        if len(self._circuits) > _MAX_HOSTS:
            del self._circuits[next(iter(self._circuits))]

    def _answered(self, host: str) -> None:
        circuit = self._circuits.pop(host, None)
        if circuit is not None and circuit.open_until is not None:
            log.warning("%s answers again", host)

    def _ended(self, host: str) -> None:
        """Take note of an end that says nothing about the host."""
        if host in self._circuits:
            self._circuits[host].probing = False
