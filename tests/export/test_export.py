"""`tagstream export`: the state as tables, whole, at one set of offsets, while workers run and are killed."""

import asyncio
import csv
import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from support.cluster import Cluster
from support.fault_cases import STUB

from schemas.errors import SettingsError
from schemas.uploads import UploadData
from streams.export.files import ROWS_PER_GROUP, TableFile
from streams.export.folder import whole_folder
from streams.export.shelf import Count, Shelf
from streams.export.tables import IMAGES, TABLES, counts_of, image_cells

TAGS = ("koala", "tree", "zoo", "sea")


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


def upload(number: int) -> UploadData:
    """An upload of an image with one to four tags, of one of two tenants, on one of three days."""
    scores = json.dumps({tag: 0.9 - place / 10 for place, tag in enumerate(TAGS[: 1 + number % 4])})
    return UploadData(
        public_id=f"image-{number}",
        event_id=f"event-{number}",
        url=f"data:application/json,{scores}".replace(" ", "").replace('"', "%22"),
        user_id=f"u{number % 5}",
        tenant="acme" if number % 3 == 0 else None,
        tags=["own"] if number % 7 == 0 else None,
        uploaded_at=f"2026-01-{28 + number % 3}T12:00:00Z",
        auto_tagging=0.55,
    )


async def export(cluster: Cluster, folder: Path, *more: str) -> tuple[int, str]:
    """Run the command; its exit code and what it prints."""
    process = await start_export(cluster, folder, *more)
    printed, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, printed.decode()


async def start_export(cluster: Cluster, folder: Path, *more: str) -> asyncio.subprocess.Process:
    names = {"TAGSTREAM_APP_ID": cluster.name, "TAGSTREAM_TOPIC_PREFIX": cluster.names.prefix}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "export", str(folder), "--broker", cluster.bootstrap, *more),
        env={**os.environ, **names},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


def asked(folder: Path, question: str) -> list[tuple[Any, ...]]:
    """What DuckDB answers, each table of an export a view."""
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for table in TABLES:
            engine.execute(f"CREATE VIEW {table.name} AS FROM '{folder}/{table.name}.parquet'")
        return engine.execute(question).fetchall()


TOP = "SELECT tag, sum(images) AS n FROM counts WHERE tenant = '' AND {} GROUP BY tag ORDER BY n DESC, tag"


@pytest.mark.kafka
@pytest.mark.slow
async def test_duckdb_over_an_export_answers_as_the_api_does(cluster: Cluster, tmp_path: Path) -> None:
    """After a kill: images, tags, and counts of all time, of a day and by add-on."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish([upload(number) for number in range(60)])
    await cluster.kill(0)
    await cluster.start(0)
    await cluster.until_ready([0])
    edit = UploadData(public_id="image-1", type="image.tags-edited", added=["=zoo"], removed=["koala"])
    await cluster.publish([UploadData(public_id="image-2", type="image.deleted"), edit])
    await cluster.until_folded(62)
    folder = tmp_path / "out"
    code, printed = await export(cluster, folder)
    assert code == 0, printed
    assert "59 images" in printed

    top = await cluster.get(0, "/trends/top?window=all&limit=100")
    assert asked(folder, TOP.format("period = 'all'")) == [
        (each["tag"], each["count"]) for each in top["tags"]
    ]
    day = "/trends/top?from=2026-01-29T00:00:00Z&to=2026-01-30T00:00:00Z&limit=100"
    of_day = await cluster.get(0, day)
    one_day = "period = 'day' AND start = TIMESTAMPTZ '2026-01-29 00:00:00+00'"
    assert of_day["tags"]
    assert asked(folder, TOP.format(one_day)) == [(each["tag"], each["count"]) for each in of_day["tags"]]

    (tag, *_) = [each["tag"] for each in top["tags"]]
    series = await cluster.get(0, f"/trends/tags/{tag}?window=all")
    of_add_ons = "SELECT tag, source, images FROM add_on_counts WHERE tenant = '' AND period = 'all'"
    found = [(source, images) for name, source, images in asked(folder, of_add_ons) if name == tag]
    assert dict(found) == series["by_add_on"]

    images = await cluster.get(0, "/images?limit=100&tenant=acme")
    told = {
        (each["public_id"], tag["tag"], tag["confidence"])
        for each in images["images"]
        for tag in each["tags"]
    }
    rows = asked(folder, "SELECT public_id, tag, round(confidence, 4) FROM tags WHERE tenant = 'acme'")
    assert set(rows) == told
    assert ("image-1", "=zoo", "people") in asked(folder, "SELECT public_id, tag, sources FROM tags")
    # What is counted is what images have.
    by_hand = "SELECT tenant, tag, count(*) FROM tags GROUP BY ALL"
    counted = "SELECT tenant, tag, sum(images)::BIGINT FROM counts WHERE period = 'all' GROUP BY ALL"
    assert sorted(asked(folder, by_hand)) == sorted(asked(folder, counted))

    code, printed = await export(cluster, tmp_path / "csv", "--format", "csv")
    assert code == 0, printed
    with (tmp_path / "csv" / "tags.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["tag"] for row in csv.DictReader(file)]
    assert len(texts) == asked(folder, "SELECT count(*) FROM tags")[0][0]
    assert "'=zoo" in texts  # a spreadsheet would run the other


@pytest.mark.kafka
@pytest.mark.slow
async def test_an_export_is_that_of_one_moment_while_uploads_go_on(cluster: Cluster, tmp_path: Path) -> None:
    """In each, counts are those of its images, whatever is committed meanwhile; offsets only grow."""
    await cluster.start(0)
    await cluster.until_ready([0])
    publishing = asyncio.create_task(publish_slowly(cluster, 1500))
    seen = []
    try:
        for number in range(4):
            folder = tmp_path / f"out-{number}"
            code, printed = await export(cluster, folder)
            assert code == 0, printed
            images = "SELECT tenant, tag, count(*) FROM tags GROUP BY ALL"
            counts = "SELECT tenant, tag, sum(images)::BIGINT FROM counts WHERE period = '{}' GROUP BY ALL"
            for period in ("all", "day"):
                assert sorted(asked(folder, images)) == sorted(asked(folder, counts.format(period)))
            manifest = json.loads((folder / "manifest.json").read_bytes())
            folded = [len(done(partition)) for partition in manifest["partitions"]]
            assert sum(folded) == asked(folder, "SELECT count(*) FROM images")[0][0]
            seen.append(folded)
    finally:
        await publishing
    assert seen == sorted(seen)
    assert seen[0] < seen[-1]


async def publish_slowly(cluster: Cluster, count: int) -> None:
    for start in range(0, count, 10):
        await cluster.publish([upload(number) for number in range(start, start + 10)])


def done(partition: dict[str, Any]) -> set[int]:
    """The offsets that are folded in, by a partition's entry in the manifest."""
    place, offsets = partition["next"], set(range(partition["next"]))
    for number, length in enumerate(partition["above"]):
        if number % 2:
            offsets |= set(range(place, place + length))
        place += length
    return offsets


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_an_export_that_is_cut_short_leaves_nothing_under_its_name(
    cluster: Cluster, tmp_path: Path, number: signal.Signals
) -> None:
    """Killed at any time: the folder is not there; the next export to it is whole."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish([upload(number) for number in range(20)])
    await cluster.until_folded(20)
    folder = tmp_path / "out"
    process = await start_export(cluster, folder)
    async with asyncio.timeout(60):
        while not (tmp_path / ".out.partial").exists() and process.returncode is None:
            await asyncio.sleep(0.001)
    process.send_signal(number)
    printed, _ = await process.communicate()
    assert not folder.exists()
    assert process.returncode == (1 if number == signal.SIGINT else -signal.SIGKILL), printed
    code, printed_now = await export(cluster, folder)
    assert code == 0, printed_now
    assert {path.name for path in folder.iterdir()} == {
        "manifest.json", "images.parquet", "tags.parquet", "counts.parquet", "add_on_counts.parquet"
    }  # fmt: skip
    assert [name for name in os.listdir(tmp_path) if name.startswith(".out")] == []  # noqa: PTH208
    code, printed_now = await export(cluster, folder)
    assert code == 78
    assert "is there already; name another folder" in printed_now


async def test_what_it_needs_is_told() -> None:
    """No broker: the exit code of what cannot begin."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "export", "/tmp/never", "--broker", "127.0.0.1:9"),  # noqa: S108
        stderr=asyncio.subprocess.PIPE,
    )
    _, printed = await process.communicate()
    assert process.returncode == 78
    assert b"no Kafka at 127.0.0.1:9" in printed


def test_two_exports_to_one_name_exclude_each_other(tmp_path: Path) -> None:
    """The second is refused; the first goes on."""
    with whole_folder(tmp_path / "out") as partial:
        (partial / "x").write_text("1")
        refused = pytest.raises(SettingsError, match="is being written by another export")
        with refused, whole_folder(tmp_path / "out"):
            pass
    assert (tmp_path / "out" / "x").read_text() == "1"


IMAGE = {
    "o": 1, "at": 1_769_860_800_000, "user": None, "tags": ["koala", "own"], "by": [["a", "b"], ["own"]],
    "scores": {"a": [["koala", 0.5]], "b": [["koala", 0.7]]}, "cause": ["s", "i", "t"],
}  # fmt: skip


def test_an_image_as_rows() -> None:
    """Its tags have their highest confidence; what is deleted, or no image, has no rows."""
    row = IMAGE | {"version": 7, "asset": {"asset_id": "x", "format": "jpg"}}
    found = image_cells(3, "koala\x1facme", json.dumps(row).encode())
    assert found is not None
    image = dict(zip((column.name for column in IMAGES.columns), found[0], strict=True))
    assert (image["tenant"], image["public_id"], image["version"], image["tags"]) == ("acme", "koala", 7, 2)
    assert image["uploaded_at"] == datetime(2026, 1, 31, 12, tzinfo=UTC)
    assert json.loads(str(image["asset"])) == row["asset"]
    assert found[1] == [("acme", "koala", "koala", 0.7, "a,b", 3), ("acme", "koala", "own", 1.0, "own", 3)]
    assert image_cells(3, "koala", json.dumps(IMAGE | {"deleted": True}).encode()) is None
    raw = IMAGE | {"asset": {"resource_type": "raw"}}
    assert image_cells(3, "koala", json.dumps(raw).encode()) is None


def test_counts_of_partitions_are_summed(tmp_path: Path) -> None:
    """Images add up; the first and the last time are those of all; what is zero is left out."""
    one = json.dumps({"o": 1, "n": 2, "by": {"a": 2}, "first": 5, "last": 9}).encode()
    two = json.dumps({"o": 1, "n": 1, "by": {"a": 1}, "first": 3, "last": 4}).encode()
    none = json.dumps({"o": 1, "n": 0, "by": {}}).encode()
    with Shelf(tmp_path / "rows") as shelf:
        shelf.add(counts_of("all:0:a:b", one))
        shelf.add(counts_of("all:0:a:b", two))
        shelf.add(counts_of("day:86400:sea\x1facme", two))
        shelf.add(counts_of("day:0:gone", none))
        assert [*shelf.counts(by_add_on=False)] == [
            Count("", "all", 0, "a:b", "", 3, 3, 9),
            Count("acme", "day", 86400, "sea", "", 1, 3, 4),
        ]
        assert [count.images for count in shelf.counts(by_add_on=True)] == [3, 1]


def test_what_came_lately_is_in_its_buckets(tmp_path: Path) -> None:
    """What waits in a row of its own is added to what its buckets have."""
    settled = json.dumps({"o": 1, "n": 2, "by": {"a": 2}, "first": 5, "last": 9}).encode()
    uses = [[1, 7, ["a"], 2, 0, 10, ""], [3, 4, ["a", "own"], 1, 0, 0, ""], [0, 4, ["a"], -1, None, None, ""]]
    recent = json.dumps({"o": 2, "n": 2, "uses": uses}).encode()
    with Shelf(tmp_path / "rows") as shelf:
        shelf.add(counts_of("all:0:koala", settled))
        shelf.add(counts_of("day:0:koala", settled))
        shelf.add(counts_of("recent:0:koala", recent))
        assert [*shelf.counts(by_add_on=False)] == [
            Count("", "all", 0, "koala", "", 4, 5, 180_000),
            Count("", "day", 0, "koala", "", 4, 5, 9),
            Count("", "hour", 0, "koala", "", 2, None, None),
            Count("", "minute", 60, "koala", "", 2, None, None),
        ]
        by_add_on = [(count.period, count.add_on, count.images) for count in shelf.counts(by_add_on=True)]
        assert by_add_on == [
            ("all", "a", 4),
            ("all", "own", 1),
            ("day", "a", 4),
            ("day", "own", 1),
            ("hour", "a", 2),
            ("minute", "a", 2),
        ]


def test_the_newest_row_of_a_key_counts(tmp_path: Path) -> None:
    """And none, where the last record removes it."""
    with Shelf(tmp_path / "rows") as shelf:
        shelf.put("images", [("a", b"1"), ("b", b"1"), ("a", b"2"), ("b", None)])
        assert [*shelf.rows("images")] == [("a", b"2")]
        shelf.clear()
        assert [*shelf.rows("images")] == []


def test_parquet_is_written_in_groups_of_rows(tmp_path: Path) -> None:
    """So that neither writer nor reader holds all; columns have their meaning with them."""
    rows = Counter[str]()
    with TableFile(tmp_path, IMAGES, "parquet") as file:
        for number in range(2 * ROWS_PER_GROUP + 1):
            moment = datetime(2026, 1, 1, tzinfo=UTC)
            file.add(("", f"i{number}", None, None, moment, None, 0, *[None] * 6, 0))
            rows["n"] += 1
    with pq.ParquetFile(tmp_path / "images.parquet") as made:
        assert made.num_row_groups == 3
        assert made.metadata.num_rows == file.rows == rows["n"]
        assert made.schema_arrow.field("uploaded_at").metadata[b"description"] == b"Event time of the upload."


@pytest.mark.slow
def test_memory_does_not_grow_with_the_state(tmp_path: Path) -> None:
    """Half a million rows of a kilobyte wait on disk: a process that takes them stays below 300 MB."""
    program = f"""
from pathlib import Path
from streams.export.shelf import Shelf
with Shelf(Path({str(tmp_path / "rows")!r})) as shelf:
    for start in range(0, 500_000, 1000):
        shelf.put("images", [(f"image-{{n}}", b"x" * 1000) for n in range(start, start + 1000)])
    assert sum(1 for _ in shelf.rows("images")) == 500_000
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(peak.split()[1])  # ru_maxrss is that of whoever started this process, if it is larger
"""
    made = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert int(made.stdout) < 300_000
