"""Decode and infer in threads: one thread per core, micro-batches of what is waiting.

A thread takes what waits when it becomes free: a lone image leaves at once, a crowd leaves in batches. Images
that are late, as their sources were busy, have a slow lane, and each ends its batch: when many come at once,
they delay nobody else for long. What was found in an image is remembered for a while, and holds for every
copy of its bytes.
Pillow and ONNX Runtime release the GIL, so the event loop goes on meanwhile.
"""

import asyncio
import contextlib
import contextvars
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from model import DecodedViews, Tag, decode_views
from streams.tag.fair_queue import FairQueue
from streams.tag.inference import AddOn, Found, Request, infer, views
from streams.tag.known_images import KnownImages, digest_of
from streams.tag.meter import InferenceMeter, Spent
from streams.telemetry.tracing import Interval

QUIET = 60.0  # seconds between two lines about an add-on that fails


log = logging.getLogger(__name__)

_UNDECODED = DecodedViews({}, 0, 0, "")
_LONGEST_ERROR = 200  # characters
_LONGEST_GATHERING = 0.1  # seconds; decoding a full batch of photos takes a quarter of it


def _nothing() -> None:
    """Nobody waits."""


@dataclass(frozen=True)
class TaggedImage:
    """What a thread found.

    Times are in milliseconds; `inference_ms` is this image's share of its batch. Both are 0 for a copy of an
    image that was tagged before.

    Attributes:
        digest: Of the image's bytes.
        tags: What each add-on found, best first.
        failed: Why each of the others failed, in short.
        stages: When it was decoded, and when its batch was inferred; empty for a copy.
    """

    digest: str
    width: int
    height: int
    format: str
    tags: dict[str, list[Tag]]
    decode_ms: float
    inference_ms: float
    failed: dict[str, str] = field(default_factory=dict)
    stages: dict[str, Interval] = field(default_factory=dict)


@dataclass
class _Job:
    data: bytes
    add_ons: Sequence[str]
    answer: asyncio.Future[TaggedImage]
    decoded: Callable[[], None]
    late: bool = False
    digest: str = ""
    views: DecodedViews = _UNDECODED
    decoding: Interval = (0.0, 0.0)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)  # what log lines are about


class TaggerPool:
    """Threads that decode and infer, fed by one queue. Use `start` and `stop`."""

    def __init__(
        self,
        add_ons: Mapping[str, AddOn],
        *,
        threads: int,
        max_batch: int,
        known_images: int = 0,
        meter: InferenceMeter | None = None,
    ) -> None:
        self.add_ons = add_ons
        self._max_batch = max_batch
        self._failures = FailureLog()
        self._known = KnownImages[TaggedImage](known_images)
        self._jobs = FairQueue[_Job]()
        self._threads = [
            threading.Thread(target=self._serve, args=(index,), name=f"tagger-{index}", daemon=True)
            for index in range(threads)
        ]
        self._at_work = [False] * threads
        self._meter = meter

    @property
    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """For each add-on the tags that it can give."""
        return {name: add_on.tag_names for name, add_on in self.add_ons.items()}

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._threads)

    @property
    def busy(self) -> int:
        """How many of them are at work."""
        return sum(self._at_work)

    @property
    def waiting(self) -> int:
        """How many images wait for one."""
        return len(self._jobs)

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let the threads finish what they have begun."""
        self._jobs.close()
        for thread in self._threads:
            thread.join()

    async def tag(
        self,
        data: bytes,
        add_ons: Sequence[str],
        decoded: Callable[[], None] = _nothing,
        *,
        late: bool = False,
    ) -> TaggedImage:
        """Decode an image once and tag it with each of the add-ons.

        Between decoding and its batch's inference an image is worth a fraction of its bytes: `decoded` is
        called in the event loop then, so that others may have their memory.

        Raises:
            BadImageError: The bytes are no image that may be decoded.
            Exception: Every add-on failed; this is what the first one raised.
        """
        answer: asyncio.Future[TaggedImage] = asyncio.get_running_loop().create_future()
        self._jobs.put(_Job(data, add_ons, answer, decoded, late), slow=late)
        del data  # or it would live until the answer is there
        return await answer

    def _serve(self, index: int) -> None:
        while (job := self._jobs.get()) is not None:
            self._at_work[index] = True
            self._gather(job)
            self._at_work[index] = False

    def _gather(self, job: _Job) -> None:
        """Decode what waits and tag it as one batch.

        An image is taken off the queue only when the one before it is decoded: a slow one holds up no other
        than those that this thread has decoded already, and those not for long.
        """
        decoded: list[_Job] = []
        deadline = time.monotonic() + _LONGEST_GATHERING
        with contextlib.suppress(queue.Empty):
            while True:
                if self._decode(job):
                    decoded.append(job)
                if job.late or len(decoded) == self._max_batch or time.monotonic() > deadline:
                    break
                job = self._jobs.get_nowait()
        if decoded:
            self._tag_decoded(decoded)

    def _tag_decoded(self, decoded: list[_Job]) -> None:
        started, spent = time.perf_counter(), list[Spent]()
        try:
            found = infer(self.add_ons, [Request(job.add_ons, job.views.squares) for job in decoded], spent)
        except Exception as error:  # noqa: BLE001 - the waiting tasks decide what a fault of ours means
            _answer([(job, error) for job in decoded])
            return
        inferring = (started, time.perf_counter())
        share = _ms(inferring) / len(decoded)
        answers = [
            (job, self._tagged(job, tags, inferring, share)) for job, tags in zip(decoded, found, strict=True)
        ]
        for job, answer in answers:
            if isinstance(answer, TaggedImage) and not answer.failed:
                self._known.put(_known_as(job), answer)
        if self._meter is not None:
            decoded[0].answer.get_loop().call_soon_threadsafe(self._meter.note_batch, len(decoded), spent)
        _answer(answers)

    def _tagged(
        self, job: _Job, found: dict[str, Found], inferring: Interval, share_ms: float
    ) -> TaggedImage | Exception:
        """What the add-ons found; where all of them failed, why the first one did."""
        errors = {name: error for name in job.add_ons if isinstance(error := found[name], Exception)}
        if len(errors) == len(found):
            return next(iter(errors.values()))
        for name, error in errors.items():
            job.context.run(self._failures.note, name, error)
        return TaggedImage(
            digest=job.digest,
            width=job.views.width,
            height=job.views.height,
            format=job.views.format,
            tags={name: tags for name in job.add_ons if isinstance(tags := found[name], list)},
            decode_ms=_ms(job.decoding),
            inference_ms=share_ms,
            stages={"decode": job.decoding, "infer": inferring},
            failed={name: _told(error) for name, error in errors.items()},
        )

    def _decode(self, job: _Job) -> bool:
        """Decode an image, unless it is answered already; return whether it is to be tagged."""
        job.digest = digest_of(job.data)
        known = self._known.get(_known_as(job))
        if known is not None:
            _answer([(job, replace(known, decode_ms=0.0, inference_ms=0.0, stages={}))])
            return False
        started = time.perf_counter()
        try:
            job.views = decode_views(job.data, views(self.add_ons, job.add_ons))
        except Exception as error:  # noqa: BLE001 - a bad image is its own job's affair
            _answer([(job, error)])
            return False
        job.data = b""  # a thread that waits for its next job still knows its last one
        job.answer.get_loop().call_soon_threadsafe(job.decoded)
        job.decoding = (started, time.perf_counter())
        return True


def _ms(interval: Interval) -> float:
    return (interval[1] - interval[0]) * 1000


def _told(error: Exception) -> str:
    text = f"{type(error).__name__}: {error}".partition("\n")[0]
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 2] + " …"


def _known_as(job: _Job) -> tuple[str, ...]:
    return job.digest, *sorted(set(job.add_ons))


def _answer(answers: Sequence[tuple[_Job, TaggedImage | Exception]]) -> None:
    """Wake the event loop once for all."""
    answers[0][0].answer.get_loop().call_soon_threadsafe(_settle, answers)


def _settle(answers: Sequence[tuple[_Job, TaggedImage | Exception]]) -> None:
    for job, answer in answers:
        if job.answer.done():  # cancelled meanwhile
            continue
        if isinstance(answer, Exception):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)


class FailureLog:
    """A log of add-ons' failures: the first with its traceback, later ones with how many there were."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self._untold: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, add_on: str, error: Exception) -> None:
        """Take note of a failure on one image. Callable from any thread."""
        with self._lock:
            now, last = self._clock(), self._told.get(add_on)
            if last is not None and now < last + QUIET:
                self._untold[add_on] = self._untold.get(add_on, 0) + 1
                return
            self._told[add_on] = now
            before = self._untold.pop(add_on, 0)
        if last is None:
            log.error("add-on %s failed on an image", add_on, exc_info=error)
        else:
            log.error("add-on %s failed on %d images: %r", add_on, before + 1, error)
