"""Tables as files, a few thousand rows at a time: CSV, and Parquet by the extra `export`."""

import csv
import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol, Self

from schemas.errors import SettingsError
from streams.export.tables import Cell, Kind, Table

ROWS_PER_GROUP = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Writer(Protocol):
    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        """Write some rows."""

    def close(self) -> None:
        """End the file."""


class TableFile:
    """A file that a table's rows go to. Use it as a context manager.

    Attributes:
        table: Whose rows they are.
        rows: How many there are.
    """

    def __init__(self, folder: Path, table: Table, format_: str) -> None:
        self.table = table
        self.rows = 0
        self._path = folder / f"{table.name}.{format_}"
        self._writer: _Writer = (_Parquet if format_ == "parquet" else _Csv)(self._path, table)
        self._waiting: list[tuple[Cell, ...]] = []
        self._open = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.finish()
        elif self._open:
            self._writer.close()

    def add(self, row: tuple[Cell, ...]) -> None:
        """Take a row."""
        self._waiting.append(row)
        if len(self._waiting) >= ROWS_PER_GROUP:
            self._flush()

    def finish(self) -> None:
        """End the file, and wait until it is on disk."""
        if self._open:
            self._flush()
            self._open = False
            self._writer.close()
            sync(self._path)

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write(self._waiting)
            self.rows += len(self._waiting)
            self._waiting.clear()


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_format(format_: str) -> None:
    """Make sure that a format can be written.

    Raises:
        SettingsError: What writes it is not installed.
    """
    if format_ == "parquet":
        _pyarrow()


def _pyarrow() -> Any:  # noqa: ANN401 - a module of an optional package
    try:
        import pyarrow.parquet  # noqa: PLC0415 - an extra: workers do without
    except ImportError:
        cure = "pip install 'tagstream[export]', or say --format csv"
        raise SettingsError(f"--format parquet needs pyarrow, which is not installed; {cure}") from None
    return pyarrow


class _Csv:
    def __init__(self, path: Path, table: Table) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file)
        self._writer.writerow([column.name for column in table.columns])

    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        self._writer.writerows([_told(cell) for cell in row] for row in rows)

    def close(self) -> None:
        self._file.close()


def _told(cell: Cell) -> str | int | float | None:
    if isinstance(cell, datetime):
        return cell.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if isinstance(cell, str) and cell.startswith(_FORMULA):
        return f"'{cell}"  # strangers' texts: a spreadsheet would run what begins so
    return cell


class _Parquet:
    def __init__(self, path: Path, table: Table) -> None:
        pyarrow = _pyarrow()
        kinds = {
            Kind.TEXT: pyarrow.string(),
            Kind.NUMBER: pyarrow.int64(),
            Kind.REAL: pyarrow.float64(),
            Kind.MOMENT: pyarrow.timestamp("ms", tz="UTC"),
        }
        fields = [
            pyarrow.field(column.name, kinds[column.kind], metadata={"description": column.meaning})
            for column in table.columns
        ]
        self._schema = pyarrow.schema(fields, metadata={"description": table.meaning})
        self._batch = pyarrow.record_batch
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")

    def write(self, rows: Sequence[tuple[Cell, ...]]) -> None:
        self._writer.write_batch(
            self._batch([list(column) for column in zip(*rows, strict=True)], self._schema)
        )

    def close(self) -> None:
        self._writer.close()
