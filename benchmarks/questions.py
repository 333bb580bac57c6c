"""Restarts and questions over HTTP, as a client of live workers sees them."""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from pathlib import Path

import httpx
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.cluster import Cluster

from benchmarks.processes import cpu_seconds, resident_mb

DEADLINE = 1800  # seconds that a restart may take
QUERIES = {
    "top": "/trends/top?window=24h&limit=20",
    "top_all": "/trends/top?window=all&limit=20",
    "top_uploaders": "/trends/top?window=24h&limit=20&by=uploaders",
    "rising": "/trends/rising?window=24h",
    "series": "/trends/tags/tag{tag}?window=7d",
    "images": "/images?tag=tag{tag}&limit=20",
    "interests": "/users/user{user}/interests",
    "similar": "/users/user{user}/similar",
}


async def restart(cluster: Cluster, workers: int) -> dict[str, object]:
    """Start the workers; return the seconds until uploads are worked on, and until all answers are complete.

    Besides, for each worker, its processor time and memory by then.
    """
    started = time.monotonic()
    for worker in range(workers):
        await cluster.start(worker)
    await cluster.until_ready(range(workers), DEADLINE)
    tagging = time.monotonic() - started
    async with asyncio.timeout(DEADLINE):
        for worker in range(workers):
            while not await _is_complete(cluster, worker):
                await asyncio.sleep(0.25)
    queries = time.monotonic() - started
    pids = [cluster.processes[worker].pid for worker in range(workers)]
    return {
        "seconds_to_tagging": round(tagging, 1),
        "seconds_to_complete_answers": round(queries, 1),
        "cpu_seconds": [round(cpu_seconds(pid), 1) for pid in pids],
        "rss_mb": [round(resident_mb(pid)) for pid in pids],
    }


async def _is_complete(cluster: Cluster, worker: int) -> bool:
    try:
        answer = await cluster.get(worker, "/trends/top?limit=1")
    except httpx.TransportError:
        return False
    return bool(answer.get("complete"))


class Questions:
    """Asks each worker in turn, one question at a time; tags by Zipf's law, users evenly."""

    def __init__(self, cluster: Cluster, workers: int, options: argparse.Namespace) -> None:
        self._cluster = cluster
        self._workers = workers
        self._options = options
        self._dice = random.Random(options.seed)

    async def ask(self) -> dict[str, dict[str, object]]:
        """Ask each kind of question; milliseconds as the client sees them, and what was not answered."""
        found = {}
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            for name, path in QUERIES.items():
                found[name] = await self._ask(client, path)
                print(
                    f"{name:<13}",
                    " ".join(f"{key} {value}" for key, value in found[name].items()),
                    flush=True,
                )
        return found

    async def _ask(self, client: httpx.AsyncClient, path: str) -> dict[str, object]:
        times: list[float] = []
        others: Counter[str] = Counter()
        for number in range(self._options.questions):
            started = time.perf_counter()
            outcome = await self._outcome(client, number % self._workers, path)
            if outcome == "200":
                times.append((time.perf_counter() - started) * 1000)
            else:
                others[outcome] += 1
        if not times:
            return {"answers": 0, "others": dict(others)}
        p50, p99, most = np.percentile(times, [50, 99, 100])
        return {
            "p50_ms": round(float(p50), 2),
            "p99_ms": round(float(p99), 2),
            "max_ms": round(float(most), 2),
            "answers": len(times),
            "others": dict(others),
        }

    async def _outcome(self, client: httpx.AsyncClient, worker: int, path: str) -> str:
        """Ask once; return the status, or the error that there was instead."""
        tag = int(self._options.tags ** self._dice.random()) - 1
        user = self._dice.randrange(self._options.users)
        url = f"http://127.0.0.1:{self._cluster.ports[worker]}" + path.format(tag=tag, user=user)
        try:
            return str((await client.get(url)).status_code)
        except httpx.HTTPError as error:
            return type(error).__name__
