"""Which threads, batches and execution provider suit this machine: measured with the worker's own pool.

Each plan keeps a pool of tagger threads busy with photos for a while, as a backlog would. Among the
plans that are about as fast as the fastest, the one with the smallest batch and the fewest threads is
best: it answers a lone upload soonest and holds the least memory.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from model import Tagger
from streams.tag.pool import TaggerPool

CPU = "CPUExecutionProvider"
_ADD_ON = "measured"
_ABOUT_AS_FAST = 0.97
_BATCHES = {True: (1, 4, 8, 16), False: (8, 16, 32, 64)}  # by whether it is the CPU that infers
_LEAST_LATENCIES = 5


@dataclass(frozen=True)
class Plan:
    """One way to use the machine."""

    provider: str
    threads: int
    intra_op_threads: int
    max_batch: int


@dataclass(frozen=True)
class Trial:
    """What a plan gave: images per second of a backlog, and the milliseconds of a lone image."""

    plan: Plan
    images_per_second: float
    lone_ms: float


def plans(providers: Sequence[str], cores: int) -> Iterator[Plan]:
    """The plans worth measuring on a machine.

    Args:
        providers: ONNX Runtime's execution providers.
        cores: That the process may use.
    """
    for provider in providers:
        for threads in sorted({1, max(1, cores // 2), cores}):
            for max_batch in _BATCHES[provider == CPU]:
                yield Plan(provider, threads, 1, max_batch)
        if provider == CPU and cores > 1:
            yield Plan(provider, 1, cores, 8)


async def measure(
    plan: Plan, load: Callable[[Plan], Tagger], photos: Sequence[bytes], seconds: float
) -> Trial:
    """Try one plan for some seconds.

    Raises:
        ManifestError: The model cannot be loaded in that way.
    """
    tagger = await asyncio.to_thread(load, plan)
    pool = TaggerPool({_ADD_ON: tagger}, threads=plan.threads, max_batch=plan.max_batch)
    pool.start()
    try:
        await _keep_busy(pool, plan, photos, seconds / 4)  # providers choose their kernels on first sight
        rate = await _keep_busy(pool, plan, photos, seconds)
        return Trial(plan, rate, await _lone(pool, photos))
    finally:
        await asyncio.to_thread(pool.stop)


def best(trials: Sequence[Trial]) -> Trial:
    """The trial whose plan to take."""
    fastest = max(trial.images_per_second for trial in trials)
    close = [trial for trial in trials if trial.images_per_second >= _ABOUT_AS_FAST * fastest]
    return min(close, key=lambda trial: (trial.plan.max_batch, trial.plan.threads, -trial.images_per_second))


async def _keep_busy(pool: TaggerPool, plan: Plan, photos: Sequence[bytes], seconds: float) -> float:
    """Images per second of a backlog that is never empty."""
    end = time.perf_counter() + seconds
    done = 0

    async def one_after_another(number: int) -> None:
        nonlocal done
        while time.perf_counter() < end:
            await pool.tag(photos[number % len(photos)], [_ADD_ON])
            number += 1
            done += 1

    started = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(5 * plan.threads * plan.max_batch):  # so many wait that batches are full
            tasks.create_task(one_after_another(number))
    return done / (time.perf_counter() - started)


async def _lone(pool: TaggerPool, photos: Sequence[bytes]) -> float:
    """Median milliseconds of images that come one at a time."""
    found = []
    for photo in (*photos, *photos)[: max(_LEAST_LATENCIES, len(photos))]:
        started = time.perf_counter()
        await pool.tag(photo, [_ADD_ON])
        found.append((time.perf_counter() - started) * 1000)
    return sorted(found)[len(found) // 2]
