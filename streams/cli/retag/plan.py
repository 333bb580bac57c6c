"""Which images a re-tag is for, and the event that asks for each."""

import contextlib
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

import msgspec
import orjson

from schemas.cloudevents import event_headers
from schemas.errors import BadEventError
from schemas.results import ModelInfo
from schemas.topics import TopicNames
from schemas.uploads import Record, UploadData, UploadType
from streams.fold.changes import Row
from streams.fold.retagging import second_look
from streams.fold.rows import ImageKey
from streams.kafka.connection import KafkaConnection
from streams.kafka.offset_ranges import OffsetRanges, find_offset_ranges, read_offset_ranges

SOURCE = "tagstream:retag"
Mode = Literal["rules", "model", "image"]  # the field `retag` of an event


class Fate(StrEnum):
    """What a re-tag does about an image; all but `CHOSEN` say why nothing is to be done."""

    CHOSEN = "chosen"
    OTHERS = "not selected"
    DONE = "done by this run before"
    CURRENT = "tagged by the present models"
    WITHOUT_URL = "given as a data: URL, which is not kept: it cannot be fetched again"
    UNKEPT = "tagged before thresholds were kept: a new upload, or a re-tag by model, keeps them"


@dataclass(frozen=True)
class Selection:
    """Which images are meant.

    Attributes:
        run: Names this run; who says the same name again goes on with it.
        mode: Whether the rules are applied anew, or images looked at: those of other models, or all.
        models: The present models.
        default_add_ons: Those that look at images whose own are gone.
        tenant: Only this tenant's images; None: everybody's.
        tags: Only images that have all of these.
    """

    run: str
    mode: Mode
    models: Mapping[str, ModelInfo] = field(default_factory=dict)
    default_add_ons: tuple[str, ...] = ()
    tenant: str | None = None
    tags: tuple[str, ...] = ()

    def fate(self, key: str, row: Row) -> Fate:
        """Whether an image is meant; if not, why."""
        tenant = ImageKey.decode(key).tenant
        if row.get("deleted") or self.tenant not in {None, tenant} or not set(self.tags) <= set(row["tags"]):
            return Fate.OTHERS
        if row["cause"][0] == SOURCE and row["cause"][1].startswith(f"{self.run}/"):
            return Fate.DONE
        if self.mode == "rules":
            return Fate.CHOSEN if "asked" in row else Fate.UNKEPT
        always = self.mode == "image"
        try:
            look = second_look(row, self.models, self.default_add_ons, always=always)
        except BadEventError:
            return Fate.WITHOUT_URL
        return Fate.CURRENT if look is None else Fate.CHOSEN

    def event(self, names: TopicNames, partition: int, key: str, offset: int = 0) -> Record:
        """The event that re-tags an image, as the log has it at an offset."""
        tenant, public_id = ImageKey.decode(key)
        data = UploadData(public_id=public_id, tenant=tenant or None, retag=self.mode)
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        headers = event_headers(id=f"{self.run}/{digest}", source=SOURCE, type=UploadType.RETAGGED)
        return Record(
            topic=names.uploads,
            partition=partition,
            offset=offset,
            timestamp=int(time.time() * 1000),
            key=public_id.encode(),
            value=msgspec.json.encode(data),
            headers=headers,
        )


async def partitions_of(connection: KafkaConnection, names: TopicNames) -> dict[int, OffsetRanges]:
    """Measure what there is of the images' changelog, by partition."""
    ranges = await find_offset_ranges(connection, names.changelog("images"))
    return {
        number: OffsetRanges(ranges.topic, {number: start}, {number: ranges.ends[number]})
        for number, start in sorted(ranges.starts.items())
    }


async def image_rows(connection: KafkaConnection, ranges: OffsetRanges) -> dict[str, bytes]:
    """Read the rows of a partition's images as they are now.

    Raises:
        KafkaTimeoutError: The cluster stopped answering.
    """
    rows: dict[str, bytes] = {}
    async with contextlib.aclosing(read_offset_ranges(connection, ranges)) as records:
        async for record in records:
            key = (record.key or b"").decode()
            if record.value is None:
                rows.pop(key, None)
            else:
                rows[key] = record.value
    return rows


def choose(rows: Mapping[str, bytes], selection: Selection, fates: Counter[Fate]) -> Iterator[str]:
    """The keys of the images that are meant; what becomes of each is counted in `fates`."""
    for key, row in rows.items():
        fate = selection.fate(key, orjson.loads(row))
        fates[fate] += 1
        if fate is Fate.CHOSEN:
            yield key
