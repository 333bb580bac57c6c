"""How fast this machine can tag at all: the best program we know that has neither Kafka nor state.

    python -m benchmarks.limit [--photo-set mixed] [--images 600] [--pairs 5] [--add-on FOLDER] [--threads N]

One thread per core decodes and infers (`benchmarks/bare.py`, the default add-on's parts, one thread inside
ONNX Runtime), up to eight images at a time. `limit` has its images in memory; `limit_http` gets them from the
same server as everybody else, by aiohttp on uvloop with eight connections and no checks at all, at most
32 images ahead. The roofline is cores / (CPU time of decode + inference per image): what would be if
nothing else took time.
"""

import argparse
import asyncio
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

import aiohttp
import uvloop

from benchmarks.bare import AnyTagger, decoded, load, tagged
from benchmarks.image_server import answer
from benchmarks.pairs import Run, Spread, interleave, rate_ratio, steady_rate
from benchmarks.photo_sets import SETS, load_sets
from benchmarks.processes import Program
from benchmarks.program import parser_of
from model import Tag
from streams.app.cores import available_cores
from streams.tag.add_ons import DEFAULT_PARTS

Job = TypeVar("Job")

BATCH = 8
CONNECTIONS = 8
AHEAD = 32  # images fetched and not yet tagged
_HELD = 60  # images in memory for the limit without I/O


@dataclass
class Tally:
    """What the threads did."""

    finished: list[float] = field(default_factory=list)
    decode_seconds: float = 0.0
    inference_seconds: float = 0.0


class FusedThreads(Generic[Job]):
    """Threads that decode and infer what is in a queue; leaving their context waits for all of it."""

    def __init__(
        self, tagger: AnyTagger, threads: int, on_done: Callable[[list[tuple[Job, list[Tag]]]], object]
    ) -> None:
        self.tally = Tally()
        self._tagger = tagger
        self._on_done = on_done
        self._images: queue.SimpleQueue[tuple[Job, bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._serve) for _ in range(threads)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._images.put(None)
        for thread in self._threads:
            thread.join()

    def put(self, job: Job, image: bytes) -> None:
        """Let an image be tagged, which belongs to a job."""
        self._images.put((job, image))

    def _serve(self) -> None:
        while (item := self._images.get()) is not None:
            self._tag(item)
        self._images.put(None)  # for the next thread

    def _tag(self, first: tuple[Job, bytes]) -> None:
        began = time.thread_time()
        jobs, images = [first[0]], [decoded(self._tagger, first[1])]
        while len(jobs) < BATCH and (more := self._waiting()) is not None:
            jobs.append(more[0])
            images.append(decoded(self._tagger, more[1]))
        all_decoded = time.thread_time()
        tags = tagged(self._tagger, images)
        ended = time.thread_time()
        with self._lock:
            self.tally.finished += [time.monotonic()] * len(jobs)
            self.tally.decode_seconds += all_decoded - began
            self.tally.inference_seconds += ended - all_decoded
        self._on_done(list(zip(jobs, tags, strict=True)))

    def _waiting(self) -> tuple[Job, bytes] | None:
        try:
            item = self._images.get_nowait()
        except queue.Empty:
            return None
        if item is None:
            self._images.put(None)
        return item


def tag_in_memory(tagger: AnyTagger, threads: int, images: list[bytes], count: int) -> Tally:
    """Tag images that are there already."""
    with FusedThreads[None](tagger, threads, lambda _: None) as fused:
        for number in range(count):
            fused.put(None, images[number % len(images)])
    return fused.tally


async def tag_over_http(tagger: AnyTagger, threads: int, urls: Iterator[str]) -> Tally:
    """Tag images that are fetched meanwhile."""
    loop = asyncio.get_running_loop()
    room = asyncio.Semaphore(AHEAD)

    def make_room(tagged: list[tuple[None, list[Tag]]]) -> None:
        for _ in tagged:
            room.release()

    async def fetch_all(session: aiohttp.ClientSession) -> None:
        for url in urls:
            await room.acquire()
            async with session.get(url) as answer:
                fused.put(None, await answer.read())

    fused = FusedThreads[None](tagger, threads, lambda tagged: loop.call_soon_threadsafe(make_room, tagged))
    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        with fused:
            await asyncio.gather(*(fetch_all(session) for _ in range(CONNECTIONS)))
    return fused.tally


def obey(order: dict[str, Any], tagger: AnyTagger, threads: int) -> dict[str, float]:
    """Do one run, as `Limit.run` orders it."""
    count, began = order["images"], time.process_time()
    if order["server"]:
        base, first = f"{order['server']}/{order['photos']}", order["first"]
        urls = (f"{base}/{number}" for number in range(first, first + count))
        tally = uvloop.run(tag_over_http(tagger, threads, urls))
    else:
        photos = load_sets(Path(order["folder"]) if order["folder"] else None)[order["photos"]]
        held = [_body(photos[number % len(photos)], number) for number in range(_HELD)]
        began = time.process_time()
        tally = tag_in_memory(tagger, threads, held, count)
    cpu = time.process_time() - began
    stages = (
        tally.decode_seconds,
        tally.inference_seconds,
        cpu - tally.decode_seconds - tally.inference_seconds,
    )
    decode_ms, inference_ms, rest_ms = (seconds / count * 1000 for seconds in stages)
    return {
        "rate": steady_rate(tally.finished),
        "cpu_ms": cpu / count * 1000,
        "decode_cpu_ms": decode_ms,
        "inference_cpu_ms": inference_ms,
        "rest_cpu_ms": rest_ms,
        "roofline": threads * 1000 / (decode_ms + inference_ms),
    }


def _body(photo: bytes, number: int) -> bytes:
    return b"".join(answer(photo, number)).partition(b"\r\n\r\n")[2]


class Limit:
    """The program as a process of its own; a contestant."""

    def __init__(self, name: str, program: Program, server: str, photos: Path | None = None) -> None:
        """Name it.

        Args:
            name: Of the contestant.
            program: Runs this module; may be shared.
            server: Where images are fetched from; empty: nowhere, they are in memory.
            photos: A folder of photos to use instead of the samples.
        """
        self.name = name
        self._program = program
        self._fixed = {"server": server, "folder": str(photos or "")}
        self._next = 1

    async def run(self, photos: str, images: int) -> Run:
        """Tag so many images of a set."""
        first, self._next = self._next, self._next + images
        parts = await self._program.ask(self._fixed | {"photos": photos, "images": images, "first": first})
        return Run(parts.pop("rate"), parts.pop("cpu_ms"), parts)


def limit_program(add_on: Path | None, threads: int, parts: str = DEFAULT_PARTS) -> Program:
    """The process behind `Limit`, not yet started."""
    model = ["--add-on", str(add_on)] if add_on else []
    return Program("benchmarks.limit", "--orders", "--threads", str(threads), "--parts", parts, *model)


def take_orders(tagger: AnyTagger, threads: int) -> None:
    """Answer each line of standard input."""
    print(json.dumps({"model": tagger.name, "version": tagger.version}), flush=True)
    for line in sys.stdin:
        print(json.dumps(obey(json.loads(line), tagger, threads)), flush=True)


async def compare(options: argparse.Namespace) -> None:
    """Run both limits in turns and print what came out."""
    server = Program("benchmarks.image_server")
    program = limit_program(options.add_on, options.threads, options.parts)
    try:
        address = f"http://127.0.0.1:{await server.start()}"
        print("model:", (await program.start())["model"])
        both = [Limit("limit", program, ""), Limit("limit_http", program, address)]
        count = dict.fromkeys(("limit", "limit_http"), options.images)
        runs = await interleave(both, options.photo_set, count, options.pairs)
    finally:
        await program.stop()
        await server.stop()
    for name, found in runs.items():
        print(f"{name:10} {Spread.of([run.rate for run in found])} images/s")
        for part in found[0].parts:
            print(f"{'':10} {part:16} {Spread.of([run.parts[part] for run in found])}")
    print("limit_http / limit:", rate_ratio(runs["limit_http"], runs["limit"]))


def main() -> None:
    """Read the command line and run."""
    parser = parser_of(__doc__)
    parser.add_argument("--photo-set", choices=SETS, default="mixed")
    parser.add_argument("--images", type=int, default=600)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=available_cores())
    parser.add_argument("--add-on", type=Path, help="a model folder; the default model otherwise")
    parser.add_argument("--parts", default=DEFAULT_PARTS, help="of the default add-on")
    parser.add_argument("--orders", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.orders:
        take_orders(load(options.add_on, options.parts), options.threads)
    else:
        asyncio.run(compare(options))


if __name__ == "__main__":
    main()
