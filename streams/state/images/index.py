"""The searchable image library: fed by row changes, asked through views.

`changed` and `view` belong to the event loop's thread, and each takes microseconds. What is asked of a view
may run in any thread. It knows neither Kafka nor HTTP, and reads no clock.
"""

import asyncio

from streams.fold.rows import ImageKey
from streams.state.images.compaction import Compaction, is_due
from streams.state.images.indexed_row import indexed_image
from streams.state.images.library import Library
from streams.state.images.loading import ImageLoading
from streams.state.images.view import View
from streams.state.loading import Loading

TABLE = "images"


class ImageIndex:
    """The libraries of all tenants; the images of all partitions together.

    Attributes:
        table: Whose rows it is fed with.
        libraries: By tenant.
    """

    table = TABLE

    def __init__(self) -> None:
        self.libraries: dict[str, Library] = {}
        self._begun = self._ended = 0  # loadings

    def changed(self, partition: int, table: str, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Take in the change of a row; a listener of `streams.state.partition.PartitionState`."""
        if table != TABLE:
            return
        image = None if new is None else indexed_image(new)
        tenant = ImageKey.decode(key).tenant
        if image is not None or tenant in self.libraries:
            self._held(tenant).put(partition, key, image)

    def loading(self, partition: int) -> Loading:
        """Begin to load all rows of a partition."""
        self._begun += 1
        return ImageLoading(self._held, partition, self._loaded)

    def _loaded(self) -> None:
        self._ended += 1

    def _held(self, tenant: str) -> Library:
        library = self.libraries.get(tenant)
        if library is None:
            library = self.libraries[tenant] = Library()
        return library

    def view(self, tenant: str) -> View:
        """The present state of a tenant's library."""
        return View(self.libraries.get(tenant) or Library())

    async def compact(self) -> None:
        """Bury the dead of each library where they are more than half of it, but while loading.

        A loading knows its library and the places in it, so what is made while one begins is thrown away,
        even if that one has ended since: the next look is soon.
        """
        begun = self._begun
        if self._ended < begun:
            return
        for tenant, library in list(self.libraries.items()):
            if is_due(library):
                compaction = Compaction(library)
                await asyncio.to_thread(compaction.run)
                if (new := await self._finished(compaction, begun)) is None:
                    return
                self._replace(tenant, new)

    async def _finished(self, compaction: Compaction, begun: int) -> Library | None:
        """The new library, as the old one is now; None: a loading has begun meanwhile."""
        steps = compaction.finish()
        while self._begun == begun:
            try:
                next(steps)
            except StopIteration as end:
                library: Library = end.value
                return library
            await asyncio.sleep(0)
        return None

    def _replace(self, tenant: str, library: Library) -> None:
        if library.live:
            self.libraries[tenant] = library
        else:
            del self.libraries[tenant]

    async def keep_compact(self, interval: float) -> None:
        """Look every `interval` seconds whether a library is due, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.compact()
