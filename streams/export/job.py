"""An export: each partition's rows at a moment between two transactions, made flat and written."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable, Iterable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import orjson
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from schemas.topics import OFFSET_KEY, Progress, TopicNames
from streams.export.cut import Ends, find_cut
from streams.export.files import TableFile, sync
from streams.export.folder import whole_folder
from streams.export.shelf import Shelf
from streams.export.tables import (
    ADD_ON_COUNTS,
    COUNTS,
    IMAGES,
    TABLES,
    TAGS,
    add_on_cells,
    count_cells,
    counts_of,
    image_cells,
)
from streams.kafka.connection import KafkaConnection
from streams.kafka.consumers import consuming, partitions_of

MANIFEST = "manifest.json"
_READ = ("images", "trends", "meta")
_CHUNK = 1000
_STALLED_AFTER = 60.0  # seconds without a record, although there are more
_SHELF = "rows.sqlite"


@dataclass
class Report:
    """How far it is.

    Attributes:
        partitions: Of the state.
        partition: The one in work.
        read: Records of changelogs so far.
        total: Records that there are, about.
        rows: What was written, by table.
    """

    partitions: int = 0
    partition: int = 0
    read: int = 0
    total: int = 0
    rows: dict[str, int] = field(default_factory=dict)


@dataclass
class ExportJob:
    """What is exported, where to and how.

    Attributes:
        connection: How to reach Kafka.
        names: Of the topics.
        target: The folder that is to be there when all is in it.
        format: `parquet` or `csv`.
        on_progress: Is told of the report as it changes.
        report: How far it is.
    """

    connection: KafkaConnection
    names: TopicNames
    target: Path
    format: str
    on_progress: Callable[[Report], None] = lambda _report: None
    report: Report = field(default_factory=Report)

    async def run(self) -> None:
        """Write all tables and what they are of.

        Raises:
            SettingsError: The folder is there already, or is being written.
            KafkaError: Kafka does not answer, or a partition is never at rest.
        """
        async with contextlib.AsyncExitStack() as stack:
            committed = await stack.enter_async_context(consuming(self.connection))
            uncommitted = await stack.enter_async_context(consuming(self.connection, "read_uncommitted"))
            folder = stack.enter_context(whole_folder(self.target))
            shelf = stack.enter_context(Shelf(folder / _SHELF))
            partitions = await partitions_of(committed, [self.names.changelog("meta")])
            self.report.partitions = len(partitions)
            files = [stack.enter_context(TableFile(folder, table, self.format)) for table in (IMAGES, TAGS)]
            read = []
            for place in partitions:
                reading = _Reading(committed, uncommitted, self, place.partition)
                read.append(await reading.to_cut(shelf))
                self._write_images(shelf, place.partition, *files)
            for file in files:
                file.finish()
            counted = self._write_counts(shelf, folder)
            self.report.rows = {file.table.name: file.rows for file in (*files, *counted)}
            _write_manifest(folder, self.names, read, self.report.rows)
            shelf.close()
            (folder / _SHELF).unlink()

    def _write_images(self, shelf: Shelf, partition: int, images: TableFile, tags: TableFile) -> None:
        """Write a partition's images, and leave its counts on the shelf."""
        for key, row in shelf.rows("images"):
            found = image_cells(partition, key, row)
            if found is not None:
                images.add(found[0])
                for cells in found[1]:
                    tags.add(cells)
        shelf.add(count for key, row in shelf.rows("trends") for count in counts_of(key, row))
        shelf.clear()

    def _write_counts(self, shelf: Shelf, folder: Path) -> list[TableFile]:
        written = []
        for table, cells, by_add_on in ((COUNTS, count_cells, False), (ADD_ON_COUNTS, add_on_cells, True)):
            with TableFile(folder, table, self.format) as file:
                for count in shelf.counts(by_add_on=by_add_on):
                    file.add(cells(count))
            written.append(file)
        return written


class _Reading:
    """One partition's changelogs, read to a cut."""

    def __init__(
        self, committed: AIOKafkaConsumer, uncommitted: AIOKafkaConsumer, job: ExportJob, partition: int
    ) -> None:
        self._committed = committed
        self._uncommitted = uncommitted
        self._job = job
        self._places = {TopicPartition(job.names.changelog(table), partition): table for table in _READ}
        self._partition = partition
        self._meta: dict[str, Any] = {}

    async def to_cut(self, shelf: Shelf) -> dict[str, Any]:
        """Put the rows of one moment on the shelf; return what the manifest says of it.

        Nearly all is read before the moment is chosen: what a later row of its key would replace is then
        already here, should the broker drop it meanwhile.
        """
        consumer, job = self._committed, self._job
        consumer.assign(list(self._places))
        starts = await consumer.beginning_offsets(list(self._places))
        ends: Ends = await consumer.end_offsets(list(self._places))
        for place, start in starts.items():
            consumer.seek(place, start)
        job.report.partition = self._partition
        job.report.total += sum(ends[place] - starts[place] for place in self._places)
        await self._read_to(ends, shelf)
        cut = await find_cut(consumer, self._uncommitted, list(self._places))
        await self._read_to(cut, shelf)
        progress = Progress.read(self._meta)
        return {
            "partition": self._partition,
            "next": progress.next,
            "above": list(progress.above),
            "event_time": self._meta.get("at"),
            "changelogs": {place.topic: cut[place] for place in self._places},
        }

    async def _read_to(self, ends: Ends, shelf: Shelf) -> None:
        async with contextlib.aclosing(self._batches(ends)) as batches:
            async for place, messages in batches:
                self._take(self._places[place], messages, shelf)
                self._job.report.read += len(messages)
                self._job.on_progress(self._job.report)

    async def _batches(self, ends: Ends) -> AsyncGenerator[tuple[TopicPartition, list[ConsumerRecord]], None]:
        """Records before some offsets; what comes behind them is left for the next time."""
        consumer, deadline = self._committed, time.monotonic() + _STALLED_AFTER
        while left := [place for place in self._places if await consumer.position(place) < ends[place]]:
            found = await consumer.getmany(*left, timeout_ms=500, max_records=_CHUNK)
            for place, messages in found.items():
                kept = [message for message in messages if message.offset < ends[place]]
                if len(kept) < len(messages):
                    consumer.seek(place, ends[place])
                yield place, kept
            if found:
                deadline = time.monotonic() + _STALLED_AFTER
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError(f"no answer from Kafka for {_STALLED_AFTER:g} s")
            await asyncio.sleep(0)

    def _take(self, table: str, messages: Iterable[ConsumerRecord], shelf: Shelf) -> None:
        if table != "meta":
            shelf.put(table, ((message.key.decode(), message.value) for message in messages))
            return
        for message in messages:
            if message.key == OFFSET_KEY.encode():
                self._meta = orjson.loads(message.value) if message.value else {}


def _write_manifest(
    folder: Path, names: TopicNames, partitions: list[dict[str, Any]], rows: dict[str, int]
) -> None:
    """Say what the tables are of, and what their columns mean."""
    told = {
        "tagstream": version("tagstream"),
        "app_id": names.app_id,
        "upload_log": names.upload_log,
        "partitions": partitions,
        "tables": {
            table.name: {
                "meaning": table.meaning,
                "rows": rows[table.name],
                "columns": {column.name: column.meaning for column in table.columns},
            }
            for table in TABLES
        },
    }
    path = folder / MANIFEST
    path.write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=2) + b"\n")
    sync(path)
