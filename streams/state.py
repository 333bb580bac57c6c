"""The committed state of one source partition, as far as this worker has it.

Two sources feed it, never both at a time: the ledger's own commits while the partition is ours, and the
partition's changelogs while it is somebody else's. So a partition that moves here is already warm.
"""

from collections.abc import Callable
from typing import Any

import orjson

from streams.rows import OFFSET_KEY, TABLES

ID_KEY = "@id"  # names this incarnation of the state: a snapshot of another one is worthless
Listener = Callable[[int, str, str, bytes | None, bytes | None], None]


class PartitionState:
    """Rows by table and key, as their changelogs have them.

    Attributes:
        positions: By table, the first changelog offset that is not in `rows`.
        listeners: Called with partition, table, key, old row and new row of each change, after it.
        loaded: Whether the rows have once been complete.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.rows: dict[str, dict[str, bytes]] = {table: {} for table in TABLES}
        self.positions: dict[str, int] = dict.fromkeys(TABLES, 0)
        self.listeners: list[Listener] = []
        self.loaded = False
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
        for changed in self.listeners:
            changed(self.partition, table, key, old, value)

    def clear(self) -> None:
        """Forget everything."""
        for table, rows in self.rows.items():
            for key in list(rows):
                self.apply(table, key, None)
        self.positions = dict.fromkeys(TABLES, 0)
        self.loaded = False

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
