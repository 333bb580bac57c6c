"""One consistent state of a library, readable in any thread while the library goes on."""

import numpy as np
from numpy.typing import NDArray

from streams.state.images.library import ALIVE, CONFIDENCE_STEPS, NOBODY, Library

Slots = NDArray[np.intp]
_NO_SLOTS, _NO_CONFIDENCES = np.empty(0, np.uint32), np.empty(0, np.uint16)
Mask = NDArray[np.bool_]


class View:
    """A library as it was when the view was made, in the library's own thread.

    Slots beyond `size` are not there yet; those that died at or after `tick` are still alive.

    Attributes:
        size: Number of slots.
        live: Number of images.
        counts: By tag, how many images have it.
        at: Event time by slot, in milliseconds.
        owner: User by slot, a number of `library.users`.
        partition: Partition by slot.
    """

    def __init__(self, library: Library) -> None:
        self.library = library
        self.size = len(library.keys)
        self.live = library.live
        self.counts = library.counts.view().copy()
        self.at: NDArray[np.int64] = library.at.view()
        self.owner: NDArray[np.int32] = library.owner.view()
        self.partition: NDArray[np.int32] = library.partition.view()
        self.tick = library.tick
        self._segments = tuple(library.segments)
        self._death: NDArray[np.uint32] = library.death.view()
        self._first: NDArray[np.uint32] = library.first.view()
        self._tag_ids: NDArray[np.uint32] = library.tag_ids.view()
        self._confidences: NDArray[np.uint16] = library.confidences.view()

    def all_slots(self) -> Slots:
        """Every live slot."""
        return np.flatnonzero(self._death >= self.tick)

    def alive(self, slots: Slots) -> Mask:
        """Which slots are alive."""
        alive: Mask = self._death.take(slots) >= self.tick
        return alive

    def untagged(self, slots: Slots) -> Mask:
        """Which slots have no tag."""
        untagged: Mask = self._first.take(slots + 1) == self._first.take(slots)
        return untagged

    def died_since(self) -> Slots:
        """The slots of this view that died after it was made. For the library's own thread."""
        death = self.library.death.view()[: self.size]
        return np.flatnonzero((death >= self.tick) & (death != ALIVE))

    def tag(self, name: str) -> int | None:
        """A tag's number; None where no image ever had it."""
        number = self.library.tags.ids.get(name)
        return number if number is not None and number < len(self.counts) else None

    def spellings(self, name: str) -> list[int]:
        """The numbers of a tag in all its spellings: upper or lower case, composed or not."""
        found = (self.tag(each) for each in self.library.spellings.of(name))
        return [tag for tag in found if tag is not None]

    def user(self, name: str) -> int | None:
        """A user's number; None where no image ever was theirs."""
        return self.library.users.ids.get(name)

    def count(self, name: str) -> int:
        """How many images have a tag."""
        tag = self.tag(name)
        return 0 if tag is None else int(self.counts[tag])

    def postings(self, tag: int, least: int = 0) -> tuple[Slots, NDArray[np.uint16]]:
        """The slots, dead ones too, that have a tag, and its confidences of at least `least`."""
        parts = [segment.of(tag) for segment in self._segments]
        late = self.library.postings.get(tag)
        if late is not None:
            slots, confidences = late.view()
            size = int(np.searchsorted(slots, self.size))  # others came after this view
            parts.append((slots[:size], confidences[:size]))
        # To intp at once: numpy would do it anew each time that they are an index.
        places = np.concatenate([slots for slots, _ in parts] or [_NO_SLOTS], dtype=np.intp)
        confidences = np.concatenate([confidences for _, confidences in parts] or [_NO_CONFIDENCES])
        if least <= 1:
            return places, confidences
        enough = confidences >= least
        return places[enough], confidences[enough]

    def tags_of(self, slots: Slots) -> tuple[Slots, NDArray[np.uint32], NDArray[np.uint16]]:
        """All tags of some slots: how many each slot has, their numbers, their confidences."""
        begin = self._first[slots].astype(np.int64)
        lengths = self._first[slots + 1] - begin
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(begin - (ends - lengths), lengths)
        return lengths, self._tag_ids[places], self._confidences[places]

    def described_tags(self, slot: int) -> list[tuple[str, float]]:
        """The tags of a slot by name, with their confidences, in the image's order."""
        place = slice(int(self._first[slot]), int(self._first[slot + 1]))
        names = self.library.tags.names
        confidences = self._confidences[place].tolist()
        return [
            (names[number], confidence / CONFIDENCE_STEPS)
            for number, confidence in zip(self._tag_ids[place].tolist(), confidences, strict=True)
        ]

    def user_of(self, slot: int) -> str | None:
        """The user of a slot."""
        owner = int(self.owner[slot])
        return None if owner == NOBODY else self.library.users.names[owner]
