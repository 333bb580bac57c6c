"""The searchable image library: fed by row changes, asked through views.

`changed` and `view` belong to the event loop's thread, and each takes microseconds. What is asked of a view
may run in any thread. It knows neither Kafka nor HTTP, and reads no clock.
"""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec

from streams.compaction import Compaction, is_due
from streams.image_library import CONFIDENCE_STEPS, Image, Library
from streams.image_view import View
from streams.people import OWN, PEOPLE
from streams.rows import ImageKey

TABLE = "images"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
LATEST = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)


class _Row(msgspec.Struct):
    """What of an image's row is searched."""

    at: int
    user: str | None = None
    tags: list[str] = []
    by: list[list[str]] = []
    scores: dict[str, list[tuple[str, float]]] = {}
    deleted: bool = False


_CERTAINTY = CONFIDENCE_STEPS
_decode = msgspec.json.Decoder(_Row).decode


class ImageIndex:
    """The libraries of all tenants; the images of all partitions together.

    Attributes:
        libraries: By tenant.
    """

    def __init__(self) -> None:
        self.libraries: dict[str, Library] = {}

    def changed(self, partition: int, table: str, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Take in the change of a row; a listener of `streams.state.PartitionState`."""
        if table != TABLE:
            return
        image = None if new is None else searched(new)
        tenant = ImageKey.decode(key).tenant
        library = self.libraries.get(tenant)
        if library is None:
            if image is None:
                return
            library = self.libraries[tenant] = Library()
        library.put(partition, key, image)

    def view(self, tenant: str) -> View:
        """Give the present state of a tenant's library."""
        return View(self.libraries.get(tenant) or Library())

    async def compact(self) -> None:
        """Bury the dead of each library where more than half of the slots are dead."""
        for tenant, library in list(self.libraries.items()):
            if is_due(library):
                compaction = Compaction(library)
                await asyncio.to_thread(compaction.run)
                self.libraries[tenant] = compaction.finish()

    async def keep_compact(self, interval: float) -> None:
        """Look every `interval` seconds whether a library is due, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.compact()


def searched(row: bytes) -> Image | None:
    """Read from an image's row what is searched; None if it is deleted.

    A tag that came with the image, that people gave it, or that no add-on gave a score, is certain.

    Raises:
        msgspec.MsgspecError: It is no image's row.
    """
    image = _decode(row)
    if image.deleted:
        return None
    best = _best_scores(list(image.scores.values()))
    tags = [
        (tag, _CERTAINTY if _is_certain(sources) else max(1, round(best.get(tag, 1.0) * _CERTAINTY)))
        for tag, sources in zip(image.tags, image.by, strict=True)
    ]
    return Image(min(max(image.at, EARLIEST), LATEST), image.user, tags)


def _is_certain(sources: list[str]) -> bool:
    return OWN in sources or PEOPLE in sources


def _best_scores(add_ons: list[list[tuple[str, float]]]) -> dict[str, float]:
    """Give the highest score of each tag; an add-on names a tag once."""
    best = dict(add_ons[0]) if add_ons else {}
    for scores in add_ons[1:]:
        for tag, confidence in scores:
            best[tag] = max(confidence, best.get(tag, 0.0))
    return best
