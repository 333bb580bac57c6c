"""Applying one event to the state: pure, in offset order, the same on every replay.

The committed state of a partition is always the fold of these functions over its log's first k
records, and k travels with it.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from schemas.cloudevents import event_headers
from schemas.dead_letters import dead_letter_headers
from schemas.results import (
    CATEGORIZED,
    TAGS_CHANGED,
    AddOnResult,
    Categorization,
    Cause,
    ChangedResource,
    Info,
    TagUpdate,
    result_id,
)
from schemas.uploads import MAX_TAGS, Record, Upload
from streams.changes import Changes, Row
from streams.outcomes import Deleted, Done, Output, Rejected, Tagged
from streams.topics import TopicNames

REMEMBERED_EVENTS = 8  # ids kept per image: a repeat further back is caught by its event time
HOUR_MS = 3_600_000
ALL_TIME = "all"


def fold(changes: Changes, done: Done, names: TopicNames) -> None:
    """Apply one event with its outcome."""
    match done.outcome:
        case Rejected(fault):
            headers = dead_letter_headers(done.record, fault)
            changes.emit(Output(names.dead_letters, done.record.key, done.record.value, headers))
        case Tagged() as tagged:
            _apply(changes, tagged.upload, tagged, done.record, names)
        case Deleted(upload):
            _apply(changes, upload, None, done.record, names)


def _apply(
    changes: Changes, upload: Upload, tagged: Tagged | None, record: Record, names: TopicNames
) -> None:
    row = changes.get("images", upload.public_id)
    if row is not None and event_key(upload) in row["ids"]:
        return  # delivered twice
    if row is not None and is_stale(upload, row):
        changes.put("images", upload.public_id, _remember(row, upload, record))
        new, old_tags = row, row["tags"]
    else:
        new = _new_row(row, upload, tagged, record)
        old_tags = row["tags"] if row else []
        changes.put("images", upload.public_id, new)
        _count(changes, row, new, record.offset)
    if tagged is not None:
        changes.emit(_categorization(tagged, new["tags"], record, names))
    if set(old_tags) != set(new["tags"]):
        changes.emit(_tag_update(upload, old_tags, new["tags"], record, names))


def event_key(upload: Upload) -> str:
    """Give the idempotency key, compact enough to keep several per image."""
    return hashlib.sha256(f"{upload.source}\x1f{upload.id}".encode()).hexdigest()[:16]


def is_stale(upload: Upload, row: Row) -> bool:
    """Tell whether the image is already known in a newer state: by version, else by event time."""
    if upload.data.version is not None and row["version"] is not None:
        return (upload.data.version, upload.at) < (row["version"], row["at"])
    return upload.at < int(row["at"])


def assigned_tags(tagged: Tagged, own: Iterable[str]) -> list[str]:
    """Give the image's own tags, then those whose confidence is strictly above the threshold."""
    tags = dict.fromkeys(own)
    threshold = tagged.upload.auto_tagging
    if threshold is not None:
        scored = [score for scores in tagged.scores.values() for score in scores]
        best_first = sorted(scored, key=lambda score: -score.confidence)
        tags.update(dict.fromkeys(score.tag for score in best_first if score.confidence > threshold))
    return list(tags)[:MAX_TAGS]


def _new_row(row: Row | None, upload: Upload, tagged: Tagged | None, record: Record) -> Row:
    own = upload.data.tags if upload.data.tags is not None else (row["own"] if row else [])
    new: Row = {
        "o": record.offset,
        "at": upload.at,
        "version": upload.data.version if upload.data.version is not None else (row and row["version"]),
        "user": upload.data.user_id or (row and row["user"]),
        "tenant": upload.data.tenant or (row and row["tenant"]),
        "ids": _ids(row, upload),
        "cause": [upload.source, upload.id, upload.type.value],
    }
    if tagged is None:
        return new | {"deleted": True, "url": None, "own": [], "tags": [], "scores": {}, "model": None}
    scores = {
        name: [[score.tag, score.confidence] for score in scores] for name, scores in tagged.scores.items()
    }
    model = [tagged.model.name, tagged.model.version]
    tags = assigned_tags(tagged, own)
    url = None if tagged.url.startswith("data:") else tagged.url  # bytes of images are not kept
    return new | {"url": url, "own": own, "tags": tags, "scores": scores, "model": model}


def _remember(row: Row, upload: Upload, record: Record) -> Row:
    return row | {"ids": _ids(row, upload), "o": record.offset}


def _ids(row: Row | None, upload: Upload) -> list[str]:
    return [*(row["ids"] if row else []), event_key(upload)][-REMEMBERED_EVENTS:]


def trend_key(window: str, start: int, tag: str) -> str:
    """Give the key of a tag's count; `start` is the window's first second since the epoch."""
    return f"{window}:{start}:{tag}"


def trend_keys(tag: str, at: int) -> tuple[str, str]:
    """Give the keys of the counts that a tag of an image from `at` (milliseconds) belongs to."""
    return trend_key(ALL_TIME, 0, tag), trend_key("hour", at // HOUR_MS * 3600, tag)


def _count(changes: Changes, old: Row | None, new: Row, offset: int) -> None:
    before = _keys(old) if old else set()
    after = _keys(new)
    for key in before - after:
        _add(changes, key, -1, offset)
    for key in after - before:
        _add(changes, key, +1, offset)


def _keys(row: Row) -> set[str]:
    return {key for tag in row["tags"] for key in trend_keys(tag, int(row["at"]))}


def _add(changes: Changes, key: str, step: int, offset: int) -> None:
    row = changes.get("trends", key)
    count = (row["n"] if row else 0) + step
    changes.put("trends", key, {"o": offset, "n": count} if count else None)


def _categorization(tagged: Tagged, tags: list[str], record: Record, names: TopicNames) -> Output:
    upload, data = tagged.upload, tagged.upload.data
    add_ons = {name: AddOnResult("complete", scores) for name, scores in tagged.scores.items()}
    result = Categorization(
        public_id=upload.public_id,
        version=data.version,
        user_id=data.user_id,
        tenant=data.tenant,
        uploaded_at=datetime.fromtimestamp(upload.at / 1000, UTC).isoformat().replace("+00:00", "Z"),
        url=None if tagged.url.startswith("data:") else tagged.url,
        bytes=tagged.size,
        width=tagged.width,
        height=tagged.height,
        format=tagged.format,
        etag=tagged.etag,
        tags=tags,
        info=Info(add_ons),
        model=tagged.model,
        timings_ms=tagged.timings,
        cause=Cause(upload.source, upload.id, upload.type.value),
        language=data.language,
        notification_url=data.notification_url,
        context=data.context,
    )
    model = f"{tagged.model.name}/{tagged.model.version}"
    identity = result_id(CATEGORIZED, upload.source, upload.id, add_ons, model)
    headers = event_headers(id=identity, source=f"tagstream:{names.app_id}", type=CATEGORIZED)
    return Output(names.categorizations, _key(upload, record), msgspec.json.encode(result), headers)


def _tag_update(
    upload: Upload, before: list[str], after: list[str], record: Record, names: TopicNames
) -> Output:
    update = TagUpdate(
        resources=[
            ChangedResource(
                public_id=upload.public_id,
                added=[tag for tag in after if tag not in set(before)],
                removed=[tag for tag in before if tag not in set(after)],
                updated=[],
            )
        ],
        tags=after,
        cause=Cause(upload.source, upload.id, upload.type.value),
    )
    identity = result_id(TAGS_CHANGED, upload.source, upload.id, (), "")
    headers = event_headers(id=identity, source=f"tagstream:{names.app_id}", type=TAGS_CHANGED)
    return Output(names.tag_updates, _key(upload, record), msgspec.json.encode(update), headers)


def _key(upload: Upload, record: Record) -> bytes:
    return record.key if record.key is not None else upload.public_id.encode()
