import contextlib
import itertools

import pytest

from streams.fetch.circuit_breakers import FAILS_FOR, FIRST_PAUSE, OPENS_AFTER, PROBES, CircuitBreakers
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError

BUSY = SourceBusyError("http_503", "busy")
_numbers = itertools.count()


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fail(circuits: CircuitBreakers, times: int, host: str = "bad", error: SourceError = BUSY) -> None:
    for _ in range(times):
        with contextlib.suppress(type(error)), circuits.guard(host, f"{next(_numbers)}.jpg"):
            circuits._clock.now += FAILS_FOR / OPENS_AFTER
            raise error


def refusal(circuits: CircuitBreakers, host: str = "bad") -> SourceBusyError:
    """The error of a fetch that is not let through."""
    with pytest.raises(SourceBusyError) as caught, circuits.guard(host, "good.jpg"):
        pytest.fail("the host was asked")
    assert caught.value.code == "circuit_open"
    return caught.value


def succeed(circuits: CircuitBreakers, host: str = "bad") -> None:
    with circuits.guard(host, "good.jpg"):
        """It answers."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def circuits(clock: Clock) -> CircuitBreakers:
    return CircuitBreakers(clock)


def test_a_host_that_keeps_failing_is_left_alone(circuits: CircuitBreakers) -> None:
    """After five failures nobody asks it, and the error says how long."""
    fail(circuits, OPENS_AFTER - 1)
    assert circuits.open_hosts == []
    fail(circuits, 1)
    assert refusal(circuits).retry_after == FIRST_PAUSE
    assert circuits.open_hosts == ["bad"]


def test_a_burst_of_failures_opens_no_circuit(circuits: CircuitBreakers, clock: Clock) -> None:
    """Many at once may be one hiccup; it takes failures over a second, as a fetch that hangs does alone."""
    for _ in range(10 * OPENS_AFTER):
        fail(circuits, 1)
        clock.now -= FAILS_FOR / OPENS_AFTER
    assert circuits.open_hosts == []
    clock.now += FAILS_FOR
    fail(circuits, 1)
    assert circuits.open_hosts == ["bad"]


def test_one_bad_object_opens_no_circuit(circuits: CircuitBreakers, clock: Clock) -> None:
    """However often it fails: the host's other objects are none the worse."""
    for _ in range(10 * OPENS_AFTER):
        with contextlib.suppress(SourceBusyError), circuits.guard("bad", "bad.jpg"):
            clock.now += FAILS_FOR
            raise BUSY
    assert circuits.open_hosts == []
    succeed(circuits)


def test_other_hosts_are_not_affected(circuits: CircuitBreakers) -> None:
    """Circuits are per host and port."""
    fail(circuits, OPENS_AFTER)
    succeed(circuits, "good")
    succeed(circuits, "bad:8080")


@pytest.mark.parametrize("failed", range(PROBES))
def test_one_probe_closes_the_circuit(circuits: CircuitBreakers, clock: Clock, failed: int) -> None:
    """After the pause fetches are let through, one at a time; the first success forgets the past."""
    fail(circuits, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    fail(circuits, failed)
    with circuits.guard("bad", "good.jpg"):
        assert refusal(circuits).retry_after == 2 * FIRST_PAUSE
    succeed(circuits)
    assert circuits.open_hosts == []


def test_probes_that_all_fail_double_the_pause(circuits: CircuitBreakers, clock: Clock) -> None:
    """A host that is still down is asked ever more rarely; one that answers now and then has some tries."""
    fail(circuits, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    fail(circuits, PROBES)
    assert refusal(circuits).retry_after == 2 * FIRST_PAUSE


@pytest.mark.parametrize("target", ["bad", "other"])
def test_a_redirect_within_a_host_is_no_answer_of_it(circuits: CircuitBreakers, target: str) -> None:
    """What it leads to counts; one to another host says that this one is well."""
    for number in range(OPENS_AFTER):
        with contextlib.suppress(SourceBusyError), circuits.guard("bad", f"{number}.jpg") as go_on_to:
            go_on_to(target)
            circuits._clock.now += FAILS_FOR
            raise BUSY
    assert circuits.open_hosts == [target]


@pytest.mark.parametrize("error", [SourceGoneError("http_404", "gone"), None])
def test_a_host_that_answers_is_well(circuits: CircuitBreakers, error: SourceError | None) -> None:
    """An image that is gone says nothing against its host; nor does one that comes between failures."""
    for _ in range(OPENS_AFTER):
        fail(circuits, OPENS_AFTER - 1)
        fail(circuits, 1, error=error) if error else succeed(circuits)
    assert circuits.open_hosts == []


@pytest.mark.parametrize(
    "error", [SourceGoneError("image_too_large", "huge"), SourceBusyError("memory_busy", "full")]
)
def test_an_end_that_says_nothing_about_the_host(
    circuits: CircuitBreakers, clock: Clock, error: SourceError
) -> None:
    """It neither opens a circuit nor closes one, and lets the next probe through."""
    fail(circuits, 2 * OPENS_AFTER, error=error)
    assert circuits.open_hosts == []
    fail(circuits, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    fail(circuits, 2, error=error)
    assert circuits.open_hosts == ["bad"]


def test_a_cancelled_probe_lets_the_next_one_through(circuits: CircuitBreakers, clock: Clock) -> None:
    """Whoever gives up leaves no host alone for ever."""
    fail(circuits, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    with pytest.raises(KeyboardInterrupt), circuits.guard("bad", "good.jpg"):
        raise KeyboardInterrupt
    succeed(circuits)


def test_memory_is_bounded(circuits: CircuitBreakers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers' host names do not pile up."""
    monkeypatch.setattr("streams.fetch.circuit_breakers._MAX_HOSTS", 10)
    for number in range(50):
        fail(circuits, 1, f"host{number}")
    assert len(circuits._circuits) == 10
