"""Decode and infer in threads: one thread per core, micro-batches of what is waiting.

A thread takes what waits when it becomes free: a few leave one by one, a crowd leaves in batches. Whose
image is next goes by what each tenant's and source's images have cost. One whose header says that it is dear
goes back, to a lane in which fewer images are in work than there are threads, and as many as memory has room
for: no thread waits for memory, and one is left for the others. Images that are late, as their sources were
busy, have an account of their own, and each ends its batch. What was found in an image is remembered for a
while, and holds for every copy of its bytes.
Pillow and ONNX Runtime release the GIL, so the event loop goes on meanwhile.
"""

import asyncio
import contextlib
import queue
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from model import FORMATS, SEEN, OpenedImage, View, open_image, perceptual_hash
from model.decoding.limits import MAX_DECODING_BYTES
from streams.fetch.errors import SourceBusyError
from streams.tag.failure_log import FailureLog
from streams.tag.fair_queue import NOBODY, FairQueue, Share
from streams.tag.inference import AddOn, Besides, Embeds, Found, Request, infer, views
from streams.tag.jobs import Job, StoppedError, TaggedImage, answer_all
from streams.tag.known_images import KnownImages, digest_of
from streams.tag.meter import InferenceMeter
from streams.tag.thumbnails.pictures import pictured, webp
from streams.telemetry.tracing import Interval

DEAR = 250.0  # milliseconds of decoding: some ten photos' worth
ROOM = 32_000_000
_LONGEST_STOP = 5.0  # seconds
_STOPPED = "the tagger was stopped"
_NO_ROOM = "too many images wait that cost as much to decode; TAGSTREAM_MAX_BYTES_IN_FLIGHT bounds them"
_SMALL = 4_000_000  # bytes of pixels that nobody counts
_LONGEST_ERROR = 200  # characters
_LONGEST_GATHERING = 0.1  # seconds; decoding a full batch of photos takes a quarter of it
_INFERRING = 10.0  # milliseconds: what an image costs besides its decoding, about
_CROWDING = 0.25  # more images in a batch for each that waits per thread: each waits a little longer at most
_PER_BYTE = 2e-5  # milliseconds of decoding, before the header was read


class Price(NamedTuple):
    """What an add-on costs: milliseconds of CPU time, and bytes of the memory that images in work share."""

    milliseconds: float
    memory: int


def nothing() -> None:
    """Nobody waits."""


class TaggerPool:
    """Threads that decode and infer, fed by one queue. Use `start` and `stop`."""

    def __init__(
        self,
        add_ons: Mapping[str, AddOn],
        *,
        threads: int,
        max_batch: int,
        known_images: int = 0,
        room: int = ROOM,
        meter: InferenceMeter | None = None,
        formats: Collection[str] = FORMATS,
        thumbnails: bool = False,
        prices: Mapping[str, Price] | None = None,
        embeds: Embeds | None = None,
    ) -> None:
        """Prepare.

        Args:
            add_ons: What tags.
            threads: How many.
            max_batch: Most images of an inference.
            known_images: How many images are remembered.
            room: Bytes of files that may wait for a lane of dear images.
            meter: Is told of batches.
            formats: Those of images that may be decoded.
            thumbnails: Whether a small picture is made of each image.
            prices: Of add-ons that cost much more than others.
            embeds: Makes embeddings; None: there are none.
        """
        self.add_ons = add_ons
        self._max_batch = max_batch
        self.failures = FailureLog()
        self._known = KnownImages[TaggedImage](known_images)
        self._jobs = FairQueue[Job](dear_at_once=max(threads - 1, 1), memory=MAX_DECODING_BYTES, room=room)
        kinds = [(True, True)] * threads if threads > 1 else [(True, False), (False, True)]
        self._threads = [
            threading.Thread(target=self._serve, args=(index, *kind), name=f"tagger-{index}", daemon=True)
            for index, kind in enumerate(kinds)
        ]
        self._at_work = [False] * len(kinds)
        self._stopped = False
        self.meter = meter
        self._formats = formats
        self._thumbnails = thumbnails
        self._prices = prices or {}
        self._embeds = embeds

    @property
    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """For each add-on the tags that it can give; none where nobody knows them."""
        return {name: add_on.tag_names for name, add_on in self.add_ons.items()}

    @property
    def threads(self) -> int:
        """How many threads there are: two at least, as one is for dear images where there is one core."""
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
        """Let the threads finish what they have in hand, for some seconds; what waits is given up.

        A decoder cannot be interrupted: one that takes longer ends with the process.
        """
        self._stopped = True
        for job in self._jobs.close():
            answer_all([(job, StoppedError(_STOPPED))])
        deadline = time.monotonic() + _LONGEST_STOP
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))

    async def tag(
        self,
        data: bytes,
        add_ons: Sequence[str],
        decoded: Callable[[], None] = nothing,
        *,
        share: Share = NOBODY,
        aside: Callable[[], None] = nothing,
        keep: Collection[View] = (),
    ) -> TaggedImage:
        """Decode an image once and tag it with each of the add-ons.

        Between decoding and its batch's inference an image is worth a fraction of its bytes: `decoded` is
        called in the event loop then, so that others may have their memory.

        Args:
            data: The image's bytes.
            add_ons: Each is offered.
            decoded: See above.
            share: On whose account.
            aside: Called in the event loop if the image is dear: it takes its time, and nobody should wait.
            keep: How else to look at it; what is seen so comes back, and such an image has no failures that
                are raised, and is not remembered.

        Raises:
            BadImageError: The bytes are no image that may be decoded.
            SourceBusyError: It is dear, and so many such images wait that there is no room for it.
            StoppedError: The pool was stopped meanwhile.
            Exception: Every add-on failed; this is what the first one raised.
        """
        answer: asyncio.Future[TaggedImage] = asyncio.get_running_loop().create_future()
        estimate = _INFERRING + len(data) * _PER_BYTE
        job = Job(data, add_ons, answer, decoded, aside, share, estimate, keep=keep)
        del data  # or it would live until the answer is there
        try:
            self._jobs.put(job, share, cost=estimate)
        except RuntimeError as error:
            raise StoppedError(_STOPPED) from error
        del job
        try:
            return await answer
        finally:
            del answer  # or an error that it holds would hold it

    def _serve(self, index: int, prompt: bool, dear: bool) -> None:  # noqa: FBT001 - a thread's arguments
        while (job := self._jobs.get(prompt=prompt, dear=dear)) is not None:
            self._at_work[index] = True
            try:
                if job.is_dear:
                    self._serve_dear(job)
                else:
                    self._gather(job)
            except RuntimeError:  # the event loop is closed: nobody waits for this any more
                if not self._stopped:
                    raise
            del job  # a thread that waits for its next job would still know its last one
            self._at_work[index] = False

    def _serve_dear(self, job: Job) -> None:
        try:
            if not job.answer.cancelled() and self._decode(job):
                self._tag_decoded([job])
        finally:
            self._jobs.finish_dear(job.memory)

    def _gather(self, job: Job) -> None:
        """Decode what waits and tag it as one batch.

        An image is taken off the queue only when the one before it is decoded: a slow one holds up no other
        than those that this thread has decoded already, and those not for long.
        """
        decoded: list[Job] = []
        most = min(self._max_batch, 1 + int(_CROWDING * len(self._jobs) / len(self._threads)))
        deadline = time.monotonic() + _LONGEST_GATHERING
        with contextlib.suppress(queue.Empty):
            while True:
                if self._is_decoded_now(job):
                    decoded.append(job)
                if job.share.late or len(decoded) >= most or time.monotonic() > deadline:
                    break
                job = self._jobs.get_nowait()
        if decoded:
            self._tag_decoded(decoded)

    def _is_decoded_now(self, job: Job) -> bool:
        """Decode an image, unless it is answered already, or dear: then it waits for a lane."""
        if job.answer.cancelled() or self._is_known(job):
            return False
        started = time.perf_counter()
        opened = self._open(job)
        if opened is None:
            self._jobs.charge(job.share, _ms((started, time.perf_counter())) - job.estimate)
            return False
        price = self._price(job)
        job.memory = price.memory + (opened.memory if opened.memory > _SMALL else 0)
        cost = opened.milliseconds + price.milliseconds
        if cost > DEAR or not self._jobs.take_memory(job.memory):
            self._set_aside(job, cost + _ms((started, time.perf_counter())))
            return False
        try:
            return self._decode(job, opened)
        finally:
            self._jobs.free_memory(job.memory)

    def _price(self, job: Job) -> Price:
        """What an image costs beside its decoding and the usual networks."""
        asked = [self._prices[name] for name in set(job.add_ons) if name in self._prices]
        return Price(sum(each.milliseconds for each in asked), sum(each.memory for each in asked))

    def _set_aside(self, job: Job, cost: float) -> None:
        job.is_dear = True
        loop, more = job.answer.get_loop(), max(cost - job.estimate, 0.0)
        job.estimate = max(cost, job.estimate)  # before another thread may have it
        try:
            loop.call_soon_threadsafe(job.aside)
            if self._jobs.put_dear(job, job.share, cost=more, memory=job.memory, size=len(job.data)):
                return
            fault: Exception = SourceBusyError("decoding_busy", _NO_ROOM)
        except RuntimeError:
            fault = StoppedError(_STOPPED)
        answer_all([(job, fault)])

    def _tag_decoded(self, decoded: list[Job]) -> None:
        started, besides = time.perf_counter(), Besides(self._embeds)
        try:
            found = infer(self.add_ons, [Request(job.add_ons, job.views.squares) for job in decoded], besides)
        except Exception as error:  # noqa: BLE001 - the waiting tasks decide what a fault of ours means
            answer_all([(job, error) for job in decoded])
            return
        inferring = (started, time.perf_counter())
        share = _ms(inferring) / len(decoded)
        answers = [
            (job, self._tagged(job, tags, inferring, share, besides.embeddings.get(place)))
            for place, (job, tags) in enumerate(zip(decoded, found, strict=True))
        ]
        for job, answer in answers:
            if isinstance(answer, TaggedImage) and not answer.failed and not job.keep:
                self._known.put(_known_as(job), replace(answer, thumbnail=None))
        if self.meter is not None:
            decoded[0].answer.get_loop().call_soon_threadsafe(
                self.meter.note_batch, len(decoded), besides.spent
            )
        answer_all(answers)

    def _tagged(
        self,
        job: Job,
        found: dict[str, Found],
        inferring: Interval,
        share_ms: float,
        embedding: str | None,
    ) -> TaggedImage | Exception:
        """What the add-ons found; where all of them failed, why the first one did."""
        errors = {name: error for name in job.add_ons if isinstance(error := found[name], Exception)}
        if len(errors) == len(found) and not job.keep:
            return next(iter(errors.values()))
        for name, error in errors.items():
            job.context.run(self.failures.note, name, error)
        return TaggedImage(
            digest=job.digest,
            width=job.views.width,
            height=job.views.height,
            format=job.views.format,
            tags={name: tags for name in job.add_ons if isinstance(tags := found[name], list)},
            decode_ms=_ms(job.decoding),
            inference_ms=share_ms,
            stages={"decode": job.decoding, "infer": inferring},
            failed={name: told(error) for name, error in errors.items()},
            kept={view: job.views.squares[view] for view in job.keep},
            phash=perceptual_hash(job.views.squares[SEEN][0]),
            thumbnail=job.thumbnail,
            thumb=job.digest if job.thumbnail else None,
            embedding=embedding,
        )

    def _is_known(self, job: Job) -> bool:
        """Answer for a copy of an image that was tagged before."""
        job.digest = digest_of(job.data)
        known = None if job.keep else self._known.get(_known_as(job))
        if known is None:
            return False
        answer_all([(job, replace(known, decode_ms=0.0, inference_ms=0.0, stages={}))])
        self._jobs.charge(job.share, -job.estimate)
        return True

    def _open(self, job: Job) -> OpenedImage | None:
        """Read an image's header; None: it is answered, as it is none that may be decoded."""
        try:
            wanted = self._wanted(job)
            if self._thumbnails:
                wanted.add(pictured(wanted))
            return open_image(job.data, wanted, self._formats)
        except Exception as error:  # noqa: BLE001 - a bad image is its own job's affair
            answer_all([(job, error)])
            return None

    def _wanted(self, job: Job) -> set[View]:
        return {*views(self.add_ons, job.add_ons), *job.keep, SEEN}

    def _decode(self, job: Job, opened: OpenedImage | None = None) -> bool:
        """Decode an image; return whether it is to be tagged."""
        started = time.perf_counter()
        opened = opened or self._open(job)
        if opened is None:
            return False
        try:
            job.views = opened.decode()
        except Exception as error:  # noqa: BLE001 - a bad image is its own job's affair
            answer_all([(job, error)])
            return False
        finally:
            job.decoding = (started, time.perf_counter())
            squares = max(map(len, job.views.squares.values()), default=1)
            inferring = squares * _INFERRING + self._price(job).milliseconds
            self._jobs.charge(job.share, inferring + _ms(job.decoding) - job.estimate)
        job.data = b""  # a thread that waits for its next job still knows its last one
        if self._thumbnails:
            small = job.views.squares[pictured(self._wanted(job))]
            job.thumbnail = webp(small[0], job.views.width, job.views.height)
        job.answer.get_loop().call_soon_threadsafe(job.decoded)
        return True


def _ms(interval: Interval) -> float:
    return (interval[1] - interval[0]) * 1000


def told(error: Exception) -> str:
    """Why an add-on failed, in short."""
    text = f"{type(error).__name__}: {error}".partition("\n")[0]
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 2] + " …"


def _known_as(job: Job) -> tuple[str, ...]:
    return job.digest, *sorted(set(job.add_ons))
