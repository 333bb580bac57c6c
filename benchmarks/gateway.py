"""The gateway: kills under load, added latency, uploads per core, memory during a large upload in chunks.

    python -m benchmarks.gateway [--parts kills,latency,cores,memory] [--uploads 200] [--large-mb 100]

`kills`: so many uploads at once through two gateways and two workers, while one of each is killed with -9 and
started again. Whoever gets no answer, or one that is no 200, sends the same signed call to the other gateway.
Then each call that got a 200 must be one asset with its bytes, counts must be those of a recount, and after a
sweep no object may be there that no asset names.
`latency`: uploads one after the other, through a gateway and with an event published by hand, in turns.
`cores`: uploads per second of CPU time of a gateway, and of a bare Litestar endpoint that stores the file.
`memory`: a gateway's memory while it takes every other chunk of a large file, and joins them.

With KAFKA_BOOTSTRAP_SERVERS a running broker is taken. The exit status is 0 only if everything is exact.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import statistics
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import httpx
import msgspec
from support.gateway.gateways import CLOUD, GatewayClient, GatewayCluster, signed
from support.gateway.sweeping import Onlooker

from benchmarks.processes import cpu_seconds, free_port, resident_mb
from benchmarks.program import Report, run_program
from schemas.uploads import UploadData
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.fetch.object_store import ObjectStore, url_of
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputFollower
from streams.kafka.producers import open_producer

if TYPE_CHECKING:
    import argparse

PHOTOS = [
    path.read_bytes() for path in sorted((Path(__file__).parents[1] / "streams" / "photos").glob("*.jpg"))
]
PARTS = ("kills", "latency", "cores", "memory")
_ASKS = {"categorization": "imagga_tagging", "auto_tagging": "0.4"}
_CHUNK = 5_000_000
_AT_ONCE = 16


def photo(number: int) -> bytes:
    """A photo that no other number has: of the samples, with a comment of its own."""
    text = f"{number}-{os.getpid()}".encode()
    comment = b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text
    original = PHOTOS[number % len(PHOTOS)]
    return original[:2] + comment + original[2:]


@dataclass
class Kills:
    """What became of the uploads during the kills."""

    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    resent: int = 0
    statuses: Counter[str] = field(default_factory=Counter)


async def upload_until_answered(clients: list[GatewayClient], number: int, found: Kills) -> None:
    """Send one signed call, to the other gateway where it fails, until it is answered with 200."""
    fields = signed({**_ASKS, "tags": f"t{number % 7}"})
    form = {"content-type": f"multipart/form-data; boundary={uuid.uuid4().hex}"}  # a repeat has the same one
    for attempt in range(200):
        client = clients[(number + attempt) % len(clients)]
        try:
            answer = await client.post("image/upload", fields, (f"{number}.jpg", photo(number)), headers=form)
        except httpx.TransportError as error:
            found.statuses[type(error).__name__] += 1
        else:
            found.statuses[str(answer.status_code)] += 1
            if answer.status_code == httpx.codes.OK:
                found.answers[number] = answer.json()
                return
        found.resent += 1
        await asyncio.sleep(0.5)


async def measure_kills(cluster: GatewayCluster, uploads: int) -> Report:
    """Uploads at once, kills, and a count of what is there."""
    found, started = Kills(), time.monotonic()
    async with GatewayClient(cluster.url(2)) as one, GatewayClient(cluster.url(3)) as two:
        tasks = [
            asyncio.create_task(upload_until_answered([one, two], number, found)) for number in range(uploads)
        ]
        while len(found.answers) < uploads // 10:
            await asyncio.sleep(0.01)
        before = len(found.answers)
        await asyncio.gather(cluster.kill(0), cluster.kill(2))
        await asyncio.sleep(2)
        await asyncio.gather(cluster.start_as(0, "tag,query"), cluster.start_as(2, "gateway"))
        await asyncio.gather(*tasks)
    seconds = time.monotonic() - started
    pending = sum(answer.get("status") == "pending" for answer in found.answers.values())
    events = len(await cluster.read(cluster.names.uploads))
    await cluster.until_folded(events)
    told = await count(cluster, found)
    return {
        "uploads": uploads,
        "answered_before_the_kill": before,
        "answered": len(found.answers),
        "answered_pending": pending,
        "sent_again": found.resent,
        "outcomes": dict(found.statuses),
        "events": events,
        "seconds": round(seconds, 1),
        **told,
    }


async def count(cluster: GatewayCluster, found: Kills) -> Report:
    """Compare what was answered with what is there."""
    objects_before = cluster.stored()
    async with Onlooker(cluster) as onlooker:
        swept = await onlooker.sweep()
        assets = [*onlooker.library.all(CLOUD)]
    by_name = {asset.public_id: asset for asset in assets}
    missing = [each["public_id"] for each in found.answers.values() if each["public_id"] not in by_name]
    wrong = 0
    for number, answer in found.answers.items():
        asset = by_name.get(answer["public_id"])
        path = cluster.objects / (asset.asset.object or "none") if asset else None
        whole = path is not None and path.is_file() and path.read_bytes() == photo(number)
        wrong += not whole
    tags = Counter(tag for asset in assets for tag in asset.tags)
    counted = {key.removesuffix(f"\x1f{CLOUD}"): n for key, n in (await cluster.counts()).items()}
    return {
        "assets": len(assets),
        "missing": len(missing),
        "without_their_bytes": wrong,
        "counts_exact": tags == counted,
        "orphans_before_the_sweep": len(objects_before) - len(assets),
        "swept": swept,
        "orphans": len({*cluster.stored()} ^ {asset.asset.object for asset in assets}),
    }


async def measure_latency(cluster: GatewayCluster, uploads: int) -> Report:
    """Seconds from a call to its answer, and from storing and publishing by hand to the result, in turns."""
    through: list[float] = []
    by_hand: list[float] = []
    objects = ObjectStore.parse(str(cluster.objects), cluster.folder)
    connection = KafkaConnection(cluster.bootstrap)
    async with (
        GatewayClient(cluster.url(2)) as client,
        OutputFollower(connection, cluster.names, ("categorization",)) as follower,
        open_producer(connection) as producer,
    ):
        records = follower.records()
        for number in range(uploads):
            data = photo(10_000 + 2 * number)
            started = time.perf_counter()
            answer = await client.upload(data, **_ASKS)
            through.append(time.perf_counter() - started)
            answer.raise_for_status()
            data, name = photo(10_001 + 2 * number), f"by-hand-{number}"
            event = UploadData(public_id=name, url=url_of(f"{CLOUD}/hand/{name}"), tenant=CLOUD)
            event.categorization, event.auto_tagging = "imagga_tagging", 0.4
            started = time.perf_counter()
            await objects.put(f"{CLOUD}/hand/{name}", data)
            await producer.send_and_wait(cluster.names.uploads, msgspec.json.encode(event), name.encode())
            while (await anext(records)).value["public_id"] != name:
                continue
            by_hand.append(time.perf_counter() - started)
    return {
        "gateway_ms": percentiles(through),
        "by_hand_ms": percentiles(by_hand),
        "added_ms": {
            name: round(percentiles(through)[name] - percentiles(by_hand)[name], 1) for name in ("p50", "p99")
        },
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """The median and the 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return {"p50": round(cuts[49] * 1000, 1), "p99": round(cuts[98] * 1000, 1)}


BARE = """
import asyncio, sys, uuid
from pathlib import Path
import uvicorn
from litestar import Litestar, post
from litestar.datastructures import UploadFile
from litestar.enums import RequestEncodingType
from litestar.params import Body
from typing import Annotated

FOLDER, PORT = Path(sys.argv[1]), int(sys.argv[2])
FORM = Body(media_type=RequestEncodingType.MULTI_PART)
QUIET = {"log_level": "error", "access_log": False, "loop": "uvloop", "http": "httptools"}

@post("/upload", status_code=200)
async def upload(data: Annotated[dict[str, UploadFile], FORM]) -> dict[str, int]:
    content = await data["file"].read()
    await asyncio.to_thread((FOLDER / uuid.uuid4().hex).write_bytes, content)
    return {"bytes": len(content)}

uvicorn.run(Litestar([upload]), host="127.0.0.1", port=PORT, **QUIET)
"""


async def rate_per_core(send: Any, pid: int, uploads: int) -> dict[str, float]:  # noqa: ANN401 - a coroutine function
    """Send uploads, some at once; say how many a second of CPU time of a process takes."""
    numbers = iter(range(uploads))

    async def some() -> None:
        for number in numbers:
            await send(number)

    before, started = cpu_seconds(pid), time.perf_counter()
    await asyncio.gather(*(some() for _ in range(_AT_ONCE)))
    seconds, used = time.perf_counter() - started, cpu_seconds(pid) - before
    return {
        "per_core_second": round(uploads / used, 1),
        "cpu_ms": round(used / uploads * 1000, 2),
        "per_second": round(uploads / seconds, 1),
    }


async def measure_cores(cluster: GatewayCluster, uploads: int) -> Report:
    """Uploads per second of one core: of a gateway, and of an endpoint that only stores the file."""
    data = PHOTOS[0]
    async with (
        GatewayClient(cluster.url(2)) as client,
        httpx.AsyncClient(trust_env=False, timeout=60) as http,
    ):

        async def to_gateway(number: int) -> None:
            (await client.upload(data, f"{number}.jpg", public_id=f"core-{number}")).raise_for_status()

        for number in range(-_AT_ONCE, 0):
            await to_gateway(number)
        gateway = await rate_per_core(to_gateway, cluster.processes[2].pid, uploads)
        folder, port = cluster.folder / "bare", free_port()
        folder.mkdir()
        command = (sys.executable, "-c", BARE, str(folder), str(port))
        process = await asyncio.create_subprocess_exec(*command)
        url = f"http://127.0.0.1:{port}/upload"

        async def to_bare(_: int) -> None:
            (await http.post(url, files={"file": ("k.jpg", data)})).raise_for_status()

        try:
            await until_up(to_bare)
            bare = await rate_per_core(to_bare, process.pid, uploads)
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    ratio = round(gateway["per_core_second"] / bare["per_core_second"], 2)
    return {"gateway": gateway, "bare_litestar": bare, "ratio": ratio}


async def until_up(send: Any) -> None:  # noqa: ANN401 - a coroutine function
    """Wait until an endpoint answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                await send(0)
            except httpx.TransportError:
                await asyncio.sleep(0.1)
            else:
                return


async def measure_memory(cluster: GatewayCluster, megabytes: int) -> Report:
    """Memory of two gateways while they take the chunks of one file in turns."""
    data = os.urandom(1_000_000) * megabytes
    pids = [cluster.processes[number].pid for number in (2, 3)]
    before = [resident_mb(pid) for pid in pids]
    seen = [list[float](), list[float]()]
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            for place, pid in enumerate(pids):
                seen[place].append(resident_mb(pid))
            await asyncio.sleep(0.02)

    watching, started = asyncio.create_task(watch()), time.perf_counter()
    async with GatewayClient(cluster.url(2)) as one, GatewayClient(cluster.url(3)) as two:
        for number, start in enumerate(range(0, len(data), _CHUNK)):
            end = min(start + _CHUNK, len(data))
            headers = {
                "x-unique-upload-id": f"large-{os.getpid()}",
                "content-range": f"bytes {start}-{end - 1}/{len(data)}",
            }
            client = (one, two)[number % 2]
            answer = await client.post(
                "raw/upload", signed({}), ("large.bin", data[start:end]), headers=headers
            )
            answer.raise_for_status()
        told = answer.json()
        seconds = time.perf_counter() - started
        done.set()
        await watching
        digest = hashlib.md5(usedforsecurity=False)
        async with one._http.stream("GET", told["url"]) as served:  # noqa: SLF001 - the same client
            async for piece in served.aiter_bytes():
                digest.update(piece)
    whole = digest.hexdigest() == hashlib.md5(data, usedforsecurity=False).hexdigest()
    return {
        "megabytes": megabytes,
        "seconds": round(seconds, 1),
        "whole": whole and told["bytes"] == len(data),
        "before_mb": [round(each, 1) for each in before],
        "most_mb": [round(max(each), 1) for each in seen],
        "grown_mb": [round(max(each) - first, 1) for each, first in zip(seen, before, strict=True)],
    }


async def measure(options: argparse.Namespace) -> Report:
    """Measure what was asked for."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        external = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        broker = None if external else EmbeddedBroker(folder / "kafka", 0)
        if broker is not None:
            broker.__enter__()
        try:
            return await measure_on(external or (broker.bootstrap_servers if broker else ""), folder, options)
        finally:
            if broker is not None:
                broker.__exit__(None, None, None)


async def measure_on(bootstrap: str, folder: Path, options: argparse.Namespace) -> Report:
    """Measure with a broker that runs."""
    cluster = GatewayCluster(
        bootstrap, f"bench-{uuid.uuid4().hex[:8]}", folder, environment={"TAGSTREAM_TAGGER": "onnx"}
    )
    try:
        await asyncio.gather(cluster.start_as(0, "tag,query"), cluster.start_as(1, "tag,query"))
        await asyncio.gather(cluster.start_as(2, "gateway"), cluster.start_as(3, "gateway"))
        await cluster.until_ready([0, 1], 120)
        await cluster.until_gateways([2, 3], 120)
        report: Report = {}
        parts = options.parts.split(",")
        if "kills" in parts:
            report["kills"] = await measure_kills(cluster, options.uploads)
        if "latency" in parts:
            report["latency"] = await measure_latency(cluster, options.uploads)
        if "cores" in parts:
            report["cores"] = await measure_cores(cluster, 2 * options.uploads)
        if "memory" in parts:
            report["memory"] = await measure_memory(cluster, options.large_mb)
        return report
    finally:
        await cluster.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--large-mb", type=int, default=100)


def is_exact(report: Report) -> bool:
    """Whether nothing was lost, doubled or left behind."""
    kills, memory = report.get("kills"), report.get("memory")
    exact = kills is None or (
        kills["answered"] == kills["uploads"] == kills["assets"]
        and not kills["missing"]
        and not kills["without_their_bytes"]
        and kills["counts_exact"]
        and not kills["orphans"]
    )
    return exact and (memory is None or memory["whole"])


def show(report: Report) -> None:
    """Print the figures; end with 1 if they are not exact."""
    for name, figures in report.items():
        print(name)
        for figure, value in figures.items():
            print(f"  {figure:26} {value}")
    if not is_exact(report):
        print(report)
        sys.exit(1)


if __name__ == "__main__":
    run_program(__doc__, add_arguments, measure, show)
