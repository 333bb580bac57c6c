"""Small pictures of images are kept in the object store, by the images' bytes."""

import logging
from collections.abc import Callable
from dataclasses import replace

from streams.fetch.object_store import ObjectStore, thumbnail_key
from streams.tag.categorizer import Tags
from streams.tag.fair_queue import Share
from streams.tag.jobs import TaggedImage

log = logging.getLogger(__name__)


class ThumbnailKeeper:
    """Tags as a pool does, and keeps the small pictures that it makes."""

    def __init__(self, pool: Tags, objects: ObjectStore) -> None:
        self._pool = pool
        self._objects = objects

    async def tag(
        self,
        data: bytes,
        add_ons: tuple[str, ...],
        decoded: Callable[[], None],
        *,
        share: Share,
        aside: Callable[[], None],
    ) -> TaggedImage:
        """Tag an image; its small picture is in the store then, or is not told of."""
        image = await self._pool.tag(data, add_ons, decoded, share=share, aside=aside)
        if image.thumbnail is None or image.thumb is None:
            return image
        try:
            await self._objects.put(thumbnail_key(image.thumb), image.thumbnail)
        except OSError as error:
            log.warning("a thumbnail could not be kept: %s", error)
            return replace(image, thumbnail=None, thumb=None)
        return replace(image, thumbnail=None)
