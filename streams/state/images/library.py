"""The images of one tenant in columns, so that questions about a million of them take milliseconds.

Every state of an image has a slot. A slot is written once: an image that changes gets a new one, and its old
slot dies. When it died, in ticks, is kept; so a reader that remembers how many slots and ticks there were
sees one consistent state for as long as it likes, without a copy and while the library goes on: see
`streams.state.images.view`. The dead are buried by `streams.state.images.compaction`.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from streams.state.columns import Column
from streams.state.images.postings import Postings, Segment
from streams.state.numbering import Names
from streams.state.spelling import GrowingSpellings

CONFIDENCE_STEPS = 10_000  # confidences are kept in 1/10,000
ALIVE = 2**32 - 1  # the time of death of slots that live
NOBODY = -1


class Image(NamedTuple):
    """What is searched about an image.

    Attributes:
        at: Event time in milliseconds, within the calendar.
        tags: Tag and confidence, the latter in 1/10,000 and at least 1.
    """

    at: int
    user: str | None
    tags: Sequence[tuple[str, int]]


class Batch(NamedTuple):
    """Many images in columns, users and tags by the library's numbers; see `Library` for the columns."""

    keys: list[str]
    at: NDArray[np.int64]
    owner: NDArray[np.int32]
    lengths: NDArray[np.int32]
    tag_ids: NDArray[np.int32]
    confidences: NDArray[np.uint16]


class ByTag(NamedTuple):
    """The tags of a batch in order.

    Attributes:
        images: Place in the batch, by tag and within a tag ascending.
        confidences: That of the tag on the image.
        sizes: By tag, how many of the images have it.
    """

    images: NDArray[np.uint32]
    confidences: NDArray[np.uint16]
    sizes: NDArray[np.intp]


class Library:
    """One tenant's images.

    Attributes:
        slots: By partition and row key, the live slot.
        keys: Row key by slot.
        first: By slot, where its tags begin in `tag_ids` and `confidences`; the next slot's begin where
            they end.
        counts: By tag, how many live images have it.
        segments: Which images have a tag, of those that came at once.
        postings: By tag, which images have it, of those that came one by one.
        tick: How many slots have died.
        dead_cells: How many tags their images had.
    """

    def __init__(self) -> None:
        self.slots: dict[int, dict[str, int]] = {}
        self.keys: list[str] = []
        self.tags = Names()
        self.spellings = GrowingSpellings(self.tags.names)
        self.users = Names()
        self.at = Column.empty(np.int64)
        self.owner = Column.empty(np.int32)
        self.partition = Column.empty(np.int32)
        self.death = Column.empty(np.uint32)
        self.first = Column.empty(np.uint32)
        self.first.append(0)
        self.tag_ids = Column.empty(np.uint32)
        self.confidences = Column.empty(np.uint16)
        self.segments: list[Segment] = []
        self.postings: dict[int, Postings] = {}
        self.counts = Column.empty(np.int32)
        self.tick = 0
        self.dead_cells = 0

    @property
    def live_cells(self) -> int:
        """How many tags the images have, all together."""
        return self.tag_ids.size - self.dead_cells

    @property
    def live(self) -> int:
        """The number of images."""
        return len(self.keys) - self.tick

    def put(self, partition: int, key: str, image: Image | None) -> None:
        """Set an image to its present state; None removes it."""
        slots = self.slots.setdefault(partition, {})
        old = slots.get(key)
        if old is not None:
            if image is not None and self._image(old) == image:
                return
            del slots[key]
            self.kill(old)
        if image is not None:
            slots[key] = self._append(partition, key, image)

    def append_many(self, partition: int, batch: Batch, tags: NDArray[np.int32], by_tag: ByTag) -> int:
        """Append images that the partition does not have yet; return the slot of the first.

        What `slots` knows of them, the caller adds.

        Args:
            partition: Whose images they are.
            batch: The images.
            tags: The library's numbers of the tags in `by_tag`.
            by_tag: The batch's tags in order.
        """
        first, number = len(self.keys), len(batch.keys)
        self.at.extend(batch.at)
        self.owner.extend(batch.owner)
        self.partition.extend(np.full(number, partition))
        self.death.extend(np.full(number, ALIVE, np.uint32))
        self.first.extend(self.tag_ids.size + np.cumsum(batch.lengths))
        self.tag_ids.extend(batch.tag_ids)
        self.confidences.extend(batch.confidences)
        self.counts.view()[tags] += by_tag.sizes
        slots = by_tag.images + np.uint32(first)
        self.segments.append(Segment.build(slots, by_tag.confidences, tags, by_tag.sizes))
        self.keys += batch.keys  # last: a slot that has a key is complete
        return first

    def tag_numbers(self, names: Sequence[str]) -> NDArray[np.int32]:
        """The numbers of different tags, new ones if need be."""
        numbers = self.tags.numbers(names)
        self.counts.extend(np.zeros(len(self.tags.names) - self.counts.size, np.int32))
        return numbers

    def kill(self, slot: int) -> None:
        """Let a slot die."""
        self.death[slot] = self.tick
        self.tick += 1
        begin, end = self.first[slot], self.first[slot + 1]
        self.counts.view()[self.tag_ids.view()[begin:end]] -= 1
        self.dead_cells += end - begin

    def adopt(self, other: "Library", slot: int) -> None:
        """Take over a live image of another library of the same tenant."""
        self.put(other.partition[slot], other.keys[slot], other._image(slot))  # noqa: SLF001 - one of us

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the columns take; names, keys and dictionaries come on top."""
        columns: list[Column | Segment | Postings] = [
            self.at,
            self.owner,
            self.partition,
            self.death,
            self.first,
            self.tag_ids,
            self.confidences,
        ]
        return sum(part.nbytes for part in [*columns, *self.segments, *self.postings.values()])

    def _append(self, partition: int, key: str, image: Image) -> int:
        slot = len(self.keys)
        self.at.append(image.at)
        self.owner.append(NOBODY if image.user is None else self.users.number(image.user))
        self.partition.append(partition)
        self.death.append(ALIVE)
        self._append_tags(slot, image.tags)
        self.keys.append(key)  # last: a slot that has a key is complete
        return slot

    def _append_tags(self, slot: int, tags: Sequence[tuple[str, int]]) -> None:
        known = self.tags.ids
        numbers = [known[tag] if tag in known else self._new_tag(tag) for tag, _ in tags]
        confidences = [confidence for _, confidence in tags]
        self.tag_ids.extend(numbers)
        self.confidences.extend(confidences)
        self.first.append(self.tag_ids.size)
        for number, confidence in zip(numbers, confidences, strict=True):
            postings = self.postings.get(number)
            if postings is None:
                postings = self.postings[number] = Postings()
            postings.append(slot, confidence)
        self.counts.view()[numbers] += 1  # a tag comes once per image

    def _new_tag(self, tag: str) -> int:
        self.counts.append(0)
        return self.tags.number(tag)

    def _image(self, slot: int) -> Image:
        begin, end = self.first[slot], self.first[slot + 1]
        names = self.tags.names
        tags = zip(
            (names[number] for number in self.tag_ids.view()[begin:end]),
            self.confidences.view()[begin:end].tolist(),
            strict=True,
        )
        owner = self.owner[slot]
        return Image(self.at[slot], None if owner == NOBODY else self.users.names[owner], list(tags))
