"""The counts of `tag.counts` in memory, as far as each partition is read."""

import functools
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
from aiokafka import ConsumerRecord

from schemas.streams.records import ALL_ADD_ONS, CountedTag, TagCountKey
from streams.fold.rows import TrendKey
from streams.state.trends.counts import TenantTrends
from streams.state.trends.index import TABLE, TrendIndex

_read_key = msgspec.json.Decoder(TagCountKey).decode
_read = msgspec.json.Decoder(CountedTag).decode


class _Rows:
    """The rows of a partition, as the index looks them up."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, bytes]] = {TABLE: {}}


class ReadCounts:
    """What is read of all partitions.

    Attributes:
        clocks: By partition how far its clock was at its last record, milliseconds since the epoch.
        positions: By partition the next offset.
    """

    def __init__(self, partitions: Sequence[int]) -> None:
        self.clocks: dict[int, int] = dict.fromkeys(partitions, 0)
        self.positions: dict[int, int] = dict.fromkeys(partitions, 0)
        self._rows = {partition: _Rows() for partition in partitions}
        self._index = TrendIndex(self._rows)

    @property
    def tenants(self) -> Mapping[str, TenantTrends]:
        """The counts of each tenant that has any."""
        return {name: self._index.tenant(name) for name in self._index.tenants}

    def tenant(self, name: str) -> TenantTrends:
        """The counts of a tenant; of an unknown one they are empty."""
        return self._index.tenant(name)

    def take(self, message: ConsumerRecord) -> None:
        """Take in a record. Those of single add-ons are passed over."""
        partition = message.partition
        self.positions[partition] = message.offset + 1
        key = _read_key(message.key)
        counted = None if message.value is None else _read(message.value)
        if counted is not None:
            self.clocks[partition] = max(self.clocks[partition], counted.clock)
        if key.add_on != ALL_ADD_ONS:
            return
        name = TrendKey(key.tenant, key.window, _seconds(key.start), key.tag).encode()
        rows = self._rows[partition].rows[TABLE]
        old, new = rows.get(name), None if counted is None else _row(counted)
        if new is None:
            rows.pop(name, None)
        else:
            rows[name] = new
        if old is not None or new is not None:
            self._index.changed(partition, TABLE, name, old, new)


@functools.lru_cache(maxsize=10_000)
def _seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


def _row(counted: CountedTag) -> bytes:
    return msgspec.json.encode({"n": counted.count, "by": {}} | _sketch(counted))


def _sketch(counted: CountedTag) -> dict[str, str]:
    return {} if counted.uploaders is None else {"u": counted.uploaders}
