"""Rows on disk until they are written: the newest of each key, and counts summed over the partitions.

A changelog has older rows of a key as well, and there may be more images than memory. SQLite, which Python
brings along, keeps few pages of them in memory.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple, Self

_CACHE_KIB = 65_536
_SETUP = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -{_CACHE_KIB};
CREATE TABLE rows (name TEXT, key TEXT, value BLOB, PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE TABLE counts (
    tenant TEXT, period TEXT, start INTEGER, tag TEXT, add_on TEXT,
    images INTEGER, first INTEGER, last INTEGER,
    PRIMARY KEY (tenant, period, start, tag, add_on)
) WITHOUT ROWID;
"""
_SUM = """
INSERT INTO counts VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
    images = images + excluded.images,
    first = min(coalesce(first, excluded.first), coalesce(excluded.first, first)),
    last = max(coalesce(last, excluded.last), coalesce(excluded.last, last))
"""


class Count(NamedTuple):
    """How many images have a tag in a bucket; `add_on` is empty for all of them, whoever found the tag."""

    tenant: str
    period: str
    start: int
    tag: str
    add_on: str
    images: int
    first: int | None
    last: int | None


class Shelf:
    """Use it as a context manager; the file is its own, and may go with its folder."""

    def __init__(self, path: Path) -> None:
        self._database = sqlite3.connect(path, isolation_level=None)
        self._database.executescript(_SETUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let the file go."""
        self._database.close()

    def put(self, table: str, rows: Iterable[tuple[str, bytes | None]]) -> None:
        """Take rows of a table in the order of its changelog; None removes one."""
        database = self._database
        database.execute("BEGIN")
        for key, value in rows:
            if value is None:
                database.execute("DELETE FROM rows WHERE name = ? AND key = ?", (table, key))
            else:
                database.execute("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", (table, key, value))
        database.execute("COMMIT")

    def rows(self, table: str) -> Iterator[tuple[str, bytes]]:
        """The rows of a table by their keys."""
        yield from self._database.execute("SELECT key, value FROM rows WHERE name = ? ORDER BY key", (table,))

    def clear(self) -> None:
        """Forget all rows; counts stay."""
        self._database.execute("DELETE FROM rows")

    def add(self, counts: Iterable[Count]) -> None:
        """Add to the counts."""
        self._database.execute("BEGIN")
        self._database.executemany(_SUM, counts)
        self._database.execute("COMMIT")

    def counts(self, *, by_add_on: bool) -> Iterator[Count]:
        """The counts above zero by tenant, period, start and tag: of add-ons, or of all images."""
        rest = "WHERE add_on <> '' AND images > 0" if by_add_on else "WHERE add_on = '' AND images > 0"
        found = self._database.execute(f"SELECT * FROM counts {rest} ORDER BY 1, 2, 3, 4, 5")  # noqa: S608 - ours
        yield from map(Count._make, found)
