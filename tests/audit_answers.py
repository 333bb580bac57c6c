"""What a worker answers over HTTP, against the oracle's."""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import httpx
from audit_tables import Findings
from cluster import Cluster
from oracle import Partition

_PATIENCE = 30.0  # seconds in which a follower must have caught up


async def compare_answers(
    cluster: Cluster, worker: int, partitions: dict[int, Partition], findings: Findings
) -> None:
    """Compare each answer that this worker's API offers and the oracle knows."""
    offered = (await _get(cluster, worker, "/openapi.json"))["paths"]
    if "/trends/top" in offered:
        await _compare_top(cluster, worker, partitions, findings)


async def _compare_top(
    cluster: Cluster, worker: int, partitions: dict[int, Partition], findings: Findings
) -> None:
    must = {number: partition.next for number, partition in partitions.items()}
    answer: dict[str, Any] = {}
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while not answer or _positions(answer) != must or not answer["complete"]:
                answer = await _get(cluster, worker, "/trends/top?window=all&limit=1000")
                await asyncio.sleep(0.2)
    findings.check("answers", f"worker {worker}: positions", must, _positions(answer))
    findings.check("answers", f"worker {worker}: complete", must=True, is_=answer["complete"])
    given = [(row["tag"], row["count"]) for row in answer["tags"]]
    findings.check("answers", f"worker {worker}: top tags of all time", _top(partitions), given)


def _top(partitions: dict[int, Partition]) -> list[tuple[str, int]]:
    totals: Counter[str] = Counter()
    for partition in partitions.values():
        for (tenant, window, _, tag), trend in partition.trends().items():
            if (tenant, window) == ("", "all"):
                totals[tag] += trend.n
    return sorted(totals.items(), key=lambda item: (-item[1], item[0]))


def _positions(answer: dict[str, Any]) -> dict[int, int]:
    return {state["partition"]: state["next_offset"] for state in answer["as_of"]}


async def _get(cluster: Cluster, worker: int, path: str) -> Any:  # noqa: ANN401 - JSON
    async with asyncio.timeout(_PATIENCE):
        while True:
            with contextlib.suppress(httpx.TransportError):
                return await cluster.get(worker, path)
            await asyncio.sleep(0.2)
