"""Burying the dead slots of a library, without holding anything up.

A thread makes a new library from a view; then, in the library's own thread, what has changed meanwhile is
repeated, and the new one takes the old one's place. Views of the old one stay good.
"""

import numpy as np

from streams.state.columns import Column
from streams.state.images.library import ALIVE, NOBODY, Library
from streams.state.images.postings import Segment
from streams.state.images.view import Slots, View
from streams.state.numbering import Names, order_of

LEAST_DEAD = 1024  # below that the dead do no harm


def is_due(library: Library) -> bool:
    """Whether more than half of the slots are dead."""
    return library.tick > max(LEAST_DEAD, library.live)


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

    def finish(self) -> Library:
        """Repeat what has changed since the view was made; return the new library."""
        old, new = self.library, self._new
        for slot in self._view.died_since().tolist():
            new.put(old.partition[slot], old.keys[slot], None)
        for slot in range(self._view.size, len(old.keys)):
            if old.death[slot] == ALIVE:
                new.adopt(old, slot)
        return new

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
