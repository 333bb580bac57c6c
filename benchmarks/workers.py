"""Tagstream's own workers as a contestant: real processes, on a real broker."""

import sys
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from statistics import quantiles
from types import TracebackType
from typing import Self

import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from cluster import Cluster

from benchmarks.pairs import Run, steady_rate
from benchmarks.place import Place
from benchmarks.processes import cpu_seconds, main_thread_seconds, only_on, resident_mb
from benchmarks.stream import Results, publish, uploads

WARM_UP = 40  # images
DEADLINE = 300.0  # seconds
_STAGES = ("fetch", "decode", "inference", "total")


class Workers:
    """Workers with settings of their own. Use as an async context manager; a contestant then.

    Attributes:
        name: Of the contestant.
        cluster: Its processes.
    """

    def __init__(
        self,
        name: str,
        place: Place,
        *,
        count: int = 1,
        partitions: int = 4,
        model: Path | None = None,
        cores: Iterable[set[int] | None] | None = None,
        environment: dict[str, str] | None = None,
    ) -> None:
        """Describe them.

        Args:
            name: Of the contestant.
            place: Where the broker and the images are.
            count: How many workers.
            partitions: Of each topic.
            model: A model folder instead of the default model.
            cores: Where each worker runs; where the place says otherwise.
            environment: More settings.
        """
        self.name = name
        self._place = place
        self._cores = list(cores) if cores else [place.cores] * count
        unique = f"bench-{uuid.uuid4().hex[:8]}"
        folder = place.folder / unique
        folder.mkdir()
        self.cluster = Cluster(place.bootstrap, unique, folder, partitions=partitions)
        self.cluster.environment = {
            "TAGSTREAM_ALLOW_SOURCES": place.server.removeprefix("http://"),
            "TAGSTREAM_LOG_LEVEL": "WARNING",
            **({"TAGSTREAM_ADD_ONS": f"imagga_tagging={model}"} if model else {}),
            **(environment or {}),
        }
        self._next = 1

    @property
    def pids(self) -> list[int]:
        """Give the workers' processes."""
        return [process.pid for process in self.cluster.processes.values()]

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.cluster.close)
            for worker, cores in enumerate(self._cores):
                with only_on(cores):
                    await self.cluster.start(worker)
            await self.cluster.until_ready(range(len(self._cores)))
            await self.run("0.2mp", WARM_UP)
            stack.pop_all()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.cluster.close()

    async def run(self, photos: str, images: int) -> Run:
        """Tag so many images of a set."""
        topics = self.cluster.names
        first, self._next = self._next, self._next + images
        events = uploads(self._place.server, photos, first, images)
        async with Results(self._place.bootstrap, topics.categorizations, self.cluster.partitions) as results:
            before = self._seconds()
            await publish(self._place.bootstrap, topics.uploads, events)
            found = await results.next(images, DEADLINE)
            used = {part: seconds - before[part] for part, seconds in self._seconds().items()}
        parts = {f"{part}_cpu_ms": seconds / images * 1000 for part, seconds in used.items()}
        cpu_ms = parts.pop("workers_cpu_ms")
        parts["threads_cpu_ms"] = cpu_ms - parts["loop_cpu_ms"]
        parts["peak_rss_mb"] = resident_mb(self.pids, peak=True)
        parts |= _stages([value for _, value in found])
        return Run(steady_rate([at for at, _ in found]), cpu_ms, parts)

    def _seconds(self) -> dict[str, float]:
        return {
            "workers": cpu_seconds(self.pids),
            "loop": sum(map(main_thread_seconds, self.pids)),
            **self._place.cpu_seconds(),
        }


def _stages(values: Iterable[bytes]) -> dict[str, float]:
    """Give the median of each stage's time, and the 99th percentile of the whole, from intake to tags."""
    timings = [orjson.loads(value)["timings_ms"] for value in values]
    cuts = {stage: quantiles([timing[stage] for timing in timings], n=100) for stage in _STAGES}
    return {f"{stage}_p50_ms": cuts[stage][49] for stage in _STAGES} | {"total_p99_ms": cuts["total"][98]}
