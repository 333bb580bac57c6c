"""Decode and infer in threads: one thread per core, micro-batches of what is waiting.

A thread takes what waits when it becomes free: a lone image leaves at once, a crowd leaves in batches. What
was found in an image is remembered for a while, and holds for every copy of its bytes.
Pillow and ONNX Runtime release the GIL, so the event loop goes on meanwhile.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from model import DecodedImage, Tag, Tagger, decode
from streams.known_images import KnownImages, digest_of

log = logging.getLogger(__name__)

_STOP = None
_LONGEST_GATHERING = 0.1  # seconds; decoding a full batch of photos takes a quarter of it


@dataclass(frozen=True)
class TaggedImage:
    """What a thread found.

    Times are in milliseconds; `inference_ms` is this image's share of its batch. Both are 0 for a copy of an
    image that was tagged before.
    """

    digest: str
    width: int
    height: int
    format: str
    tags: dict[str, list[Tag]]
    decode_ms: float
    inference_ms: float


@dataclass
class _Job:
    data: bytes
    add_ons: Sequence[str]
    answer: asyncio.Future[TaggedImage]
    digest: str = ""
    images: dict[int, DecodedImage] = field(default_factory=dict)  # by input size
    decode_ms: float = 0.0


class TaggerPool:
    """Threads that decode and infer, fed by one queue. Use `start` and `stop`."""

    def __init__(
        self, taggers: Mapping[str, Tagger], *, threads: int, max_batch: int, known_images: int = 0
    ) -> None:
        self.taggers = taggers
        self._max_batch = max_batch
        self._known = KnownImages[TaggedImage](known_images)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._serve, name=f"tagger-{index}", daemon=True)
            for index in range(threads)
        ]

    @property
    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """Give for each add-on the tags that it can give."""
        return {name: tagger.tag_names for name, tagger in self.taggers.items()}

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads finish what they have begun."""
        for _ in self._threads:
            self._jobs.put(_STOP)
        for thread in self._threads:
            thread.join()

    async def tag(self, data: bytes, add_ons: Sequence[str]) -> TaggedImage:
        """Decode an image once and tag it with each of the add-ons.

        Raises:
            BadImageError: The bytes are no image that may be decoded.
        """
        answer: asyncio.Future[TaggedImage] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(data, add_ons, answer))
        return await answer

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not _STOP:
            if self._gather(job):
                return

    def _gather(self, job: _Job) -> bool:
        """Decode what waits and tag it as one batch; give whether to stop.

        An image is taken off the queue only when the one before it is decoded: a slow one holds up no other
        than those that this thread has decoded already, and those not for long.
        """
        decoded: list[_Job] = []
        more: _Job | None = job
        deadline = time.monotonic() + _LONGEST_GATHERING
        while more is not _STOP:
            if self._decode(more):
                decoded.append(more)
            if len(decoded) == self._max_batch or time.monotonic() > deadline:
                break
            try:
                more = self._jobs.get_nowait()
            except queue.Empty:
                break
        if decoded:
            self._tag_decoded(decoded)
        return more is _STOP

    def _tag_decoded(self, decoded: list[_Job]) -> None:
        started = time.perf_counter()
        try:
            inferred = self._infer(decoded)
        except Exception as error:  # noqa: BLE001 - the waiting tasks decide what a failed model means
            self._tag_alone(decoded, error)
            return
        share = (time.perf_counter() - started) * 1000 / len(decoded)
        for job, tags in zip(decoded, inferred, strict=True):
            image = next(iter(job.images.values()))
            found = TaggedImage(
                job.digest, image.width, image.height, image.format, tags, job.decode_ms, share
            )
            self._known.put(_known_as(job), found)
            _answer(job, found)

    def _tag_alone(self, jobs: list[_Job], error: Exception) -> None:
        """Try each image of a failed batch alone, so that none costs the others their tags."""
        if len(jobs) == 1:
            _answer(jobs[0], error)
            return
        log.warning("a batch of %d images failed, trying each alone: %s", len(jobs), error)
        for job in jobs:
            self._tag_decoded([job])

    def _decode(self, job: _Job) -> bool:
        """Decode an image, unless it is answered already; give whether it is to be tagged."""
        job.digest = digest_of(job.data)
        known = self._known.get(_known_as(job))
        if known is not None:
            _answer(job, replace(known, decode_ms=0.0, inference_ms=0.0))
            return False
        started = time.perf_counter()
        try:
            for size in {self.taggers[name].input_size for name in job.add_ons}:
                job.images[size] = decode(job.data, size)
        except Exception as error:  # noqa: BLE001 - a bad image is its own job's affair
            _answer(job, error)
            return False
        job.data = b""  # a thread that waits for its next job still knows its last one
        job.decode_ms = (time.perf_counter() - started) * 1000
        return True

    def _infer(self, jobs: list[_Job]) -> list[dict[str, list[Tag]]]:
        """Run each model once over the images that ask for it; add-ons may share a model."""
        found: list[dict[str, list[Tag]]] = [{} for _ in jobs]
        for tagger, names in self._names_by_tagger().items():
            asking = [index for index, job in enumerate(jobs) if names & set(job.add_ons)]
            if not asking:
                continue
            pixels = np.stack([jobs[index].images[tagger.input_size].pixels for index in asking])
            for index, tags in zip(asking, tagger.tag_pixels(pixels), strict=True):
                found[index] |= {name: tags for name in jobs[index].add_ons if name in names}
        return found

    def _names_by_tagger(self) -> dict[Tagger, set[str]]:
        names: dict[Tagger, set[str]] = {}
        for name, tagger in self.taggers.items():
            names.setdefault(tagger, set()).add(name)
        return names


def _known_as(job: _Job) -> tuple[str, ...]:
    return job.digest, *sorted(set(job.add_ons))


def _answer(job: _Job, answer: TaggedImage | Exception) -> None:
    def settle() -> None:
        if job.answer.done():  # cancelled meanwhile
            return
        if isinstance(answer, Exception):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)

    job.answer.get_loop().call_soon_threadsafe(settle)
