"""Streams of what changed, folded by an independent client, against the rows; rises, each told once."""

import asyncio
import time
from collections import defaultdict
from datetime import datetime
from typing import Any

import orjson
from support.cluster import Cluster
from support.judge.audit_tables import Findings, Rows
from support.judge.rises import expected_trends

from schemas.streams.records import IMAGE_TAGS, TAG_COUNTS
from schemas.topics import OFFSET_KEY
from streams.fold.rows import ImageKey, TrendKey

_PHASES = ["trend.began", "trend.peaked", "trend.ended"]


async def compare_streams(cluster: Cluster, partition: int, rows: Rows, findings: Findings) -> None:
    """Compare one partition's records, the newest of each key, with its rows."""
    names = cluster.names
    if IMAGE_TAGS in names.streams:
        tags = {
            (*ImageKey.decode(key), tag): ",".join(sources)
            for key, row in rows["images"].items()
            for tag, sources in zip(row["tags"], row["by"], strict=True)
        }
        found = await _folded(cluster, names.image_tags, partition)
        came = {(row["tenant"], row["public_id"], row["tag"]): row["source"] for row in found}
        _compare("tags of images by image.tags", partition, tags, came, findings)
    if TAG_COUNTS in names.streams:
        counts = {
            (place.tenant, place.window, place.start, place.tag, add_on): count
            for key, row in rows["trends"].items()
            for place in [TrendKey.decode(key)]
            for add_on, count in {"*": row["n"], **row["by"]}.items()
        }
        found = await _folded(cluster, names.tag_counts, partition)
        told = {
            (row["tenant"], row["window"], _seconds(row["start"]), row["tag"], row["add_on"]): row["count"]
            for row in found
        }
        _compare("counts by tag.counts", partition, counts, told, findings)


def _compare(
    kind: str, partition: int, must: dict[Any, Any], is_: dict[Any, Any], findings: Findings
) -> None:
    for place in must.keys() | is_.keys():
        findings.check(kind, f"{place} of partition {partition}", must.get(place), is_.get(place))


async def _folded(cluster: Cluster, topic: str, partition: int) -> list[dict[str, Any]]:
    found: dict[bytes, bytes] = {}
    async for record in cluster.records(topic, [partition]):
        found.pop(record.key, None)
        if record.value is not None:
            found[record.key] = record.value
    return [orjson.loads(value) for value in found.values()]


def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


async def compare_trends(cluster: Cluster, findings: Findings) -> None:
    """Each rise is told once, in order, and as an offline computation from the counts has it.

    The topic of counts keeps every record for ten minutes, so the offsets of each judgement say what it saw.
    """
    names = cluster.names
    changes = await cluster.read(names.rises_changelog)
    progress = [orjson.loads(each.value) for each in changes if each.key == OFFSET_KEY.encode()]
    findings.checked["judgements"] += len(progress)
    must = expected_trends(await cluster.read(names.tag_counts), progress)
    told = await _told(cluster, progress[-1]["judged"] if progress else 0, len(must))
    phases: dict[str, list[str]] = defaultdict(list)
    for trend in told:
        phases[trend["rise"]].append(trend["phase"])
    for rise, came in phases.items():
        findings.check("rises", rise, _PHASES[: len(came)], came)
    fields = ("phase", "tenant", "tag", "at", "told_at", "observed", "expected", "score", "uploaders")
    findings.check("trends offline", "their number", len(must), len(told))
    for wanted, came_one in zip(must, told, strict=False):
        is_ = {name: came_one[name] for name in fields}
        findings.check("trends offline", f"{wanted['tag']} {wanted['phase']}", wanted, is_)


async def _told(cluster: Cluster, until: int, least: int) -> list[dict[str, Any]]:
    """What was told until a step, read once it can be: markers of one transaction come one by one."""
    deadline = time.monotonic() + 30
    while True:
        records = [orjson.loads(each.value) for each in await cluster.read(cluster.names.image_trends)]
        told = [trend for trend in records if _seconds(trend["told_at"]) <= until]
        if len(told) >= least or time.monotonic() > deadline:
            return told
        await asyncio.sleep(0.2)
