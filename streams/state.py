"""The committed state of one source partition, as far as this worker has it.

Two sources feed it, never both at a time: the ledger's own commits while the partition is ours, and the
partition's changelogs while it is somebody else's. So a partition that moves here is already warm.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson

from streams.rows import OFFSET_KEY, TABLES

ID_KEY = "@id"  # names this incarnation of the state: a snapshot of another one is worthless
TOLD_PER_TURN = 100  # rows that listeners are told before the event loop gets a turn
Listener = Callable[[int, str, str, bytes | None, bytes | None], None]


class PartitionState:
    """Rows by table and key, as their changelogs have them.

    Listeners hear nothing while the rows are being loaded; then `tell_all` tells them each row once, in
    turns with the changes that go on meanwhile.

    Attributes:
        positions: By table, the first changelog offset that is not in `rows`.
        listeners: Called with partition, table, key, old row and new row of each change, after it.
        loaded: Whether the rows have once been complete.
        told: Whether the listeners know every row.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.rows: dict[str, dict[str, bytes]] = {table: {} for table in TABLES}
        self.positions: dict[str, int] = dict.fromkeys(TABLES, 0)
        self.listeners: list[Listener] = []
        self.loaded = False
        self.told = False
        self._told_so_far: set[tuple[str, str]] | None = None
        self._meta: dict[str, Any] = {}

    def apply(self, table: str, key: str, value: bytes | None) -> None:
        """Set a row to what was committed; None removes it."""
        rows = self.rows[table]
        old = rows.get(key)
        if value is not None:
            rows[key] = value
        elif old is None:
            return
        else:
            del rows[key]
        if key == OFFSET_KEY and table == "meta":
            self._meta = orjson.loads(value) if value else {}
        if self._hears(table, key, old):
            self._tell(table, key, old, value)

    async def tell_all(self) -> None:
        """Tell the listeners each row that they do not know, giving the event loop its turns."""
        self._told_so_far = known = set()
        count = 0
        for table, rows in self.rows.items():
            for key in list(rows):
                value = rows.get(key)
                if value is None or (table, key) in known:
                    continue
                known.add((table, key))
                self._tell(table, key, None, value)
                count += 1
                if count % TOLD_PER_TURN == 0:
                    await asyncio.sleep(0)
        self._told_so_far = None
        self.told = True

    def _hears(self, table: str, key: str, old: bytes | None) -> bool:
        if self.told:
            return True
        if self._told_so_far is None:
            return False
        if old is None:
            self._told_so_far.add((table, key))
        return (table, key) in self._told_so_far

    def _tell(self, table: str, key: str, old: bytes | None, new: bytes | None) -> None:
        for changed in self.listeners:
            changed(self.partition, table, key, old, new)

    def clear(self) -> None:
        """Forget everything."""
        for table, rows in self.rows.items():
            for key in list(rows):
                self.apply(table, key, None)
        self.positions = dict.fromkeys(TABLES, 0)
        self.loaded = self.told = False
        self._told_so_far = None

    @property
    def next_offset(self) -> int:
        """Give the first offset of the source partition that is not folded in."""
        return int(self._meta.get("next", 0))

    @property
    def event_time(self) -> int | None:
        """Give the latest event time that was folded in, in milliseconds."""
        return self._meta.get("at")

    @property
    def mark(self) -> int:
        """Give the partition's clock: the latest Kafka timestamp that was folded in, in milliseconds."""
        return int(self._meta.get("mark", 0))

    @property
    def late_dropped(self) -> int:
        """Give how many counts came after their bucket's retention."""
        return int(self._meta.get("late", 0))

    @property
    def identity(self) -> bytes | None:
        """Give what names this incarnation of the state."""
        return self.rows["meta"].get(ID_KEY)
