"""Loading the image library: all rows of a partition at once.

Names become numbers as rows come. Then the tags are put in order, and make a segment of the postings.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import chain, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from schemas.times import MAX_DATETIME_MS, MIN_DATETIME_MS
from streams.fold.rows import split_tenants
from streams.state.columns import Column
from streams.state.images.indexed_row import IndexedRow, confidences, decode_indexed_row
from streams.state.images.library import CONFIDENCE_STEPS, NOBODY, Batch, ByTag, Library
from streams.state.numbering import Names, Numbering, order_of

Numbers = NDArray[np.int32]
_KEYS_PER_STEP = 20_000
_NAMES_PER_STEP = 5_000


class ImageLoading:
    """Rows of one partition on their way into the libraries of all tenants: a `state.loading.Loading`."""

    def __init__(self, into: Callable[[str], Library], partition: int, done: Callable[[], None]) -> None:
        """Begin.

        Args:
            into: Gives a tenant's library, which is added to.
            partition: Whose rows they are.
            done: Called when all of them are in their libraries.
        """
        self._into = into
        self._partition = partition
        self._done = done
        self._tenants: dict[str, _Images] = {}

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        """Take some of the rows."""
        images = [*map(decode_indexed_row, rows)]
        for tenant, places, _ in split_tenants(keys):
            alive = [place for place in places if images[place].is_image]
            if alive:
                batch = self._tenants.setdefault(tenant, _Images())
                batch.take([keys[place] for place in alive], [images[place] for place in alive])

    def sort(self) -> None:
        """Put the tags in order."""
        for batch in self._tenants.values():
            batch.sort()

    def finish(self) -> Iterator[None]:
        """Let each library take its images, then let it learn where each of them is."""
        for tenant, batch in self._tenants.items():
            yield from batch.give(self._into(tenant), self._partition)
        self._done()


class _Images:
    """A batch of images in columns, with numbers of their own for users and tags."""

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._users = Numbering[str | None]([None])
        self._tags = Names()
        self._at = Column.empty(np.int64)
        self._owners = Column.empty(np.int32)
        self._lengths = Column.empty(np.int32)
        self._numbers = Column.empty(np.int32)
        self._confidences = Column.empty(np.uint16)
        self._by_tag = ByTag(np.empty(0, np.uint32), np.empty(0, np.uint16), np.empty(0, np.intp))

    def take(self, keys: Sequence[str], images: Sequence[IndexedRow]) -> None:
        tags = [*chain.from_iterable([image.tags for image in images])]
        found = np.fromiter(chain.from_iterable(map(confidences, images)), np.float64, len(tags))
        self._keys += keys
        self._at.extend(np.clip([image.at for image in images], MIN_DATETIME_MS, MAX_DATETIME_MS))
        self._owners.extend(self._users.numbers([image.user for image in images]))
        self._lengths.extend([len(image.tags) for image in images])
        self._numbers.extend(self._tags.numbers(tags))
        self._confidences.extend(np.maximum(np.rint(found * CONFIDENCE_STEPS), 1))

    def sort(self) -> None:
        order = order_of(self._numbers.view(), len(self._tags.names))  # by tag, within a tag by image
        lengths = self._lengths.view()
        images = np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)
        sizes = np.bincount(self._numbers.view(), minlength=len(self._tags.names))
        self._by_tag = ByTag(images[order], self._confidences.view()[order], sizes)

    def give(self, library: Library, partition: int) -> Iterator[None]:
        users = yield from _numbered(library.users.numbers, self._users.names[1:])
        tags = yield from _numbered(library.tag_numbers, self._tags.names)
        batch = Batch(
            keys=self._keys,
            at=self._at.view(),
            owner=np.append(np.int32(NOBODY), users)[self._owners.view()],
            lengths=self._lengths.view(),
            tag_ids=tags[self._numbers.view()],
            confidences=self._confidences.view(),
        )
        yield
        first = library.append_many(partition, batch, tags, self._by_tag)
        yield
        places = zip(self._keys, range(first, first + len(self._keys)), strict=True)
        while lot := dict(islice(places, _KEYS_PER_STEP)):
            library.slots.setdefault(partition, {}).update(lot)
            yield


def _numbered(
    number: Callable[[Sequence[str]], Numbers], names: Sequence[Any]
) -> Generator[None, None, Numbers]:
    """The numbers of different names, some per step."""
    found = np.empty(len(names), np.int32)
    for start in range(0, len(names), _NAMES_PER_STEP):
        lot = slice(start, start + _NAMES_PER_STEP)
        found[lot] = number(names[lot])
        yield
    return found
