"""Which images look alike: the perceptual hashes of all images, compared with one.

`changed` belongs to the event loop's thread and takes microseconds. What is asked of hashes may run in any
thread: a place is given to one image as long as that has its hash, so what is found there is looked at again
in the loop. It knows neither Kafka nor HTTP.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from streams.fold.rows import ImageKey, split_tenants
from streams.state.images.indexed_row import IndexedRow
from streams.state.loading import Loading

TABLE = "images"
Place = tuple[int, str]  # partition and key of an image's row


class HashedRow(IndexedRow, gc=False):
    """The fields of an image's row that tell its hash."""

    phash: str | None = None

    @property
    def number(self) -> int | None:
        """The hash as a number, of an image that is there and has one."""
        return int(self.phash, 16) if self.phash and self.is_image else None


class Alike(NamedTuple):
    """An image that looks like the one that was asked about: in how many bits it differs, and its place."""

    distance: int
    place: Place


_decode = msgspec.json.Decoder(HashedRow).decode


class Hashes:
    """The hashes of a tenant's images. Those of places that nobody has are never told."""

    def __init__(self) -> None:
        self.numbers: NDArray[np.uint64] = np.zeros(16, np.uint64)
        self.count = 0
        self._places: list[Place | None] = []
        self._slots: dict[Place, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, place: Place, number: int | None) -> None:
        """Take in an image's hash; None: it has none any more."""
        slot = self._slots.get(place)
        if slot is not None and number is not None and self.numbers[slot] == number:
            return
        if slot is not None:
            del self._slots[place]
            self._places[slot] = None
            self._free.append(slot)
        if number is not None:
            slot = self._slot()
            self.numbers[slot] = number  # first: who sees whose place it is, sees this hash
            self._places[slot] = place
            self._slots[place] = slot

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        if self.count == len(self.numbers):
            self.numbers = np.concatenate([self.numbers, np.zeros_like(self.numbers)])
        self._places.append(None)
        self.count += 1
        return self.count - 1

    def within(self, number: int, distance: int) -> NDArray[np.intp]:
        """The slots whose hashes differ from a number in so many bits at most. For any thread."""
        return np.flatnonzero(np.bitwise_count(self.known() ^ np.uint64(number)) <= distance)

    def known(self) -> NDArray[np.uint64]:
        """The hash at each slot, that of nobody's included. For any thread."""
        return self.numbers[: self.count]

    def place(self, slot: int, number: int) -> Place | None:
        """Whose slot it is, if it has this hash still. For any thread."""
        place = self._places[slot]
        return place if int(self.numbers[slot]) == number else None

    def told(self, slots: NDArray[np.intp], number: int, distance: int) -> list[Alike]:
        """What is at these slots now, nearest first; in the event loop's thread."""
        found = []
        for slot in slots.tolist():
            place = self._places[slot]
            bits = (int(self.numbers[slot]) ^ number).bit_count()
            if place is not None and bits <= distance:
                found.append(Alike(bits, place))
        return sorted(found, key=lambda alike: (alike.distance, alike.place[1]))


class HashIndex:
    """The hashes of all tenants' images; the images of all partitions together.

    Attributes:
        table: Whose rows it is fed with.
    """

    table = TABLE

    def __init__(self) -> None:
        self._tenants: dict[str, Hashes] = {}

    def changed(self, partition: int, table: str, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Take in the change of a row; a listener of `streams.state.partition.PartitionState`."""
        if table == TABLE:
            self.put(
                ImageKey.decode(key).tenant, (partition, key), None if new is None else _decode(new).number
            )

    def put(self, tenant: str, place: Place, number: int | None) -> None:
        """Take in an image's hash; None: it has none any more."""
        hashes = self._tenants.get(tenant)
        if hashes is None:
            if number is None:
                return
            hashes = self._tenants[tenant] = Hashes()
        hashes.put(place, number)
        if not len(hashes):
            del self._tenants[tenant]

    def loading(self, partition: int) -> Loading:
        """Begin to load all rows of a partition."""
        return _HashLoading(self, partition)

    def of(self, tenant: str) -> Hashes:
        """The hashes of a tenant's images."""
        return self._tenants.get(tenant) or Hashes()


class _HashLoading:
    def __init__(self, index: HashIndex, partition: int) -> None:
        self._index = index
        self._partition = partition

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        for tenant, places, _ in split_tenants(keys):
            for place in places:
                self._index.put(tenant, (self._partition, keys[place]), _decode(rows[place]).number)

    def sort(self) -> None:
        """Hashes have no order."""

    def finish(self) -> Iterator[None]:
        """All are in the index already."""
        return iter(())
