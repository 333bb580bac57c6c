"""Trends over HTTP, as a table."""

import re

import pytest
from support.cluster import Cluster
from support.examples import Programs, until

from schemas.uploads import UploadData

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="session")]


async def test_it_prints_what_the_worker_answers(cluster: Cluster, programs: Programs, koala: str) -> None:
    """The most used tags, those that rise, and the hours of one tag."""
    await cluster.publish([UploadData(public_id=f"asked-{n}", url=koala, auto_tagging=0.4) for n in range(3)])

    async def counted() -> dict[str, int] | None:
        answer = await cluster.get(0, "/trends/top?limit=5")
        counts = {row["tag"]: row["count"] for row in answer["tags"]}
        return counts if counts.get("koala", 0) >= 3 else None

    counts = await until(counted)
    printed = await programs.output("examples/ask_trends.py", "koala")
    used, rising, series = re.split(r"(?:most used|rising|koala, by hour)\n", printed)[1:]
    told = {tag: int(count) for tag, count in re.findall(r"(\S.*?) {2,}(\d+)\n", used)}
    assert told == counts
    assert re.search(r"\bkoala +\d+ +[\d.]+\n", rising)
    assert sum(int(count) for count in re.findall(r"Z +(\d+)\n", series)) == counts["koala"]


async def test_a_tag_that_nobody_has(programs: Programs) -> None:
    """It ends with the worker's reason."""
    printed = await programs.output("examples/ask_trends.py", "no such tag", code=1)
    assert "no image has the tag 'no such tag'" in printed
