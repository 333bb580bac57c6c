"""Images that wait for the tagger's threads, and what these found."""

import asyncio
import contextvars
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from model import BadImageError, DecodedViews, Tag, View
from streams.tag.fair_queue import Share
from streams.telemetry.tracing import Interval

_UNDECODED = DecodedViews({}, 0, 0, "")


class StoppedError(RuntimeError):
    """The pool was stopped before an image's turn came."""


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
        kept: What of the image was to be kept: see :class:`Job`.
        phash: Its perceptual hash; None: it has none.
        thumbnail: A small picture of it, to be kept; None: none was made, or it is a copy.
        thumb: The digest that this is kept under; None: it is not.
        embedding: Its embedding; None: likewise.
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
    kept: Mapping[View, NDArray[np.uint8]] = field(default_factory=dict)
    phash: str | None = None
    thumbnail: bytes | None = None
    thumb: str | None = None
    embedding: str | None = None


@dataclass
class Job:
    """An image that is to be tagged, and where it has got to.

    Attributes:
        decoded: Called in the event loop when its bytes are no longer needed.
        aside: Called there when it is found to be dear.
        share: On whose account it is.
        estimate: The milliseconds that were put on that account.
        memory: Bytes that its pixels take.
        is_dear: Whether it waits for a lane of dear ones, or has one.
        context: What log lines are about.
        keep: How else it is looked at, by somebody who takes it from there.
        thumbnail: A small picture of it.
    """

    data: bytes
    add_ons: Sequence[str]
    answer: asyncio.Future[TaggedImage]
    decoded: Callable[[], None]
    aside: Callable[[], None]
    share: Share
    estimate: float
    memory: int = 0
    is_dear: bool = False
    digest: str = ""
    views: DecodedViews = _UNDECODED
    decoding: Interval = (0.0, 0.0)
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    keep: Collection[View] = ()
    thumbnail: bytes | None = None


def answer_all(answers: Sequence[tuple[Job, TaggedImage | Exception]]) -> None:
    """Wake the event loop once for all.

    A refusal's traceback is dropped: its frames have the jobs of the whole batch, and these their answers, so
    all their pixels would stay until the garbage collector comes.
    """
    for _, answer in answers:
        if isinstance(answer, BadImageError):
            answer.__traceback__ = None
    answers[0][0].answer.get_loop().call_soon_threadsafe(_settle, answers)


def _settle(answers: Sequence[tuple[Job, TaggedImage | Exception]]) -> None:
    for job, answer in answers:
        if job.answer.done():  # cancelled meanwhile
            continue
        if isinstance(answer, Exception):
            job.answer.set_exception(answer)
        else:
            job.answer.set_result(answer)
