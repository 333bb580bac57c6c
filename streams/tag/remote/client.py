"""A model on a server, asked in batches: bounded in calls, bytes that wait, images per hour, and time."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from model import Tag
from streams.fetch.errors import SourceBusyError
from streams.fetch.sending.asker import Asker
from streams.tag.remote.description import RemoteModel, read_description, secret_of
from streams.tag.remote.dialects import AnswerError, Dialect
from streams.tag.remote.inference_protocol import InferenceDialect
from streams.tag.remote.pictures import Seen
from streams.tag.remote.vision_endpoint import VisionDialect

MOST_WAITING = 64_000_000
"""Bytes of pixels that may wait for one server."""
_HOUR = 3600.0
_ALONE = ("http_4", "http_5", "model_server_fault")  # faults that one image of a batch may be the reason of


class HourlyBudget:
    """So many images in any hour, about: what is not used is saved up for one hour at most."""

    def __init__(self, per_hour: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_hour = per_hour
        self._clock = clock
        self._left = float(per_hour or 0)
        self._at = clock()

    def take(self, name: str) -> None:
        """Take one image's part.

        Raises:
            SourceBusyError: Nothing is left.
        """
        if self._per_hour is None:
            return
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._per_hour / _HOUR, self._per_hour)
        self._at = now
        if self._left < 1:
            message = (
                f"{name} has had its {self._per_hour:,} images per hour: raise per_hour, or re-tag later"
            )
            raise SourceBusyError("model_server_busy", message, (1 - self._left) * _HOUR / self._per_hour)
        self._left -= 1


@dataclass(eq=False)
class _Job:
    image: Seen
    answer: asyncio.Future[list[Tag]]


class RemoteAddOn:
    """Tags images by asking a server. Used from one event loop.

    Attributes:
        name: Of the model, from its description.
        version: Likewise.
        url: Of the server.
        dialect: How it is spoken to.
    """

    def __init__(
        self, remote: RemoteModel, dialect: Dialect, asker: Asker, budget: HourlyBudget | None = None
    ) -> None:
        self.name = remote.name
        self.version = remote.version
        self.url = remote.url
        self.dialect = dialect
        self._remote = remote
        self._asker = asker
        self._budget = budget or HourlyBudget(remote.per_hour)
        self._waiting: deque[_Job] = deque()
        self._bytes = 0
        self._calls: set[asyncio.Task[None]] = set()

    @classmethod
    def load(cls, path: Path, environment: Mapping[str, str]) -> "RemoteAddOn":
        """Read what people wrote; the server is not asked yet.

        Raises:
            ManifestError: It breaks a rule, or the secret is missing.
        """
        remote = read_description(path)
        secret = secret_of(remote, environment)
        asker = Asker(
            remote.url,
            {} if secret is None else {"authorization": f"Bearer {secret}"},
            deadline=remote.timeout,
            most_bytes=remote.max_answer_bytes,
            at_once=remote.at_once,
        )
        return cls(remote, _dialect(remote, path.parent), asker)

    async def tags(self, image: Seen) -> list[Tag]:
        """What the server sees in an image, best first.

        Raises:
            SourceBusyError: Nothing is known of it; it may be another time.
        """
        size = image.squares.nbytes
        if self._bytes + size > MOST_WAITING:
            raise SourceBusyError(
                "model_server_busy",
                f"too many images wait for {self.name}: raise at_once, or use a faster server",
            )
        self._budget.take(self.name)
        job = _Job(image, asyncio.get_running_loop().create_future())
        self._bytes += size
        self._waiting.append(job)
        self._fill()
        try:
            async with asyncio.timeout(self._remote.timeout):
                return await job.answer
        except TimeoutError:
            message = f"no tags from {self.name} within {self._remote.timeout:g} s"
            raise SourceBusyError("timeout", message) from None
        finally:
            self._bytes -= size
            job.answer.cancel()

    async def aclose(self) -> None:
        """End what is under way."""
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._asker.aclose()

    def _fill(self) -> None:
        """Begin as many calls as may run."""
        while self._waiting and len(self._calls) < self._remote.at_once:
            batch: list[_Job] = []
            while self._waiting and len(batch) < self.dialect.max_batch:
                job = self._waiting.popleft()
                if not job.answer.done():
                    batch.append(job)
            if batch:
                call = asyncio.get_running_loop().create_task(self._call(batch))
                self._calls.add(call)
                call.add_done_callback(self._ended)

    def _ended(self, call: asyncio.Task[None]) -> None:
        self._calls.discard(call)
        if not call.cancelled():
            self._fill()

    async def _call(self, batch: Sequence[_Job]) -> None:
        try:
            found = await self._ask([job.image for job in batch])
        except SourceBusyError as error:
            if len(batch) > 1 and error.code.startswith(_ALONE):
                for job in batch:
                    if not job.answer.done():
                        await self._call([job])
                return
            for job in batch:
                _settle(job, error)
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            for job in batch:
                _settle(job, error)
        else:
            for job, tags in zip(batch, found, strict=True):
                _settle(job, tags)

    async def _ask(self, images: Sequence[Seen]) -> list[list[Tag]]:
        question = await asyncio.to_thread(self.dialect.question, images)
        answer = await self._asker.ask(question.path, question.body)
        try:
            return await asyncio.to_thread(self.dialect.tags, answer, len(images))
        except AnswerError as error:
            raise SourceBusyError(
                "model_server_fault", f"{self.name} answered with {error!s:.200}"
            ) from error


def _settle(job: _Job, result: list[Tag] | Exception) -> None:
    if job.answer.done():
        return
    if isinstance(result, Exception):
        job.answer.set_exception(result)
    else:
        job.answer.set_result(result)


def _dialect(remote: RemoteModel, folder: Path) -> Dialect:
    if remote.oip is not None:
        return InferenceDialect(remote.oip, remote.model, folder)
    if remote.openai is not None:
        return VisionDialect(remote.openai, remote.model, folder)
    raise AssertionError("a description has one of the two")
