"""Reading on where a record has a header name that is not UTF-8: Kafka takes it, and aiokafka stops at it.

To the broker a header's name is bytes, and some clients send any. aiokafka raises UnicodeDecodeError at such
a record, again at each attempt, so that its partition would stand still for ever. Here the record is given
like any other, its name with U+FFFD for what is not UTF-8.

aiokafka offers no place for that: `use_lenient_headers` replaces two classes that its fetcher uses. All is
read by aiokafka's compiled decoder until that fails, and from the batch where it failed, to the end of the
bytes that were fetched with it, by aiokafka's decoder in Python. Without the compiled one (a build of
aiokafka without its extensions) nothing changes: such a record is a CorruptRecordException.

A batch that is corrupt, by its CRC or its structure, is a CorruptRecordException as before, and ends the
reading: nobody can tell which records it had, and to go on without them would be a gap of our making.
"""

from collections.abc import Iterator
from typing import Any

from aiokafka import ConsumerRecord
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy


def use_lenient_headers() -> None:
    """Let the consumers of this process read records with any header names."""
    fetcher.MemoryRecords = Batches
    fetcher.PartitionRecords = Records


class Batches:
    """The batches of one fetch of a partition: aiokafka's, and a way to read the last one again."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._batches = MemoryRecords(data)
        self._given = 0
        self.has_next = self._batches.has_next
        self.size_in_bytes = self._batches.size_in_bytes

    def next_batch(self) -> Any:  # noqa: ANN401 - aiokafka is untyped here
        """The next batch."""
        self._given += 1
        return self._batches.next_batch()

    def from_last_on(self) -> "_LenientBatches":
        """The batch that was returned last, and those after it, so that any header name is read."""
        batches = _LenientBatches(self._data)
        for _ in range(self._given - 1):
            batches.next_batch()
        return batches


class Records(PartitionRecords):  # type: ignore[misc]  # aiokafka is untyped here
    """The records of one fetch of a partition, whatever their headers' names."""

    _records: Any

    def _unpack_records(self) -> Iterator[ConsumerRecord]:
        try:
            yield from super()._unpack_records()
        except UnicodeDecodeError:
            self._records = self._records.from_last_on()
            # It passes over what is below `next_fetch_offset`: the records that were given already.
            yield from super()._unpack_records()


class _LenientBatches(_MemoryRecordsPy):  # type: ignore[misc]  # aiokafka is untyped here
    def next_batch(self) -> "_LenientBatch":
        data = self._next_slice
        super().next_batch()
        return _LenientBatch(data)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]  # aiokafka is untyped here
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer = _LenientBytes(self._buffer)


class _LenientBytes(bytearray):
    """Bytes that decode whatever they are, as do their slices, which are as long as asked for or an error."""

    def __getitem__(self, place: Any) -> Any:  # noqa: ANN401 - an index gives an int, a slice gives bytes
        part = super().__getitem__(place)
        if isinstance(part, int):
            return part
        if len(part) < place.stop - place.start:
            raise IndexError("a record ends beyond its batch")  # aiokafka: CorruptRecordException
        return _LenientBytes(part)

    def decode(self, encoding: str = "utf-8", _errors: str = "strict") -> str:
        return super().decode(encoding, "replace")
