"""The committed state of one source partition, as far as this worker has it.

Two sources feed it, never both at a time: the ledger's own commits while the partition is ours, and the
partition's changelogs while it is somebody else's. So a partition that moves here is already warm.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson

from schemas.topics import OFFSET_KEY, TABLES, Progress
from streams.state.loading import Index, load
from streams.state.turns import in_turns

ID_KEY = "@id"  # names this incarnation of the state: a snapshot of another one is worthless
UPLOADS_KEY = "@uploads"  # names the upload topic whose offsets the state has
_LEAST_ROOM = 10_000  # rows that a table's dictionary may have room for in any case
_ROOM_PER_ROW = 8
Change = tuple[str, bytes | None, bytes | None]  # key, old row, new row


class PartitionState:
    """Rows by table and key, as their changelogs have them.

    Indexes hear nothing while the rows are being loaded. Then `build_indexes` loads each table into them, in
    turns with the changes that go on meanwhile: those wait in a journal until the table's rows are in.

    Attributes:
        positions: By table, the first changelog offset that is not in `rows`.
        sizes: By table, the bytes of all keys (of ASCII) and rows.
        indexes: Told of every change of their table's rows, after it.
        fresh_at: When the rows were last known to be all that were committed, or began to be read, in seconds
            since the epoch; None: never.
        loaded: Whether the rows have once been complete.
        indexed: Whether the indexes know every row.
    """

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.rows: dict[str, dict[str, bytes]] = {table: {} for table in TABLES}
        self.positions: dict[str, int] = dict.fromkeys(TABLES, 0)
        self.sizes: dict[str, int] = dict.fromkeys(TABLES, 0)
        self._most: dict[str, int] = dict.fromkeys(TABLES, 0)
        self.indexes: list[Index] = []
        self.fresh_at: float | None = None
        self.loaded = False
        self.indexed = False
        self._heard: set[str] = set()  # tables whose indexes are told of each change
        self._journals: dict[str, list[Change]] = {}
        self._cleared: list[tuple[str, bool, dict[str, bytes]]] = []  # and whether indexes know them
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
            self._shrink(table)
        self.sizes[table] += _grown(key, old, value)
        if key == OFFSET_KEY and table == "meta":
            self._note_meta(value)
        if table in self._heard:
            self._notify(table, (key, old, value))
        elif table in self._journals:
            self._journals[table].append((key, old, value))

    def apply_all(self, table: str, changes: Iterable[tuple[str, bytes | None]]) -> None:
        """Set many rows; quickest while no index hears of them."""
        if table in self._heard or table in self._journals or table == "meta":
            for key, value in changes:
                self.apply(table, key, value)
        else:
            rows, grown = self.rows[table], 0
            for key, value in changes:
                old = rows.get(key)
                if value is not None:
                    rows[key] = value
                elif old is not None:
                    del rows[key]
                grown += _grown(key, old, value)
            self.sizes[table] += grown
            self._shrink(table)

    def _shrink(self, table: str) -> None:
        """Give back the room of rows that are gone, once few of many are left: a dictionary keeps it."""
        rows = self.rows[table]
        self._most[table] = max(self._most[table], len(rows))
        if _LEAST_ROOM < self._most[table] > _ROOM_PER_ROW * len(rows):
            self.rows[table], self._most[table] = dict(rows), len(rows)

    def restore(
        self,
        rows: Mapping[str, dict[str, bytes]],
        positions: Mapping[str, int],
        fresh_at: float | None = None,
    ) -> None:
        """Take over what an earlier process had, all tables of it; nothing is known so far."""
        self.fresh_at = fresh_at
        self.rows.update(rows)
        self.sizes = {name: _size(table) for name, table in self.rows.items()}
        self.positions.update(positions)
        self._note_meta(self.rows["meta"].get(OFFSET_KEY))

    async def build_indexes(self) -> None:
        """Let the indexes know every row, giving the event loop its turns. One at a time, to its end."""
        await self.forget_cleared()
        for table in TABLES:
            if table not in self._heard:
                await self._build_table(table)
        self.indexed = self.loaded and self._heard.issuperset(TABLES)

    async def _build_table(self, table: str) -> None:
        rows, journal = self.rows[table], list[Change]()
        keys, values = list(rows), list(rows.values())
        self._journals[table] = journal
        for index in self.indexes:
            if index.table == table:
                await load(index, self.partition, keys, values)
        async for change in in_turns(journal):  # it may grow meanwhile
            self._notify(table, change)
        if self._journals.get(table) is journal:  # else it was cleared meanwhile
            self._heard.add(table)
            del self._journals[table]

    def _notify(self, table: str, change: Change) -> None:
        for index in self.indexes:
            if index.table == table:
                index.changed(self.partition, table, *change)

    def _note_meta(self, row: bytes | None) -> None:
        self._meta = orjson.loads(row) if row else {}

    def clear(self) -> None:
        """Forget everything at once; `forget_cleared` takes it back from the indexes, before new rows."""
        known = self._heard | self._journals.keys()
        self._cleared += [(table, table in known, self.rows[table]) for table in TABLES if self.rows[table]]
        self.rows.update({table: {} for table in TABLES})
        self.positions = dict.fromkeys(TABLES, 0)
        self.sizes = dict.fromkeys(TABLES, 0)
        self._most = dict.fromkeys(TABLES, 0)
        self._note_meta(None)
        self.loaded = self.indexed = False
        self.fresh_at = None
        self._heard.clear()
        self._journals.clear()

    async def forget_cleared(self) -> None:
        """Take what was cleared back from the indexes, and free it, giving the event loop its turns."""
        async for table, is_known, (key, row) in in_turns(self._take_cleared()):
            if is_known:
                self._notify(table, (key, row, None))

    def _take_cleared(self) -> Iterator[tuple[str, bool, tuple[str, bytes]]]:
        while self._cleared:
            table, is_known, rows = self._cleared[0]
            while rows:
                yield table, is_known, rows.popitem()
            del self._cleared[0]

    def is_older_than(self, seconds: float, now: float) -> bool:
        """Whether the rows have not been known to be complete for so long, or longer."""
        return self.fresh_at is not None and now - self.fresh_at > seconds

    @property
    def next_offset(self) -> int:
        """The first offset of the source partition that is not folded in."""
        return int(self._meta.get("next", 0))

    @property
    def progress(self) -> Progress:
        """What of the source partition is folded in: all before `next_offset`, and some above it."""
        return Progress.read(self._meta)

    @property
    def event_time(self) -> int | None:
        """The latest event time that was folded in, in milliseconds."""
        return self._meta.get("at")

    @property
    def stream_time(self) -> int:
        """The partition's clock: the latest Kafka timestamp that was folded in, in milliseconds.

        As in Kafka Streams, it never goes back, and a machine's clock does not move it.
        """
        return int(self._meta.get("mark", 0))

    @property
    def late_dropped(self) -> int:
        """How many counts came after their bucket's retention."""
        return int(self._meta.get("late", 0))

    @property
    def skipped(self) -> int:
        """How many records of the upload topic were deleted before they were read."""
        return int(self._meta.get("skipped", 0))

    @property
    def identity(self) -> bytes | None:
        """What names this incarnation of the state."""
        return self.rows["meta"].get(ID_KEY)

    @property
    def uploads_id(self) -> str | None:
        """The Kafka id of the upload topic that was folded in; None: none was, or it has no id."""
        row = self.rows["meta"].get(UPLOADS_KEY)
        return None if row is None else str(orjson.loads(row)["id"])


def _grown(key: str, old: bytes | None, new: bytes | None) -> int:
    """By how many bytes a table grows as a row becomes another one; None: there is none."""
    before = 0 if old is None else len(key) + len(old)
    return (0 if new is None else len(key) + len(new)) - before


def _size(table: Mapping[str, bytes]) -> int:
    return sum(map(len, table)) + sum(map(len, table.values()))
