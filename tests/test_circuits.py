import pytest

from streams.circuits import FIRST_PAUSE, OPENS_AFTER, GuardedFetcher
from streams.errors import SourceBusyError, SourceGoneError
from streams.fetching import Fetched


class Source:
    """Fails as it is told, and counts who asks."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.asked: list[str] = []

    async def fetch(self, url: str) -> Fetched:
        self.asked.append(url)
        if self.error is not None:
            raise self.error
        return Fetched(b"", 0.0)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def fail(guarded: GuardedFetcher, times: int, url: str = "http://bad/1") -> None:
    for _ in range(times):
        with pytest.raises(SourceBusyError):
            await guarded.fetch(url)


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_a_host_that_keeps_failing_is_left_alone(source: Source, clock: Clock) -> None:
    """After five failures nobody asks it, and the error says how long."""
    guarded = GuardedFetcher(source, clock)
    source.error = SourceBusyError("http_503", "busy")
    await fail(guarded, OPENS_AFTER)
    asked = len(source.asked)
    with pytest.raises(SourceBusyError) as caught:
        await guarded.fetch("http://bad/2")
    assert len(source.asked) == asked
    assert caught.value.code == "circuit_open"
    assert caught.value.retry_after == FIRST_PAUSE
    assert guarded.open_hosts == ["bad"]


async def test_other_hosts_are_not_affected(source: Source, clock: Clock) -> None:
    """Circuits are per host and port."""
    guarded = GuardedFetcher(source, clock)
    source.error = SourceBusyError("http_503", "busy")
    await fail(guarded, OPENS_AFTER)
    source.error = None
    await guarded.fetch("http://good/1")
    await guarded.fetch("http://bad:8080/1")


async def test_one_probe_closes_the_circuit(source: Source, clock: Clock) -> None:
    """After the pause one fetch is let through; its success forgets the past."""
    guarded = GuardedFetcher(source, clock)
    source.error = SourceBusyError("http_503", "busy")
    await fail(guarded, OPENS_AFTER)
    source.error = None
    clock.now += FIRST_PAUSE
    await guarded.fetch("http://bad/1")
    assert guarded.open_hosts == []


async def test_a_probe_that_fails_doubles_the_pause(source: Source, clock: Clock) -> None:
    """A host that is still down is asked ever more rarely."""
    guarded = GuardedFetcher(source, clock)
    source.error = SourceBusyError("http_503", "busy")
    await fail(guarded, OPENS_AFTER)
    clock.now += FIRST_PAUSE
    await fail(guarded, 1)
    with pytest.raises(SourceBusyError) as caught:
        await guarded.fetch("http://bad/1")
    assert caught.value.retry_after == 2 * FIRST_PAUSE


async def test_an_image_that_is_gone_says_nothing_about_the_host(source: Source, clock: Clock) -> None:
    """A host that answers 404 is well."""
    guarded = GuardedFetcher(source, clock)
    source.error = SourceGoneError("http_404", "gone")
    for _ in range(2 * OPENS_AFTER):
        with pytest.raises(SourceGoneError):
            await guarded.fetch("http://good/1")
    assert guarded.open_hosts == []


async def test_memory_is_bounded(source: Source, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strangers' host names do not pile up."""
    monkeypatch.setattr("streams.circuits._MAX_HOSTS", 10)
    guarded = GuardedFetcher(source, clock)
    source.error = SourceBusyError("unknown_host", "no such host")
    for number in range(50):
        await fail(guarded, 1, f"http://host{number}/")
    assert len(guarded._circuits) == 10
