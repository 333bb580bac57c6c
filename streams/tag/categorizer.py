"""From an upload event to its outcome: parse, fetch, decode, infer, rule. Touches no state."""

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import msgspec
import orjson

from model import BadImageError
from schemas.dead_letters import Fault
from schemas.errors import BadEventError
from schemas.results import ModelInfo, ScoredTag, Timings
from schemas.times import steady_time
from schemas.uploads import Record, Upload, UploadType, parse_upload
from streams.fetch.errors import SourceBusyError, SourceGoneError
from streams.fetch.fetcher import Fetched
from streams.fold.changes import PartitionRows
from streams.fold.erasure.finding import find_rows
from streams.fold.erasure.marks import Step, step_of
from streams.fold.outcomes import (
    Deferred,
    Deleted,
    Edited,
    ForgottenUser,
    Forwarded,
    Ignored,
    Outcome,
    Rederived,
    Rejected,
    Stored,
    Tagged,
)
from streams.fold.retagging import SecondLook, second_look
from streams.fold.retries import waits_before
from streams.fold.rows import ImageKey
from streams.fold.rules.applying import Rules
from streams.tag.fair_queue import Share
from streams.tag.jobs import TaggedImage
from streams.tag.words import split
from streams.telemetry.log_context import IN_WORK, place_of
from streams.telemetry.tracing import UploadSpan

log = logging.getLogger(__name__)

_MISSING = frozenset({"http_404", "object_missing"})
SECOND_ATTEMPT_AFTER = 0.2  # seconds


class Turn(Protocol):
    """A record's place in the order of its partition: see `streams.units.order.Turn`."""

    span: UploadSpan

    @property
    def late(self) -> bool:
        """Whether others have overtaken it, as its source took its time."""

    def is_about(self, image: str) -> None:
        """Say which image it is about, by the key of its row, before anything is waited for."""

    async def wait_for_source(self, upload: Upload | None) -> None:
        """Wait until the source may be asked, and leave the time from then on to a stranger's server."""

    def leave_to_source(self, upload: Upload | None) -> None:
        """Leave the time from now on to a stranger: a server, or whoever made an image that is dear."""

    def go_on(self) -> None:
        """Take the time back: it is up to us again."""


class Fetches(Protocol):
    """Where bytes come from: see `streams.fetch.fetcher.Fetcher`."""

    def is_overloaded(self) -> bool:
        """Whether fetches wait for each other, and not for their sources."""

    async def fetch(self, url: str, tenant: str, /) -> Fetched:
        """Get the bytes behind a URL, of a tenant's share of memory."""


class Tags(Protocol):
    """Where tags come from: see `streams.tag.pool.TaggerPool`."""

    async def tag(
        self,
        data: bytes,
        add_ons: tuple[str, ...],
        decoded: Callable[[], None],
        *,
        share: Share,
        aside: Callable[[], None],
    ) -> TaggedImage:
        """Decode and tag an image.

        Args:
            data: Its bytes.
            add_ons: Each is offered.
            decoded: Called when the bytes are no longer needed.
            share: On whose account.
            aside: Called if it is dear: it takes its time, and nobody should wait for it.
        """


@dataclass(frozen=True)
class Offer:
    """What may be asked for, and what applies where an event says nothing.

    Attributes:
        models: The model behind each add-on that is offered.
        default_add_ons: The add-ons that run where an event names none.
        readers: The add-ons that find words, not tags.
        words_are_tags: Whether what those find may become tags as well.
    """

    models: dict[str, ModelInfo]
    default_add_ons: tuple[str, ...]
    readers: frozenset[str] = frozenset()
    words_are_tags: bool = False


class Categorizer:
    """Finds the outcome of upload events."""

    def __init__(
        self,
        fetcher: Fetches,
        tagger: Tags,
        offer: Offer,
        rules: Callable[[], Rules] = Rules,
        partition_of: Callable[[str], int] | None = None,
        *,
        missing_for: float = 0.0,
        partitions: int = 1,
    ) -> None:
        """Prepare.

        Args:
            fetcher: Where bytes come from.
            tagger: Where candidates for tags come from.
            offer: What may be asked for.
            rules: Gives the rules that hold now; they are asked for once per image.
            partition_of: The partition of an image by its public id; None: the one that its events lie in.
            partitions: How many the log has.
            missing_for: Seconds from its publication in which an upload may be ahead of its image.
        """
        self._fetcher = fetcher
        self._tagger = tagger
        self._offer = offer
        self._rules = rules
        self._partition_of = partition_of
        self._missing_for = missing_for
        self._partitions = partitions

    def is_overloaded(self) -> bool:
        """Whether images wait for this worker's own slots or memory, and not for their sources."""
        return self._fetcher.is_overloaded()

    async def outcome(  # noqa: PLR0911 - each is an outcome
        self, record: Record, rows: PartitionRows, predecessors: Callable[[], Awaitable[object]], turn: Turn
    ) -> Outcome:
        """Find what becomes of a record.

        Args:
            record: A record of the upload topic.
            rows: The committed rows of its partition.
            predecessors: Waits until they hold all of the record's image that comes before it.
            turn: Is told when the record waits for its source.
        """
        IN_WORK.set(place_of(record))
        if record.is_tombstone:
            return Ignored()
        stage = "parse"
        started = time.perf_counter()
        upload: Upload | None = None
        try:
            upload = parse_upload(record, int(steady_time() * 1000))
            if upload.type is UploadType.FORGOTTEN:
                return await self._forgotten(upload, record, rows)
            owner = self._partition_of(upload.public_id) if self._partition_of else record.partition
            if owner != record.partition:
                return Forwarded(upload, owner)
            turn.is_about(ImageKey.of(upload).encode())
            upload = self._with_add_ons(upload)
            target = await self._target(upload, record.offset, rows, predecessors)
            if not isinstance(target, _Target):
                return target
            stage = "fetch"
            if target.url[:5].lower() != "data:":
                await turn.wait_for_source(_awaited(upload))
            with await self._fetch(target.url, upload.data.tenant or "", turn) as fetched:
                turn.go_on()
                stage = "decode"
                image = await self._tag(fetched, target.upload, turn)
                return self._tagged(target, fetched, image, started)
        except (BadEventError, SourceGoneError, BadImageError) as error:
            now = int(steady_time() * 1000)
            if error.code in _MISSING and self._may_come(upload, record, now):
                return Deferred(_fault(error, error.code, stage, retryable=True), now, None, _awaited(upload))
            return _rejected(error, error.code, stage, upload, retryable=False)
        except SourceBusyError as error:
            fault = _fault(error, error.code, stage, retryable=True)
            return Deferred(fault, int(steady_time() * 1000), error.retry_after, _awaited(upload))
        except Exception as error:  # a fault of ours: it may pass, as a lack of memory does, or people decide
            log.exception("record %s/%d/%d failed", record.topic, record.partition, record.offset)
            if upload is None:
                return _rejected(error, "internal_error", stage, upload, retryable=True)
            fault = _fault(error, "internal_error", stage, retryable=True)
            return Deferred(fault, int(steady_time() * 1000), None, _awaited(upload))

    def _may_come(self, upload: Upload | None, record: Record, now: int) -> bool:
        """Whether an event may be ahead of its image: an upload of just now; a re-tag's was there before."""
        fresh = abs(now - record.timestamp) < 1000 * self._missing_for
        return fresh and upload is not None and upload.type is not UploadType.RETAGGED

    async def _forgotten(self, upload: Upload, record: Record, rows: PartitionRows) -> ForgottenUser:
        if step_of(record.headers) is not Step.SWEEP:
            others = (each for each in range(self._partitions) if each != record.partition)
            return ForgottenUser(upload, tuple(others))
        tenant, user = upload.data.tenant or "", upload.data.user_id or ""
        found = await asyncio.to_thread(find_rows, rows, tenant, user)
        return ForgottenUser(upload, keys=(found.images, found.retries, found.interests), more=found.more)

    def _with_add_ons(self, upload: Upload) -> Upload:
        if upload.asks_for_no_add_on:
            return upload
        add_ons = upload.add_ons or self._offer.default_add_ons
        for name in add_ons:
            if name not in self._offer.models:
                offered = ", ".join(self._offer.models)
                message = f"add-on {name[:64]!r} is not offered; offered: {offered}"
                raise BadEventError("unknown_add_on", message)
        return msgspec.structs.replace(upload, add_ons=add_ons)

    async def _target(
        self, upload: Upload, offset: int, rows: PartitionRows, predecessors: Callable[[], Awaitable[object]]
    ) -> "_Target | Outcome":
        """What has to be fetched and tagged, or what becomes of the event without that."""
        match upload.type:
            case UploadType.DELETED:
                return Deleted(upload)
            case UploadType.EDITED:
                return Edited(upload, int(steady_time() * 1000))
            case UploadType.RETAGGED:
                look = await self._second_look(upload, rows, predecessors)
                if look is None:
                    return Rederived(upload, self._rules())
                asked = msgspec.structs.replace(upload, add_ons=look.add_ons, auto_tagging=look.asked)
                return _Target(asked, look.url, look.basis)
            case _ if upload.asks_for_no_add_on:
                return Stored(upload, int(steady_time() * 1000))
            case _:
                return _Target(
                    upload, upload.data.url or await _known_url(upload, offset, rows, predecessors)
                )

    async def _second_look(
        self, upload: Upload, rows: PartitionRows, predecessors: Callable[[], Awaitable[object]]
    ) -> SecondLook | None:
        """What a re-tag must look at; None: the rules alone are to be applied anew."""
        if upload.data.retag in {None, "rules"}:
            return None
        key = ImageKey.of(upload).encode()
        if key not in rows["images"]:
            await predecessors()
        encoded = rows["images"].get(key)
        if encoded is None:
            return None
        offer, always = self._offer, upload.data.retag == "image"
        return second_look(orjson.loads(encoded), offer.models, offer.default_add_ons, always=always)

    async def _fetch(self, url: str, tenant: str, turn: Turn) -> Fetched:
        """Fetch, and once more where the source only hiccuped; longer waits are the retries' business."""
        try:
            return await self._fetch_once(url, tenant, turn)
        except SourceBusyError as error:
            if error.code == "timeout" or error.retry_after is not None:
                raise
            await asyncio.sleep(SECOND_ATTEMPT_AFTER)
            return await self._fetch_once(url, tenant, turn)

    async def _fetch_once(self, url: str, tenant: str, turn: Turn) -> Fetched:
        with turn.span.stage("fetch", source=url):
            return await self._fetcher.fetch(url, tenant)

    async def _tag(self, fetched: Fetched, upload: Upload, turn: Turn) -> TaggedImage:
        started = time.perf_counter()
        share = Share(upload.data.tenant or "", fetched.host, turn.late)
        aside = functools.partial(turn.leave_to_source, _awaited(upload))  # dear as its stranger made it
        try:
            image = await self._tagger.tag(
                fetched.data, upload.add_ons, fetched.release, share=share, aside=aside
            )
        except Exception as error:
            turn.span.note("decode", (started, time.perf_counter()), error)
            raise
        for name, interval in image.stages.items():
            turn.span.note(name, interval)
        return image

    def _tagged(self, target: "_Target", fetched: Fetched, image: TaggedImage, started: float) -> Tagged:
        upload = target.upload
        found = candidates(image, upload.add_ons)
        raw, words = split(found, self._offer.readers, as_tags=self._offer.words_are_tags)
        rules = self._rules()
        ruling = rules.apply(raw, upload.auto_tagging)
        total = (time.perf_counter() - started) * 1000
        times = (fetched.elapsed_ms, image.decode_ms, image.inference_ms, total)
        return Tagged(
            upload=upload,
            url=target.url,
            size=fetched.size,
            width=image.width,
            height=image.height,
            format=image.format,
            etag=upload.data.etag or image.digest,
            raw=raw,
            scores=ruling.scores,
            assigned=ruling.assigned,
            rules=rules.hash,
            models={name: self._offer.models[name] for name in upload.add_ons},
            timings=Timings(*(round(milliseconds, 1) for milliseconds in times)),
            failed=image.failed,
            phash=image.phash,
            thumb=image.thumb,
            embedding=image.embedding,
            probabilities=probabilities(image),
            words=words,
            basis=target.basis,
        )


def candidates(image: TaggedImage, add_ons: Sequence[str]) -> dict[str, list[ScoredTag]]:
    """What taggers said of an image, as rules take it; those that failed are left out."""
    return {
        name: [ScoredTag(tag.name, round(tag.confidence, 4)) for tag in image.tags[name]]
        for name in add_ons
        if name in image.tags
    }


def probabilities(image: TaggedImage) -> dict[str, dict[str, float]]:
    """For each add-on the probability of each tag whose confidence is another."""
    return {
        name: {
            tag.name: round(tag.probability, 4)
            for tag in tags
            if round(tag.probability, 4) != round(tag.confidence, 4)
        }
        for name, tags in image.tags.items()
    }


class _Target(NamedTuple):
    """An image to fetch and tag; `basis` as in `streams.fold.outcomes.Tagged`."""

    upload: Upload
    url: str
    basis: list[str] | None = None


def _awaited(upload: Upload | None) -> Upload | None:
    """An upload that others may wait for."""
    return None if upload is None or upload.type is UploadType.RETAGGED else upload


async def _known_url(
    upload: Upload, offset: int, rows: PartitionRows, predecessors: Callable[[], Awaitable[object]]
) -> str:
    await predecessors()
    image = ImageKey.of(upload).encode()
    if waits_before(rows, image, offset):
        message = f"an earlier upload of image {upload.public_id[:64]!r} still waits for its source"
        raise SourceBusyError("upload_waits", message)
    encoded = rows["images"].get(image)
    url: str | None = orjson.loads(encoded)["url"] if encoded else None
    if url is None:
        message = f"image {upload.public_id[:64]!r} is not known; give its `url`"
        raise BadEventError("unknown_image", message)
    return url


def _rejected(error: Exception, code: str, stage: str, upload: Upload | None, *, retryable: bool) -> Rejected:
    return Rejected(_fault(error, code, stage, retryable=retryable), upload)


def _fault(error: Exception, code: str, stage: str, *, retryable: bool) -> Fault:
    return Fault(code, stage, retryable, type(error).__name__, str(error) or repr(error))
