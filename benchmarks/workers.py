"""Tagstream's own workers as a contestant: real processes, on a real broker."""

import sys
import uuid
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from statistics import quantiles
from types import TracebackType
from typing import Self

import orjson

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cluster import Cluster

from benchmarks.measured import Topics, measure_run
from benchmarks.pairs import Run
from benchmarks.processes import main_thread_seconds, only_on
from benchmarks.testbed import Testbed

WARM_UP = 40  # images
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
        place: Testbed,
        *,
        count: int = 1,
        partitions: int = 4,
        model: Path | None = None,
        cores: Iterable[set[int] | None] | None = None,
        environment: dict[str, str] | None = None,
        warm_up: bool = True,
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
            warm_up: Whether to tag some photos at the start.
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
        self._warm_up = warm_up
        self._next = 1

    @property
    def pids(self) -> list[int]:
        """The workers' processes."""
        return [process.pid for process in self.cluster.processes.values()]

    @property
    def topics(self) -> Topics:
        """The topics between us and them."""
        names = self.cluster.names
        return Topics(names.uploads, names.categorizations, self.cluster.partitions)

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.cluster.close)
            for worker, cores in enumerate(self._cores):
                with only_on(cores):
                    await self.cluster.start(worker)
            await self.cluster.until_ready(range(len(self._cores)))
            if self._warm_up:
                await self.run("0.2mp", WARM_UP)
            stack.pop_all()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self.cluster.close()

    def numbers(self, images: int) -> range:
        """Numbers for so many images that were not used before."""
        first, self._next = self._next, self._next + images
        return range(first, first + images)

    async def run(self, photos: str, images: int) -> Run:
        """Tag so many images of a set."""
        before = self._loop_seconds()
        found = await measure_run(self._place, self.topics, lambda: self.pids, photos, self.numbers(images))
        loop_ms = (self._loop_seconds() - before) / images * 1000
        run = found.run
        parts = {"loop_cpu_ms": loop_ms, "threads_cpu_ms": run.cpu_ms - loop_ms, **run.parts}
        return replace(run, parts=parts | _stages(found.values))

    def _loop_seconds(self) -> float:
        return sum(map(main_thread_seconds, self.pids))


def _stages(values: Iterable[bytes]) -> dict[str, float]:
    """The median of each stage's time, and the 99th percentile of the whole, from intake to tags."""
    timings = [orjson.loads(value)["timings_ms"] for value in values]
    cuts = {stage: quantiles([timing[stage] for timing in timings], n=100) for stage in _STAGES}
    return {f"{stage}_p50_ms": cuts[stage][49] for stage in _STAGES} | {"total_p99_ms": cuts["total"][98]}
