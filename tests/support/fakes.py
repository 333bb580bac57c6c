"""Stand-ins at the borders of unit tests. The pipeline's own tests use none of them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import orjson

from schemas.answers import trends as answers
from schemas.results import ModelInfo, ScoredTag, Timings
from schemas.topics import OFFSET_KEY, TopicNames
from schemas.uploads import Record, Upload, UploadData, UploadType
from streams.fold.changes import Changes
from streams.fold.fold import FoldRules, fold
from streams.fold.outcomes import Deleted, Done, Edited, Output, Tagged
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy
from streams.fold.rules.applying import Rules
from streams.repartition.routing import RoutedRecord
from streams.state.partition import PartitionState

NAMES = TopicNames("app")
RULES = FoldRules(NAMES, Retention(minute=1, hour=31, day=800, interests=365, deleted=30), RetryPolicy())


def record(
    offset: int = 0, value: bytes | None = b"{}", key: bytes | None = b"img", **rest: object
) -> Record:
    fields = {"topic": "image.uploads", "partition": 0, "timestamp": 1_000, "headers": ()} | rest
    return Record(offset=offset, key=key, value=value, **fields)  # type: ignore[arg-type]


def as_copied(found: RoutedRecord) -> Record:
    """The copy of an event, as a unit reads it."""
    return Record(
        topic="app-uploads-repartition",
        partition=found.partition,
        offset=0,
        timestamp=found.timestamp,
        key=found.key,
        value=found.value,
        headers=found.headers,
    )


def upload(
    public_id: str = "img",
    event_id: str = "e1",
    *,
    at: int = 3_600_000,
    auto_tagging: float | None = 0.5,
    kind: UploadType = UploadType.UPLOADED,
    **data: object,
) -> Upload:
    return Upload(
        source="test",
        id=event_id,
        type=kind,
        public_id=public_id,
        at=at,
        data=UploadData(public_id=public_id, url="http://h/1.jpg", **data),  # type: ignore[arg-type]
        add_ons=("imagga_tagging",),
        auto_tagging=auto_tagging,
    )


def tagged(event: Upload, **confidences: float) -> Tagged:
    return tagged_by(event, {"imagga_tagging": confidences}, {"imagga_tagging": ModelInfo("m", "1")})


def tagged_by(
    event: Upload,
    said: Mapping[str, Mapping[str, float]],
    models: dict[str, ModelInfo],
    failed: dict[str, str] | None = None,
) -> Tagged:
    """An outcome: what each add-on said, and why others failed."""
    raw = {name: [ScoredTag(*score) for score in scores.items()] for name, scores in said.items()}
    rules = Rules()
    ruling = rules.apply(raw, event.auto_tagging)
    return Tagged(
        upload=event,
        url="http://h/1.jpg",
        size=10,
        width=4,
        height=3,
        format="jpg",
        etag="e",
        raw=raw,
        scores=ruling.scores,
        assigned=ruling.assigned,
        rules=rules.hash,
        models=models,
        timings=Timings(1, 1, 1, 3),
        failed=failed or {},
    )


def edit(event_id: str, *, at: int = 7_200_000, public_id: str = "img", **data: object) -> Upload:
    """A person's edit: what is `added`, what is `removed`, and `by` whom."""
    return upload(public_id, event_id, at=at, kind=UploadType.EDITED, **data)


def done(offset: int, event: Upload, **confidences: float) -> Done:
    if event.type is UploadType.DELETED:
        return Done(record(offset), Deleted(event))
    if event.type is UploadType.EDITED:
        return Done(record(offset), Edited(event, read_at=1_000))
    return Done(record(offset), tagged(event, **confidences))


def apply(state: PartitionState, event: Done, rules: FoldRules = RULES) -> list[Output]:
    """Fold an event and commit it to a state; return what it emits."""
    changes = Changes(state.rows)
    fold(changes, event, rules)
    for table, key, value in changes.encoded():
        state.apply(table, key, value)
    return changes.outputs


@dataclass
class FakeReplica:
    """What query indexes follow, and what it says of how far each partition is."""

    states: dict[int, PartitionState]
    fresh: list[answers.PartitionState] = field(default_factory=list)
    complete: bool = True
    behind: list[int] = field(default_factory=list)

    def as_of(self) -> list[answers.PartitionState]:
        return self.fresh


class MemoryStore:
    """A state store without a broker: commits are instant, and counted."""

    def __init__(self) -> None:
        self.state = PartitionState(0)
        self.commits: list[int] = []
        self.outputs: list[tuple[str, dict[str, object]]] = []
        self.closed = False
        self.is_group_offset_due = False
        self.streams: dict[str, str] = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def open(self) -> None:
        """Nothing to fence."""

    async def close(self) -> None:
        self.closed = True

    async def commit(self, changes: Changes, next_offset: int, above: Sequence[int] = ()) -> None:
        await self.gate.wait()
        changes.put("meta", OFFSET_KEY, {"next": next_offset, "above": list(above)})
        for table, key, value in changes.encoded():
            self.state.apply(table, key, value)
        self.outputs += [(out.topic, orjson.loads(out.value or b"null")) for out in changes.outputs]
        self.commits.append(next_offset)
        self.is_group_offset_due = False


class ListLog:
    """A log that holds what it was given, and then waits for more."""

    def __init__(self, records: list[Record]) -> None:
        self.end_offset: int | None = None
        self.behind_open_transaction: int | None = None
        self.reached = 0
        self._records = records
        self._grown = asyncio.Event()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""

    def add(self, item: Record) -> None:
        self._records.append(item)
        self._grown.set()

    async def records(self, offset: int) -> AsyncIterator[Record]:
        place = 0
        while True:
            while place < len(self._records):
                item = self._records[place]
                place += 1
                if item.offset >= offset:
                    yield item
            self._grown.clear()
            await self._grown.wait()
