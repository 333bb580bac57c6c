"""Which images look alike: perceptual hashes and embeddings of all images, compared with one.

`changed` belongs to the event loop's thread and takes microseconds. What is asked of hashes may run in any
thread: a place is given to one image as long as that has its hash, so what is found there is looked at again
in the loop. It knows neither Kafka nor HTTP.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from model.embedding.codes import BYTES, decode, likeness
from streams.fold.rows import ImageKey, split_tenants
from streams.state.images.indexed_row import IndexedRow
from streams.state.loading import Loading

TABLE = "images"
Number = TypeVar("Number", np.uint64, np.uint8)
Place = tuple[int, str]  # partition and key of an image's row


class Looks(NamedTuple):
    """What an image looks like: its hash as a number, and its embedding, packed; empty: it has none."""

    number: int
    packed: bytes = b""


class HashedRow(IndexedRow, gc=False):
    """The fields of an image's row that tell what it looks like."""

    phash: str | None = None
    embedding: str | None = None

    def looks(self) -> Looks | None:
        """Those of an image that is there and has a hash; what has none has no embedding."""
        if not self.phash or not self.is_image:
            return None
        return Looks(int(self.phash, 16), decode(self.embedding) or b"" if self.embedding else b"")


class Similar(NamedTuple):
    """An image that shows something similar: the cosine between the embeddings, and its place."""

    likeness: float
    place: Place


class Alike(NamedTuple):
    """An image that looks like the one that was asked about: in how many bits it differs, and its place."""

    distance: int
    place: Place


_FIRST = 16  # places
_BLOCK = 16_384  # embeddings that are compared at once: 4 MB as numbers

_decode = msgspec.json.Decoder(HashedRow).decode


class Hashes:
    """The hashes and embeddings of a tenant's images. Those of places that nobody has are never told."""

    def __init__(self, *, embeddings: bool = True) -> None:
        self.numbers: NDArray[np.uint64] = np.zeros(_FIRST, np.uint64)
        self._packed = np.zeros((_FIRST if embeddings else 0, BYTES), np.uint8)
        self._embeddings = embeddings
        self.count = 0
        self._places: list[Place | None] = []
        self._slots: dict[Place, int] = {}
        self._free: list[int] = []

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, place: Place, looks: Looks | None) -> None:
        """Take in what an image looks like; None: it is not there any more, or has no hash."""
        if looks is not None and not self._embeddings:
            looks = Looks(looks.number)
        slot = self._slots.get(place)
        if slot is not None and looks is not None and looks == (self.numbers[slot], self._packed_at(slot)):
            return
        if slot is not None:
            del self._slots[place]
            self._places[slot] = None
            self._free.append(slot)
        if looks is not None:
            slot = self._slot()
            self.numbers[slot] = looks.number  # first: who sees whose place it is, sees this hash
            if self._embeddings:
                self._packed[slot] = np.frombuffer(looks.packed or bytes(BYTES), np.uint8)
            self._places[slot] = place
            self._slots[place] = slot

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        if self.count == len(self.numbers):
            self.numbers, self._packed = _doubled(self.numbers), _doubled(self._packed)
        self._places.append(None)
        self.count += 1
        return self.count - 1

    def within(self, number: int, distance: int) -> NDArray[np.intp]:
        """The slots whose hashes differ from a number in so many bits at most. For any thread."""
        return np.flatnonzero(np.bitwise_count(self.known() ^ np.uint64(number)) <= distance)

    def _packed_at(self, slot: int) -> bytes:
        found = self._packed[slot].tobytes() if self._embeddings else b""
        return found if any(found) else b""

    def similar(self, packed: bytes, most: int) -> NDArray[np.intp]:
        """The slots with the embeddings that are most like one, the most similar first. For any thread."""
        one, known = np.frombuffer(packed, np.uint8), self._packed[: self.count]
        likenesses = [likeness(known[start : start + _BLOCK], one) for start in range(0, len(known), _BLOCK)]
        found = np.concatenate([np.empty(0, np.float32), *likenesses])
        best = np.argpartition(-found, most)[:most] if most < len(found) else np.arange(len(found))
        return best[np.argsort(-found[best], kind="stable")]

    def told_similar(self, slots: NDArray[np.intp], packed: bytes) -> list[Similar]:
        """What is at these slots now, the most similar first; in the event loop's thread."""
        if not self._embeddings or not len(slots):
            return []
        likenesses = likeness(self._packed[slots], np.frombuffer(packed, np.uint8)).tolist()
        found = [
            Similar(alike, place)
            for slot, alike in zip(slots.tolist(), likenesses, strict=True)
            if (place := self._places[slot]) is not None and alike > 0
        ]
        return sorted(found, key=lambda each: (-each.likeness, each.place[1]))

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
    """The hashes and embeddings of all tenants' images; the images of all partitions together.

    Attributes:
        table: Whose rows it is fed with.
    """

    table = TABLE

    def __init__(self, *, embeddings: bool = True) -> None:
        self._tenants: dict[str, Hashes] = {}
        self._embeddings = embeddings

    def changed(self, partition: int, table: str, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Take in the change of a row; a listener of `streams.state.partition.PartitionState`."""
        if table == TABLE:
            self.put(
                ImageKey.decode(key).tenant, (partition, key), None if new is None else _decode(new).looks()
            )

    def put(self, tenant: str, place: Place, looks: Looks | None) -> None:
        """Take in what an image looks like; None: it is not there any more, or has no hash."""
        hashes = self._tenants.get(tenant)
        if hashes is None:
            if looks is None:
                return
            hashes = self._tenants[tenant] = Hashes(embeddings=self._embeddings)
        hashes.put(place, looks)
        if not len(hashes):
            del self._tenants[tenant]

    def loading(self, partition: int) -> Loading:
        """Begin to load all rows of a partition."""
        return _HashLoading(self, partition)

    def of(self, tenant: str) -> Hashes:
        """The hashes of a tenant's images."""
        return self._tenants.get(tenant) or Hashes()


def _doubled(column: NDArray[Number]) -> NDArray[Number]:
    """A column with as much room again, which takes no memory until it is used."""
    longer = np.zeros((2 * len(column), *column.shape[1:]), column.dtype)
    longer[: len(column)] = column
    return longer


class _HashLoading:
    def __init__(self, index: HashIndex, partition: int) -> None:
        self._index = index
        self._partition = partition

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        for tenant, places, _ in split_tenants(keys):
            for place in places:
                self._index.put(tenant, (self._partition, keys[place]), _decode(rows[place]).looks())

    def sort(self) -> None:
        """Hashes have no order."""

    def finish(self) -> Iterator[None]:
        """All are in the index already."""
        return iter(())
