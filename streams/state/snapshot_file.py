"""The file of a snapshot: blocks of rows, so that neither writing nor reading holds the interpreter for long.

A line that names the format; then blocks, each its length and a MessagePack value: the head, then a table's
name, keys and rows, some at a time; a block of no length; and the SHA-256 of all that came before.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import BinaryIO

import msgspec

_MAGIC = b"tagstream-snapshot-2\n"
_LENGTH_BYTES = 4
_ROWS_PER_BLOCK = 2000
_BYTES_PER_BLOCK = 8_000_000  # and a row more
MAX_BLOCK = 1 << 26  # bytes; a length beyond it is damage


class Head(msgspec.Struct, frozen=True):
    """What a snapshot is of.

    Attributes:
        saved_at: When it was taken, in seconds since the epoch.
        positions: By table, the first changelog offset that is not in it.
    """

    app_id: str
    partition: int
    saved_at: float
    positions: dict[str, int]


@dataclass(frozen=True)
class Snapshot:
    """A partition's rows by table and key, as they were at one moment."""

    head: Head
    rows: dict[str, dict[str, bytes]]


class _Block(msgspec.Struct, array_like=True):
    table: str
    keys: list[str]
    rows: list[bytes]


_read_head = msgspec.msgpack.Decoder(Head).decode
_read_block = msgspec.msgpack.Decoder(_Block).decode


def write(file: BinaryIO, snapshot: Snapshot) -> None:
    """Write a snapshot.

    Raises:
        OSError: The file cannot be written to.
    """
    digest = hashlib.sha256()
    for part in _parts(snapshot):
        digest.update(part)
        file.write(part)
    file.write(digest.digest())


def read(file: BinaryIO) -> Snapshot:
    """Read a snapshot.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is damaged, or of another format.
        RecursionError: Likewise.
        msgspec.MsgspecError: It is damaged in a way that the digest knows nothing of.
    """
    digest = hashlib.sha256()

    def take(size: int) -> bytes:
        if size > MAX_BLOCK:
            raise ValueError(f"a block of it has {size} bytes, more than {MAX_BLOCK}")
        part = file.read(size)
        if len(part) < size:
            raise ValueError("it is cut short")
        digest.update(part)
        return part

    if take(len(_MAGIC)) != _MAGIC:
        raise ValueError("it is of another format")
    head = _read_head(_take_block(take))
    rows: dict[str, dict[str, bytes]] = {table: {} for table in head.positions}
    while content := _take_block(take):
        block = _read_block(content)
        rows.setdefault(block.table, {}).update(zip(block.keys, block.rows, strict=True))
    if file.read(digest.digest_size + 1) != digest.digest():
        raise ValueError("its checksum does not match")
    return Snapshot(head, rows)


def _parts(snapshot: Snapshot) -> Iterator[bytes]:
    yield _MAGIC
    yield from _block(snapshot.head)
    for table, rows in snapshot.rows.items():
        items = iter(rows.items())
        while some := list(_some(items)):
            yield from _block(_Block(table, [key for key, _ in some], [row for _, row in some]))
    yield _length(0)


def _some(items: Iterator[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """The next rows, as many as a block holds."""
    size = 0
    for key, row in islice(items, _ROWS_PER_BLOCK):
        yield key, row
        size += len(row)
        if size > _BYTES_PER_BLOCK:
            return


def _block(value: Head | _Block) -> Iterator[bytes]:
    content = msgspec.msgpack.encode(value)
    yield _length(len(content))
    yield content


def _length(size: int) -> bytes:
    return size.to_bytes(_LENGTH_BYTES, "big")


def _take_block(take: Callable[[int], bytes]) -> bytes:
    return take(int.from_bytes(take(_LENGTH_BYTES), "big"))
