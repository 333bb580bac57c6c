"""`make corpus DIR=FOLDER`: send every file of a folder through the real pipeline, a good photo behind each.

    python benchmarks/corpus.py FOLDER ...

Broker, worker and HTTP server are real; with KAFKA_BOOTSTRAP_SERVERS a running broker is taken. The last line
is for machines; the exit status is 0 only if nothing crashed or stalled, every file got a result or a dead
letter that names a fault of the file, and every photo got its tags.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import msgspec
import orjson
from aiohttp import web
from aiokafka import AIOKafkaProducer
from support.cluster import LOOP_WATCHED, Cluster

from model import CombinedTagger
from schemas.uploads import UploadData
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.kafka.connection import KafkaConnection
from streams.kafka.output_follower import OutputFollower, OutputRecord

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

PHOTOS = sorted((Path(__file__).parents[1] / "streams" / "photos").glob("*.jpg"))
THRESHOLD = 0.4
WINDOW = 200  # pairs under way; what is known of the others is a name and a reason
STALL = 60.0  # seconds without an outcome
MOST_CRASHES = 10
FAULTS_OF_FILES = {
    *("not_an_image", "unsupported_format", "truncated", "too_many_pixels", "corrupt"),
    "image_too_large",
}
_PIECE = 1 << 16


class Server:
    """Serves files as they are, and the photos. Use as an async context manager."""

    def __init__(self, files: list[Path]) -> None:
        self._folders = {"file": files, "photo": PHOTOS}
        app = web.Application()
        app.router.add_get("/{folder}/{number}", self._answer)
        self._runner = web.AppRunner(app, access_log=None)
        self.port = 0

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = int(self._runner.addresses[0][1])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def url(self, folder: str, number: int) -> str:
        """The URL of a file or photo."""
        return f"http://127.0.0.1:{self.port}/{folder}/{number}"

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        path = self._folders[request.match_info["folder"]][int(request.match_info["number"])]
        answer = web.StreamResponse(headers={"content-type": "application/octet-stream"})
        answer.content_length = path.stat().st_size
        await answer.prepare(request)
        with path.open("rb") as file, contextlib.suppress(ConnectionError):
            while piece := file.read(_PIECE):
                await answer.write(piece)
        return answer


@dataclass
class Report:
    """What became of the files and the photos."""

    files: list[Path]
    expected: list[list[str]]
    reasons: dict[int, str] = field(default_factory=dict)
    photos: set[int] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    tagged: int = 0
    slowest: tuple[float, str] = (0.0, "")
    crashes: int = 0
    stalls: int = 0
    peak_rss_mb: float = 0.0

    @property
    def open(self) -> int:
        """Count the outcomes that are still to come."""
        return 2 * len(self.files) - len(self.reasons) - len(self.photos)

    def settled(self, number: int) -> bool:
        """Whether a file and the photo behind it have their outcomes."""
        return number in self.reasons and number in self.photos

    def add(self, record: OutputRecord) -> None:
        """Take a result or a dead letter."""
        value = record.value if record.fault is None else orjson.loads(record.value)
        folder, _, number = value["public_id"].partition("/")
        if folder == "photo":
            self._add_photo(int(number), record)
        elif record.fault is None:
            self.reasons[int(number)] = f"tagged {value['format']}"
            self.tagged += 1
            milliseconds = value["timings_ms"]["decode"]
            self.slowest = max(self.slowest, (milliseconds, str(self.files[int(number)])))
        else:
            self.reasons[int(number)] = record.fault.reason
            if record.fault.reason not in FAULTS_OF_FILES or record.fault.retryable:
                self.wrong.append(f"{self.files[int(number)]}: {record.fault.reason}: {record.fault.message}")

    def _add_photo(self, number: int, record: OutputRecord) -> None:
        self.photos.add(number)
        found = record.fault.message if record.fault else record.value["tags"]
        if found != self.expected[number % len(PHOTOS)]:
            self.wrong.append(f"the photo behind {self.files[number]}: {found}")

    @property
    def good(self) -> bool:
        """Whether all is as promised."""
        return not (self.crashes or self.stalls or self.open or self.wrong)

    def lines(self) -> list[str]:
        """What is printed, the line for machines last."""
        breakdown = [f"{count:7} {reason}" for reason, count in Counter(self.reasons.values()).most_common()]
        slowest = f"slowest decode of a tagged file: {self.slowest[0]:.0f} ms, {self.slowest[1]}"
        photos = (
            f"good photos tagged: {len(self.photos)} of {len(self.files)}; wrong outcomes: {len(self.wrong)}"
        )
        counts = (
            f"files={len(self.files)} tagged={self.tagged} dead_lettered={len(self.reasons) - self.tagged}"
        )
        faults = f"crashes={self.crashes} stalls={self.stalls} peak_rss_mb={self.peak_rss_mb:.0f}"
        return [*self.wrong[:20], *breakdown, slowest, photos, f"{counts} {faults}"]


class Run:
    """One worker, and what is sent to it."""

    def __init__(self, cluster: Cluster, server: Server, report: Report) -> None:
        self._cluster = cluster
        self._server = server
        self._report = report
        self._progress = time.monotonic()

    async def run(self) -> None:
        """Send everything and wait for all outcomes, or until the worker stalls or keeps crashing."""
        cluster = self._cluster
        await cluster.start(0)
        try:
            await cluster.until_ready([0], STALL)
        except TimeoutError:
            self._report.stalls += not self._ended()
            return
        connection = KafkaConnection(cluster.bootstrap)
        async with OutputFollower(connection, cluster.names, ("categorization", "dead-letter")) as follower:
            self._progress = time.monotonic()
            tasks = [asyncio.create_task(work) for work in (self._follow(follower), self._publish())]
            try:
                await self._watch(tasks)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, tasks: list[asyncio.Task[None]]) -> None:
        while self._report.open:
            await asyncio.sleep(0.1)
            for task in tasks:
                if task.done():
                    task.result()
            self._sample_memory()
            if time.monotonic() - self._progress > STALL:
                self._report.stalls += 1
                return
            if self._ended():
                if self._report.crashes >= MOST_CRASHES:
                    return
                await self._cluster.start(0)

    def _ended(self) -> bool:
        ended = self._cluster.processes[0].returncode is not None
        self._report.crashes += ended
        return ended

    async def _publish(self) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self._cluster.bootstrap, linger_ms=5)
        await producer.start()
        try:
            async for number in self._numbers():
                for folder, source in (("file", number), ("photo", number % len(PHOTOS))):
                    url = self._server.url(folder, source)
                    event = UploadData(public_id=f"{folder}/{number}", url=url, auto_tagging=THRESHOLD)
                    key = b"pair-%d" % number  # one partition: the photo comes behind the file
                    await producer.send_and_wait(self._cluster.names.uploads, msgspec.json.encode(event), key)
        finally:
            await producer.stop()

    async def _numbers(self) -> AsyncIterator[int]:
        """The files' numbers as fast as room for them comes."""
        oldest = 0
        for number in range(len(self._report.files)):
            while number - oldest >= WINDOW:
                while oldest < number and self._report.settled(oldest):
                    oldest += 1
                if number - oldest >= WINDOW:
                    await asyncio.sleep(0.02)
            yield number

    async def _follow(self, follower: OutputFollower) -> None:
        async for record in follower.records():
            self._report.add(record)
            self._progress = time.monotonic()

    def _sample_memory(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            status = Path(f"/proc/{self._cluster.processes[0].pid}/status").read_text("ascii", "replace")
            peak = int(status.partition("VmHWM:")[2].split("kB")[0]) / 1024
            self._report.peak_rss_mb = max(self._report.peak_rss_mb, peak)


def tags_of_photos() -> list[list[str]]:
    """The tags that each photo must get, from the default tagger alone."""
    found = CombinedTagger.load().tag([path.read_bytes() for path in PHOTOS])
    return [[tag.name for tag in tags if round(tag.confidence, 4) > THRESHOLD] for tags in found]


async def send_all(files: list[Path], bootstrap: str, folder: Path) -> Report:
    """Send the files through a worker."""
    report = Report(files, tags_of_photos())
    async with Server(files) as server:
        environment = {"TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{server.port}", **LOOP_WATCHED}
        cluster = Cluster(bootstrap, f"corpus-{uuid.uuid4().hex[:8]}", folder, environment=environment)
        try:
            await Run(cluster, server, report).run()
        finally:
            await cluster.close()
    return report


def main(folders: list[Path]) -> int:
    """Send everything; print the report; return the exit status."""
    files = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    if not files:
        print(f"no files in {', '.join(map(str, folders))}: name a folder that has some", file=sys.stderr)
        return 2
    scratch = Path(tempfile.mkdtemp(prefix="corpus-"))
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        bootstrap = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
        if not bootstrap:
            bootstrap = stack.enter_context(EmbeddedBroker(scratch / "kafka", 0)).bootstrap_servers
        report = asyncio.run(send_all(files, bootstrap, scratch))
    print(f"{time.monotonic() - started:.0f} seconds")
    if report.good:
        shutil.rmtree(scratch)
    else:
        print(f"the worker's log is in {scratch}")
    print(*report.lines(), sep="\n")
    return 0 if report.good else 1


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it tells of each lost connection
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    sys.exit(main(parser.parse_args().folders))
