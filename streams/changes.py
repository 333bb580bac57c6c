"""The changes of one transaction: rows and outputs, over the state that is committed."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from streams.outcomes import Output
from streams.uploaders import Uploaders

Row = dict[str, Any]
PartitionRows = Mapping[str, Mapping[str, bytes]]  # table, key: the row as its changelog has it


class Changes:
    """Rows that change and records that go out together.

    Reads see the changes made so far. Each row is decoded and encoded at most once, however
    often the transaction touches it.
    """

    def __init__(self, committed: PartitionRows) -> None:
        self._committed = committed
        self._rows: dict[tuple[str, str], Row | None] = {}
        self.written: set[tuple[str, str]] = set()
        self.outputs: list[Output] = []

    def get(self, table: str, key: str) -> Row | None:
        """Give a row, or None. Whoever changes it must `put` it."""
        place = (table, key)
        if place not in self._rows:
            encoded = self._committed[table].get(key)
            self._rows[place] = None if encoded is None else orjson.loads(encoded)
        return self._rows[place]

    def put(self, table: str, key: str, row: Row | None) -> None:
        """Set a row; None removes it."""
        self._rows[table, key] = row
        self.written.add((table, key))

    def emit(self, output: Output) -> None:
        """Send a record with this transaction."""
        self.outputs.append(output)

    def encoded(self) -> Iterator[tuple[str, str, bytes | None]]:
        """Give table, key and encoded row of all that changed."""
        for table, key in self.written:
            row = self._rows[table, key]
            yield table, key, None if row is None else encode_row(row)


def encode_row(row: Row) -> bytes:
    """Give a row as its changelog has it."""
    # A copy, because orjson's bytes hold on to a buffer of 4 KiB each, and rows are kept.
    return bytes(memoryview(orjson.dumps(row, default=_encode)))


def _encode(value: object) -> str:
    if isinstance(value, Uploaders):
        return value.encoded()
    raise TypeError(f"{type(value).__name__} cannot be in a row")
