"""Burying the dead slots of a library, without holding anything up.

A thread makes a new library from a view; then, in the library's own thread, what has changed meanwhile is
repeated step by step, and the new one takes the old one's place. Views of the old one stay good.
"""

from collections.abc import Generator

import numpy as np

from streams.state.columns import Column
from streams.state.images.library import ALIVE, NOBODY, Library
from streams.state.images.postings import Segment
from streams.state.images.view import Slots, View
from streams.state.numbering import Names, order_of

LEAST_DEAD = 1024  # slots; below that the dead do no harm
LEAST_DEAD_CELLS = 10_000  # likewise of the tags that they had
CELLS_PER_STEP = 1000  # tags of images that are repeated before the library's thread gets a turn
_STEPS = 10_000  # a library that changes faster than it is repeated must not be repeated for ever


def is_due(library: Library) -> bool:
    """Whether more than half of the slots are dead, or of the tags: a few images may have very many."""
    return (
        library.tick > max(LEAST_DEAD, library.live)
        or library.dead_cells > max(LEAST_DEAD_CELLS, library.live_cells)
        or (library.tick > 0 and library.live == 0)
    )


class Compaction:
    """One compaction: `__init__` and `finish` in the library's thread, `run` in any other between them."""

    def __init__(self, library: Library) -> None:
        self.library = library
        self._view = View(library)
        self._kept: Slots = np.empty(0, np.intp)
        self._new = Library()

    def run(self) -> None:
        """Make the new library: a second or two for a million images."""
        view, new = self._view, self._new
        self._kept = kept = view.all_slots()
        keys = view.library.keys
        new.keys = [keys[slot] for slot in kept.tolist()]
        new.at = Column(view.at[kept])
        new.partition = Column(view.partition[kept])
        new.death = Column(np.full(len(kept), ALIVE, np.uint32))
        self._owners()
        self._tags()
        for slot, (key, partition) in enumerate(zip(new.keys, new.partition.view().tolist(), strict=True)):
            new.slots.setdefault(partition, {})[key] = slot

    def finish(self) -> Generator[None, None, Library]:
        """Repeat what has changed since the view was made, some at each step; return the new library.

        Between two steps the old library may change further. After the last one it is as the new one.
        """
        old, size, tick = self.library, self._view.size, self._view.tick
        for step in range(_STEPS + 1):
            changed = self._changed_since(size, tick)
            size, tick = len(old.keys), old.tick
            cells = 0
            for partition, key in changed:
                cells += self._repeat(partition, key)
                if cells > CELLS_PER_STEP and step < _STEPS:
                    cells = 0
                    yield
            if (size, tick) == (len(old.keys), old.tick):
                break
        return self._new

    def _changed_since(self, size: int, tick: int) -> list[tuple[int, str]]:
        """Partition and key of each image with a slot beyond so many, or that died since a tick."""
        old = self.library
        death = old.death.view()
        died = np.flatnonzero((death >= tick) & (death != ALIVE)).tolist()
        slots = dict.fromkeys([*died, *range(size, len(old.keys))])
        return list(dict.fromkeys((old.partition[slot], old.keys[slot]) for slot in slots))

    def _repeat(self, partition: int, key: str) -> int:
        """Let an image of the new library be as it is in the old one now; return the cells that took."""
        slot, cells = self.library.slots.get(partition, {}).get(key), self._new.tag_ids.size
        if slot is None:
            self._new.put(partition, key, None)
        else:
            self._new.adopt(self.library, slot)
        return 1 + self._new.tag_ids.size - cells

    def _owners(self) -> None:
        """Keep the users who still own images."""
        owners = self._view.owner[self._kept]
        used = np.unique(owners[owners != NOBODY])
        names = self._view.library.users.names
        self._new.users = Names([names[user] for user in used.tolist()])
        numbers = np.searchsorted(used, owners)
        self._new.owner = Column(np.where(owners == NOBODY, NOBODY, numbers).astype(np.int32))

    def _tags(self) -> None:
        """Keep the tags that images still have, and rebuild their postings."""
        new = self._new
        lengths, tags, confidences = self._view.tags_of(self._kept)
        used, numbers = np.unique(tags, return_inverse=True)
        names = self._view.library.tags.names
        new.tags = Names([names[tag] for tag in used.tolist()])
        new.first = Column(np.concatenate(([0], np.cumsum(lengths))).astype(np.uint32))
        new.tag_ids = Column(numbers.astype(np.uint32))
        new.confidences = Column(confidences)
        counts = np.bincount(numbers, minlength=len(used))
        new.counts = Column(counts.astype(np.int32))
        order = order_of(numbers.astype(np.int32), len(used))  # by tag, within a tag by slot
        slots = np.repeat(np.arange(len(lengths), dtype=np.uint32), lengths)[order]
        new.segments.append(Segment.build(slots, confidences[order], np.arange(len(used)), counts))
