"""The tagger's threads, and beside them models on servers: no thread waits for one of these.

An image is decoded and looked at by the threads, as ever. What a server is to see of it is kept, and the
event loop asks all its servers at once, each for as long as its timeout says. Meanwhile the image is aside,
as if its source were slow: others go on, and a kill does not lose it.
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from model import Tag, View
from streams.fetch.errors import SourceBusyError
from streams.tag.fair_queue import NOBODY, Share
from streams.tag.inference import AddOn
from streams.tag.jobs import TaggedImage
from streams.tag.known_images import KnownImages, digest_of
from streams.tag.meter import Spent
from streams.tag.pool import TaggerPool, nothing, told
from streams.tag.remote.client import RemoteAddOn
from streams.tag.remote.pictures import Seen


class RemotePool(TaggerPool):
    """A pool of threads some of whose add-ons are servers. Close it besides stopping it."""

    def __init__(
        self,
        add_ons: Mapping[str, AddOn],
        remotes: Mapping[str, RemoteAddOn],
        *,
        known_images: int = 0,
        **options: Any,  # noqa: ANN401 - as the pool takes them
    ) -> None:
        """Prepare; see :class:`TaggerPool`.

        Args:
            add_ons: What tags in threads.
            remotes: What is asked, under other names.
            known_images: How many images are remembered.
            options: The pool's others.
        """
        super().__init__(add_ons, known_images=known_images, **options)
        self._remotes = remotes
        self._asked = KnownImages[TaggedImage](known_images)

    @property
    def tag_names(self) -> dict[str, tuple[str, ...]]:
        """For each add-on the tags that it can give; none where nobody knows them."""
        return super().tag_names | {name: remote.dialect.tag_names for name, remote in self._remotes.items()}

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(remote.aclose() for remote in self._remotes.values()))

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
        """Decode an image once, tag it with each of the add-ons, and ask each of the servers.

        Raises:
            SourceBusyError: Every add-on failed, one of them as its server cannot be asked now.
            Exception: As the pool's.
        """
        remotes = {name: self._remotes[name] for name in add_ons if name in self._remotes}
        if not remotes:
            return await super().tag(data, add_ons, decoded, share=share, aside=aside, keep=keep)
        known_as = (await asyncio.to_thread(digest_of, data), *sorted(set(add_ons)))
        known = self._asked.get(known_as)
        if known is not None:
            return replace(known, decode_ms=0.0, inference_ms=0.0, stages={})
        local = [name for name in add_ons if name not in remotes]
        views = {remote.dialect.view for remote in remotes.values()}
        seen = await super().tag(data, local, decoded, share=share, aside=aside, keep=views)
        del data
        aside()
        found = await asyncio.gather(*(self._ask(name, remotes[name], seen) for name in remotes))
        image = _joined(seen, add_ons, dict(zip(remotes, found, strict=True)))
        if not image.failed:
            self._asked.put(known_as, replace(image, thumbnail=None))
        return image

    async def _ask(self, name: str, remote: RemoteAddOn, seen: TaggedImage) -> list[Tag] | Exception:
        squares, started = seen.kept[remote.dialect.view], time.perf_counter()
        try:
            tags = await remote.tags(Seen(squares, seen.width, seen.height))
        except Exception as error:  # noqa: BLE001 - it fails alone
            self.failures.note(name, error)
            return error
        if self.meter is not None:
            self.meter.note_spent([Spent(name, time.perf_counter() - started, 1)])
        return tags


def _joined(
    seen: TaggedImage, add_ons: Sequence[str], found: Mapping[str, list[Tag] | Exception]
) -> TaggedImage:
    """What threads and servers found.

    Raises:
        Exception: None found anything; a server's error that may pass comes first.
    """
    errors = {name: error for name, error in found.items() if isinstance(error, Exception)}
    of_servers = {name: tags for name, tags in found.items() if isinstance(tags, list)}
    tags = seen.tags | of_servers
    if not tags:
        raise next(
            (error for error in errors.values() if isinstance(error, SourceBusyError)),
            next(iter(errors.values())),
        )
    failed = seen.failed | {name: told(error) for name, error in errors.items()}
    return replace(seen, kept={}, tags={name: tags[name] for name in add_ons if name in tags}, failed=failed)
