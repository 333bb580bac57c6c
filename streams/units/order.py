"""Records in work, each with its place among those of its image."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import Enum

from schemas.uploads import Record, Upload
from streams.fold.outcomes import Outcome
from streams.telemetry.tracing import NO_SPAN, UploadSpan
from streams.units.aside import Slot


class Waits(Enum):
    """What a record may wait for that is not up to us."""

    ROOM = "until more uploads may wait for their sources"
    PREDECESSORS = "for what came before it of its image"
    SOURCE = "for a stranger's server"


class Turn:
    """What the work on a record is told, and tells. This one has no other records beside it.

    Attributes:
        image: The image that the record is about, by the key of its row; None: not known yet, or of no image.
        span: What its work is traced as.
    """

    def __init__(self, span: UploadSpan = NO_SPAN) -> None:
        self.image: str | None = None
        self.span = span

    @property
    def late(self) -> bool:
        """Whether others have overtaken it, as its source took its time."""
        return False

    def is_about(self, image: str) -> None:
        """Say which image it is about. Records begin in the order of the log, and say so before they wait."""
        self.image = image

    async def wait_for_source(self, upload: Upload | None) -> None:
        """Wait until the source may be asked, and leave the time from then on to it.

        Args:
            upload: What waits, where others may wait for it.
        """

    def leave_to_source(self, upload: Upload | None) -> None:
        """Say that a stranger decides how long it takes from now on."""

    def go_on(self) -> None:
        """Say that it is up to us again."""


class Entry(Turn):
    """A record in work, beside others.

    Attributes:
        outcome: The work on it.
        before: The one before it of the same image, if that was in work as well.
        applied: Set when what became of it is committed.
        waits: What it waits for; None: it is up to us.
        is_kept: Whether a row of `retries` keeps it, so that the log goes on without it.
        upload: The upload that waits, where it is one.
        asked: When it asked its source, if it did, in seconds of `time.monotonic`.
        took: The seconds that we took for it since it last waited; 0 until it is done.
        weight: As how many events it counts in a transaction; known when it is done.
    """

    outcome: asyncio.Task[Outcome]

    def __init__(
        self, record: Record, span: UploadSpan, slot: Slot, beside: "Beside", *, is_kept: bool
    ) -> None:
        super().__init__(span)
        self.record = record
        self.slot = slot
        self.before: Entry | None = None
        self.applied = asyncio.Event()
        self.waits: Waits | None = None
        self.is_kept = is_kept
        self.upload: Upload | None = None
        self.asked = self._since = time.monotonic()
        self.took = 0.0
        self.weight = 1
        self._beside = beside

    @property
    def done(self) -> bool:
        """Whether its outcome is there."""
        return self.outcome.done()

    @property
    def late(self) -> bool:
        """Whether others have overtaken it, as its source took its time."""
        return self.is_kept or self.slot.is_aside

    @property
    def is_at_source(self) -> bool:
        """Whether a stranger's server has kept it for so long that others have its slot."""
        return self.waits is Waits.SOURCE and self.slot.is_aside and not self.done

    @property
    def follows(self) -> "Entry | None":
        """The one before it of the same image, unless what became of that is committed."""
        return None if self.before is None or self.before.applied.is_set() else self.before

    def is_about(self, image: str) -> None:
        """Say which image it is about; a retry is waited for by nobody, and follows nobody."""
        super().is_about(image)
        if not self.is_kept:
            self.before = self._beside.latest.get(image)
            self._beside.latest[image] = self

    async def wait_for_source(self, upload: Upload | None) -> None:
        """Wait until the source may be asked; then leave the time to it."""
        if not self.is_kept:
            self._wait(Waits.ROOM)
            await self._beside.enter()
        self.leave_to_source(upload)

    def leave_to_source(self, upload: Upload | None) -> None:
        """Say that a stranger decides how long it takes from now on."""
        self.upload, self.asked = upload, time.monotonic()
        self._wait(Waits.SOURCE)

    async def wait_for_predecessors(self) -> None:
        """Wait until what came before it of its image is committed."""
        if (before := self.follows) is not None:
            self._wait(Waits.PREDECESSORS)
            self._beside.changed()
            await before.applied.wait()
            self.go_on()

    def go_on(self) -> None:
        """Say that it is up to us again."""
        self.slot.go_on()
        self.waits, self._since = None, time.monotonic()

    def finish(self) -> None:
        """Take note that its outcome is there."""
        self.slot.give_back()
        if self.waits is None:
            self.took = time.monotonic() - self._since

    def apply(self) -> None:
        """Take note that what became of it is committed."""
        self.applied.set()
        self.before = None
        if self.image is not None and self._beside.latest.get(self.image) is self:
            del self._beside.latest[self.image]

    def _wait(self, what: Waits) -> None:
        self.waits = what
        self.slot.wait()


@dataclass(frozen=True)
class Beside:
    """What entries of one partition share.

    Attributes:
        enter: Waits until an upload may ask its source.
        changed: Called when somebody waits for what came before it.
        latest: The last record in work of each image.
    """

    enter: Callable[[], Awaitable[None]]
    changed: Callable[[], None]
    latest: dict[str, Entry] = field(default_factory=dict)
