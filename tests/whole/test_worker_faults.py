"""Faults on a worker's own side: disk, state directory, clock, name; real broker, real workers."""

import asyncio
import random
import resource
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
import pytest
from aiohttp import web
from aiokafka.admin import AIOKafkaAdminClient
from support.cluster import Cluster
from support.fault_cases import STUB, assert_exact, log_of, status, uploads
from support.small_source import source

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]

HOUR = 3600


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    environment = STUB | {"TAGSTREAM_SNAPSHOT_INTERVAL": "1"}
    cluster = Cluster(kafka, unique, tmp_path, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


def state_of(cluster: Cluster, worker: int) -> Path:
    return cluster.folder / f"worker-{worker}" / "state"


async def until_told(cluster: Cluster, worker: int, count: int, seconds: float = 30) -> None:
    """Wait until a worker counts so many images, and answers for all partitions."""
    async with asyncio.timeout(seconds):
        while True:
            answer = await cluster.get(worker, "/trends/top?window=all")
            counts = {row["tag"]: row["count"] for row in answer.get("tags", ())}
            if counts == {"koala": count, "tree": count} and answer["complete"] and not answer["behind"]:
                return
            await asyncio.sleep(0.2)


async def until_saved(cluster: Cluster, worker: int, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while len(list(state_of(cluster, worker).glob("*.snapshot"))) < cluster.partitions:
            await asyncio.sleep(0.2)


async def until_logged(cluster: Cluster, worker: int, text: str, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while text not in log_of(cluster, worker):
            await asyncio.sleep(0.2)


async def test_a_full_disk_costs_the_snapshots_alone(cluster: Cluster) -> None:
    """A warning, no half-written file, and tagging goes on; once there is room, snapshots are saved again."""
    cluster.environment["TAGSTREAM_SNAPSHOT_INTERVAL"] = "3"
    cluster.partitions = 1
    await cluster.start(0)
    await cluster.until_ready([0])
    pid = cluster.processes[0].pid
    old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (50_000, old[1]))  # the kernel refuses larger files: EFBIG
    await cluster.publish(uploads(range(300)))
    await cluster.until_folded(300)
    await until_logged(cluster, 0, "cannot save a snapshot, a restart will take longer")
    assert list(state_of(cluster, 0).glob("*.draft")) == []
    assert await status(cluster, 0) == (200, "ready")
    resource.prlimit(pid, resource.RLIMIT_FSIZE, old)
    await cluster.publish(uploads(range(300, 310)))
    await cluster.until_folded(310)
    await until_saved(cluster, 0)
    await assert_exact(cluster, 310)


async def test_a_data_directory_that_cannot_be_used_is_named(cluster: Cluster) -> None:
    """Exit code 78 with setting, path and cure."""
    blocked = cluster.folder / "blocked"
    blocked.write_text("a file where the directory should be")
    cluster.environment["TAGSTREAM_DATA_DIR"] = str(blocked / "data")
    await cluster.start(0)
    assert await cluster.ended(0) == 78
    said = log_of(cluster, 0)
    assert f"TAGSTREAM_DATA_DIR='{blocked}/data': Not a directory" in said
    assert "name a directory that the worker may write to" in said


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def scramble(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(path.stat().st_size))


@pytest.mark.parametrize("damage", [truncate, scramble])
async def test_a_corrupt_state_directory_is_made_anew(
    cluster: Cluster, damage: Callable[[Path], None]
) -> None:
    """A warning names each file; the state comes from the changelogs, and every count is right."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(100)))
    await cluster.until_folded(100)
    assert await cluster.stop(0) == 0
    files = list(state_of(cluster, 0).glob("*.snapshot"))
    assert len(files) == cluster.partitions
    for path in files:
        damage(path)
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(100, 120)))
    await cluster.until_folded(120)
    await until_told(cluster, 0, 120)
    await assert_exact(cluster, 120)
    said = log_of(cluster, 0)
    assert all(f"{path} is unusable, reading the changelogs instead" in said for path in files)


@pytest.mark.parametrize("later", [30, 300])
async def test_snapshots_of_other_topics_are_not_believed(cluster: Cluster, later: int) -> None:
    """Topics were deleted and made anew, shorter or longer than before, and the old files are still there.

    Neither the owner of a partition nor a worker that only follows it takes a row from them.
    """
    for worker in (0, 1):
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    await cluster.publish(uploads(range(1000, 1100)))
    await cluster.until_folded(100)
    for worker in (0, 1):
        await until_told(cluster, worker, 100)
        assert await cluster.stop(worker) == 0
        assert len(list(state_of(cluster, worker).glob("*.snapshot"))) == cluster.partitions
        state_of(cluster, worker).rename(cluster.folder / f"old-{worker}")
    await delete_topics(cluster)
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(later)))
    await cluster.until_folded(later)
    assert await cluster.stop(0) == 0
    state_of(cluster, 0).rename(cluster.folder / "new-0")
    for worker in (0, 1):
        (cluster.folder / f"old-{worker}").rename(state_of(cluster, worker))
        await cluster.start(worker)
    await cluster.until_ready([0, 1])
    for worker in (0, 1):
        await until_told(cluster, worker, later)
    await assert_exact(cluster, later)


async def delete_topics(cluster: Cluster) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        await admin.delete_topics(list(cluster.names.configs))
        async with asyncio.timeout(30):
            while set(cluster.names.configs) & set(await admin.list_topics()):
                await asyncio.sleep(0.2)
    finally:
        await admin.close()


CLOCK = """\
import pathlib, time
_file, _time = pathlib.Path(__file__).with_name("ahead"), time.time
time.time = lambda: _time() + float(_file.read_text())
"""


@pytest.fixture
def clock(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], object]:
    """Set how far, in seconds, the clock of the cluster's workers is ahead. They read it anew each time."""
    folder = cluster.folder / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK)
    (folder / "ahead").write_text("0")
    monkeypatch.setenv("PYTHONPATH", str(folder), prepend=":")
    draft = folder / "draft"

    def set_ahead(seconds: float) -> object:
        draft.write_text(str(seconds))
        return draft.replace(folder / "ahead")

    return set_ahead


@pytest.fixture
async def busy_port(cluster: Cluster) -> AsyncIterator[int]:
    """The port of a source that says 503 to the first three requests of each path."""
    asked: dict[str, int] = {}

    async def answer(request: web.Request) -> web.StreamResponse:
        asked[request.path] = asked.get(request.path, 0) + 1
        ok = asked[request.path] > 3
        return web.Response(body=b'{"koala":0.9,"tree":0.6}') if ok else web.Response(status=503)

    async with source(answer) as port:
        cluster.environment["TAGSTREAM_ALLOW_SOURCES"] = f"127.0.0.1:{port}"
        yield port


@pytest.mark.parametrize("jump", [-HOUR, HOUR / 3])
async def test_a_clock_that_jumps_moves_neither_counts_nor_retries(
    cluster: Cluster, clock: Callable[[float], object], busy_port: int, jump: float
) -> None:
    """The worker's clock is set while uploads wait for a busy source, and again before a restart.

    The retries come when they were meant to, nothing is given up, and every bucket is right.
    """
    cluster.environment["TAGSTREAM_RETRY_FIRST"] = "6"
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(10)))
    busy = [event.__copy__() for event in uploads(range(10, 14))]
    for event in busy:
        event.url = f"http://127.0.0.1:{busy_port}/{event.public_id}"
    await cluster.publish(busy)
    await cluster.until_folded(14)
    assert len(await cluster.table("retries")) == 4
    clock(jump)
    await asyncio.sleep(1)
    await cluster.kill(0)
    clock(2 * jump)
    await cluster.start(0)
    async with asyncio.timeout(60):
        while await cluster.table("retries"):
            await asyncio.sleep(0.3)
    await cluster.publish(uploads(range(14, 24)))
    await cluster.until_folded(24)
    await assert_exact(cluster, 24)
    hours = [key for _, key in await cluster.table("trends") if key.startswith("hour:")]
    starts = {int(key.split(":")[1]) for key in hours}
    published = {
        record.timestamp // 1000 // HOUR * HOUR for record in await cluster.read(cluster.names.uploads)
    }
    assert starts == published
    assert await status(cluster, 0) == (200, "ready")


async def test_a_clock_that_runs_far_ahead_is_named(
    cluster: Cluster, clock: Callable[[float], object]
) -> None:
    """Kafka takes no records of the future: exit code 70 and the reason; with the right time all is well."""
    clock(30 * HOUR)
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish(uploads(range(10)))
    assert await cluster.ended(0) == 70
    assert "UTC; set this machine's clock right" in log_of(cluster, 0)
    clock(0)
    await cluster.start(0)
    await cluster.until_folded(10)
    await assert_exact(cluster, 10)


async def test_events_of_another_age_harm_no_other(cluster: Cluster) -> None:
    """A time of the far future is a dead letter, so later events of that image still count.

    One of long ago counts in the total, and in no bucket that is past its retention.
    """
    await cluster.start(0)
    await cluster.until_ready([0])
    future, past, *rest = uploads(range(6))
    future.uploaded_at, past.uploaded_at = "2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z"
    later = uploads(range(1))[0]
    later.event_id = "later"
    await cluster.publish([future, past, *rest, later])
    await cluster.until_folded(7)
    (letter,) = await cluster.read(cluster.names.dead_letters)
    assert dict(letter.headers)["tagstream.reason"] == b"invalid_event"
    assert b"more than an hour ahead" in dict(letter.headers)["__connect.errors.exception.message"]
    assert await cluster.counts() == {"koala": 6, "tree": 6}
    days = {key.split(":")[1] for _, key in await cluster.table("trends") if key.startswith("day:")}
    assert all(int(day) > 1_700_000_000 for day in days)
    assert orjson.loads(letter.value)["event_id"] == "event-0"


async def test_two_workers_of_one_name_do_not_take_turns(cluster: Cluster) -> None:
    """The one that was there first ends with 78 and names the setting; the other does all the work."""
    cluster.environment["TAGSTREAM_INSTANCE_ID"] = "same"
    await cluster.start(0)
    await cluster.until_ready([0])
    publishing = asyncio.create_task(publish_for_a_while(cluster, 200))
    await asyncio.sleep(1)
    await cluster.start(1)
    assert await cluster.ended(0) == 78
    assert "TAGSTREAM_INSTANCE_ID='same': another worker came into group" in log_of(cluster, 0)
    assert "give each worker a name of its own" in log_of(cluster, 0)
    await publishing
    await cluster.until_folded(200)
    await assert_exact(cluster, 200)
    await asyncio.sleep(5)
    assert cluster.processes[1].returncode is None
    assert log_of(cluster, 1).count("owning partitions") == 1


async def publish_for_a_while(cluster: Cluster, count: int) -> None:
    for start in range(0, count, 10):
        await cluster.publish(uploads(range(start, start + 10)))
        await asyncio.sleep(0.3)
