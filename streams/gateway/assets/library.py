"""The library: every asset that is committed, by cloud, in memory.

It is an index of the replica: rows of the table `images` as every gateway follows them, those of images that
were published by other means included. It holds the rows as they are and reads one when it is asked for, so
that a million assets take little more than their rows. All of it belongs to the event loop's thread; what
`all` gives may be read in any other.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import overload

from streams.fold.rows import ImageKey
from streams.gateway.assets.library_asset import (
    Latest,
    LibraryAsset,
    decode_events,
    decode_head,
    decode_latest,
    key_of,
    library_asset,
    untold_asset_id,
)
from streams.state.loading import Loading

TABLE = "images"


class Library:
    """The assets of all clouds.

    Attributes:
        table: Whose rows it is fed with.
    """

    table = TABLE

    def __init__(self, catch_up: Callable[[], Awaitable[None]]) -> None:
        """Begin, empty.

        Args:
            catch_up: Returns once all that was committed before its call has been told.
        """
        self._clouds: dict[str, _Cloud] = {}
        self._catch_up = catch_up
        self._next_round: asyncio.Task[None] | None = None
        self._round: asyncio.Task[None] | None = None
        self._waiting: dict[str, list[tuple[str, asyncio.Event]]] = {}

    def get(self, cloud: str, resource_type: str, kind: str, public_id: str) -> LibraryAsset | None:
        """The asset of a name, such as `demo`, `image`, `upload`, `koala`; None: there is none."""
        held, key = self._clouds.get(cloud), key_of(cloud, resource_type, kind, public_id)
        row = held.rows.get(key) if held else None
        if row is None:
            return None
        asset = library_asset(key, row)
        return asset if asset.matches(resource_type, kind) else None

    def by_asset_id(self, cloud: str, asset_id: str) -> LibraryAsset | None:
        """The asset that an id names; None: there is none."""
        held = self._clouds.get(cloud)
        key = held.keys.get(asset_id) if held else None
        return library_asset(key, held.rows[key]) if held and key is not None else None

    def all(self, cloud: str) -> Sequence[LibraryAsset]:
        """All assets of a cloud as they are now, in no order; each is read from its row when it is taken."""
        held = self._clouds.get(cloud)
        rows = [*held.rows.items()] if held else []  # in one step: a thread may ask
        return _Assets([key for key, _ in rows], [row for _, row in rows])

    def rows(self, cloud: str) -> tuple[list[str], list[bytes]]:
        """The keys and the rows of all assets of a cloud as they are now, in no order."""
        held = self._clouds.get(cloud)
        return ([*held.rows], [*held.rows.values()]) if held else ([], [])

    @property
    def clouds(self) -> list[str]:
        """The clouds that have or had assets."""
        return [*self._clouds]

    def latest(self, cloud: str, row: str) -> Latest:
        """When the asset whose row lies under a public id was last uploaded or deleted."""
        held = self._clouds.get(cloud)
        encoded = held.row(ImageKey(cloud, row).encode()) if held else None
        return decode_latest(encoded) if encoded is not None else Latest()

    def holds_event(self, cloud: str, row: str, event: str) -> bool:
        """Whether an event of late, by its key, has changed the asset whose row lies under a public id."""
        key, held = ImageKey(cloud, row).encode(), self._clouds.get(cloud)
        encoded = held.row(key) if held else None
        return encoded is not None and decode_events(encoded).hold(event)

    @contextlib.contextmanager
    def awaited(self, cloud: str, row: str, event: str) -> Iterator[asyncio.Event]:
        """Give what is set once an event, by its key, has changed an asset's row; enter before publishing."""
        key, done = ImageKey(cloud, row).encode(), asyncio.Event()
        if self.holds_event(cloud, row, event):
            done.set()
        waiting = self._waiting.setdefault(key, [])
        waiting.append((event, done))
        try:
            yield done
        finally:
            waiting.remove((event, done))
            if not waiting:
                self._waiting.pop(key, None)

    async def barrier(self) -> None:
        """Return once whatever any gateway has answered before is in the library. Many calls share a round.

        Raises:
            TimeoutError: Kafka does not answer.
        """
        if self._next_round is None:
            self._next_round = asyncio.create_task(self._one_round(self._round))
        await asyncio.shield(self._next_round)

    async def _one_round(self, before: "asyncio.Task[None] | None") -> None:
        if before is not None:
            await asyncio.wait({before})
        self._round, self._next_round = self._next_round, None  # who comes from now on is of the next one
        await self._catch_up()

    def changed(self, partition: int, table: str, key: str, _old: bytes | None, new: bytes | None) -> None:
        """Take in the change of a row; a listener of `streams.state.partition.PartitionState`."""
        del partition
        if table != TABLE:
            return
        self._cloud_of(key).put(key, new)
        if new is not None and (waiting := self._waiting.get(key)):
            events = decode_events(new)
            for event, done in waiting:
                if events.hold(event):
                    done.set()

    def loading(self, partition: int) -> Loading:
        """Begin to load all rows of a partition."""
        return _Loading(self, partition)

    def _cloud_of(self, key: str) -> "_Cloud":
        tenant = ImageKey.decode(key).tenant
        held = self._clouds.get(tenant)
        if held is None:
            held = self._clouds[tenant] = _Cloud()
        return held


class _Cloud:
    """The assets of one cloud.

    Attributes:
        rows: Those of assets, by key.
        deleted: Those of deleted ones.
        keys: By asset id.
        others: Further keys by asset id: an asset that is being renamed has two names for a moment, or until
            a renaming that was cut off is sent again.
    """

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.deleted: dict[str, bytes] = {}
        self.keys: dict[str, str] = {}
        self.others: dict[str, dict[str, None]] = {}

    def row(self, key: str) -> bytes | None:
        return self.rows.get(key) or self.deleted.get(key)

    def put(self, key: str, row: bytes | None) -> None:
        before = self.rows.get(key)
        head = decode_head(row) if row is not None else None
        if before is not None:
            self._forget(key, before)
        self.deleted.pop(key, None)
        if row is None or head is None:
            return
        if head.deleted:
            self.deleted[key] = row
        else:
            self.rows[key] = row
            asset_id = head.asset_id or untold_asset_id(key)
            if (other := self.keys.get(asset_id)) is not None:
                self.others.setdefault(asset_id, {})[other] = None
            self.keys[asset_id] = key

    def _forget(self, key: str, row: bytes) -> None:
        del self.rows[key]
        asset_id = decode_head(row).asset_id or untold_asset_id(key)
        others = self.others.pop(asset_id, {})
        if self.keys.get(asset_id) != key:
            del others[key]
        elif others:
            self.keys[asset_id] = others.popitem()[0]
        else:
            del self.keys[asset_id]
        if others:
            self.others[asset_id] = others


class _Assets(Sequence[LibraryAsset]):
    """Assets that are read from their rows when they are taken."""

    def __init__(self, keys: list[str], rows: list[bytes]) -> None:
        self._keys, self._rows = keys, rows

    def __len__(self) -> int:
        return len(self._keys)

    @overload
    def __getitem__(self, place: int) -> LibraryAsset: ...
    @overload
    def __getitem__(self, place: slice) -> "_Assets": ...
    def __getitem__(self, place: int | slice) -> "LibraryAsset | _Assets":
        if isinstance(place, slice):
            return _Assets(self._keys[place], self._rows[place])
        return library_asset(self._keys[place], self._rows[place])


class _Loading:
    """Rows of one partition on their way into the library."""

    def __init__(self, library: Library, partition: int) -> None:
        self._library, self._partition = library, partition

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        for key, row in zip(keys, rows, strict=True):
            self._library.changed(self._partition, TABLE, key, None, row)

    def sort(self) -> None:
        """Nothing is in order here."""

    def finish(self) -> Iterator[None]:
        """All is in the library already."""
        return iter(())
