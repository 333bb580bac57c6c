"""One run of something that turns upload events in Kafka into results in Kafka."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.pairs import Run, steady_rate
from benchmarks.processes import cpu_seconds, resident_mb
from benchmarks.stream import Results, publish, uploads
from benchmarks.testbed import Testbed

DEADLINE = 300.0  # seconds


@dataclass(frozen=True)
class Topics:
    """Where upload events go and where results come from."""

    uploads: str
    results: str
    partitions: int


@dataclass(frozen=True)
class Measured:
    """A run, and the results' values."""

    run: Run
    values: Sequence[bytes]


async def measure_run(
    place: Testbed,
    topics: Topics,
    pids: Callable[[], Sequence[int]],
    photos: str,
    numbers: range,
    *,
    deadline: float = DEADLINE,
) -> Measured:
    """Publish events, wait for their results, and say what that took.

    Args:
        place: Where it happens.
        topics: What connects us with those who are measured.
        pids: Gives their processes.
        photos: The set.
        numbers: Of the images.
        deadline: Seconds after which it failed.
    """
    images = len(numbers)
    events = uploads(place.server, photos, numbers.start, images)
    async with Results(place.bootstrap, topics.results, topics.partitions) as results:
        before, servers_before = cpu_seconds(*pids()), place.cpu_seconds()
        await publish(place.bootstrap, topics.uploads, events)
        found = await results.next(images, deadline)
        used = cpu_seconds(*pids()) - before
        servers = {name: seconds - servers_before[name] for name, seconds in place.cpu_seconds().items()}
    parts = {f"{name}_cpu_ms": seconds / images * 1000 for name, seconds in servers.items()}
    parts["peak_rss_mb"] = resident_mb(*pids(), peak=True)
    run = Run(steady_rate([at for at, _ in found]), used / images * 1000, parts)
    return Measured(run, [value for _, value in found])
