"""Applying one event to the state: pure, in offset order, the same on every replay.

The committed state of a partition is always the fold of these functions over its log's first k
records, and k travels with it.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from schemas.uploads import MAX_TAGS, Record, Upload
from streams.announcing import categorization_output, dead_letter_output, tag_update_output
from streams.changes import Changes, Row
from streams.counting import count, count_interests
from streams.outcomes import Deferred, Deleted, Done, Rejected, Tagged
from streams.retention import Retention
from streams.retrying import RetryPolicy, defer
from streams.rows import OFFSET_KEY, ImageKey
from streams.topics import TopicNames

REMEMBERED_EVENTS = 8  # ids kept per image: a repeat further back is caught by its event time
REMEMBERED_CHANGES = 10  # changes of an image's tags that can be looked up
OWN = "own"


@dataclass(frozen=True)
class FoldRules:
    """What the fold depends on besides the events."""

    names: TopicNames
    retention: Retention
    retries: RetryPolicy


def fold(changes: Changes, done: Done, rules: FoldRules) -> None:
    """Apply one event with its outcome."""
    _advance_clock(changes, done)
    if isinstance(done.outcome, Deferred):
        defer(changes, done.record, done.outcome, rules.retries, rules.names)
        return
    if changes.get("retries", str(done.record.offset)) is not None:
        changes.put("retries", str(done.record.offset), None)
    match done.outcome:
        case Rejected(fault, upload):
            if upload is None or not _is_repeat(changes.get("images", _image_key(upload)), upload):
                changes.emit(dead_letter_output(done.record, fault, rules.names))
        case Tagged() as tagged:
            _apply(changes, tagged.upload, tagged, done.record, rules)
        case Deleted(upload):
            _apply(changes, upload, None, done.record, rules)


def _advance_clock(changes: Changes, done: Done) -> None:
    meta = dict(changes.get("meta", OFFSET_KEY) or {})
    meta["mark"] = max(meta.get("mark", 0), done.record.timestamp)
    if isinstance(done.outcome, Tagged | Deleted):
        meta["at"] = max(meta.get("at", 0), done.outcome.upload.at)
    changes.put("meta", OFFSET_KEY, meta)


def _apply(changes: Changes, upload: Upload, tagged: Tagged | None, record: Record, rules: FoldRules) -> None:
    key = _image_key(upload)
    old = changes.get("images", key)
    if _is_repeat(old, upload):
        return
    if old is not None and is_stale(upload, old):
        new = {**old, "o": record.offset, "ids": _ids(old, upload)}
    else:
        new = _new_row(old, upload, tagged, record)
        count(changes, old, new, record.offset, rules.retention)
        count_interests(changes, old, new, record.offset, rules.retention)
    changes.put("images", key, new)
    if tagged is not None:
        changes.emit(categorization_output(tagged, new["tags"], record, rules.names))
    before = old["tags"] if old else []
    if set(before) != set(new["tags"]):
        changes.emit(tag_update_output(upload, before, new["tags"], record, rules.names))


def _image_key(upload: Upload) -> str:
    return ImageKey(upload.data.tenant or "", upload.public_id).encode()


def _is_repeat(row: Row | None, upload: Upload) -> bool:
    """Tell whether the event was delivered before, and took effect then."""
    return row is not None and event_key(upload) in row["ids"]


def event_key(upload: Upload) -> str:
    """Give the idempotency key, compact enough to keep several per image."""
    return hashlib.sha256(f"{upload.source}\x1f{upload.id}".encode()).hexdigest()[:16]


def is_stale(upload: Upload, row: Row) -> bool:
    """Tell whether the image is already known in a newer state: by version, else by event time."""
    if upload.data.version is not None and row["version"] is not None:
        return (upload.data.version, upload.at) < (row["version"], row["at"])
    return upload.at < int(row["at"])


def assigned_tags(tagged: Tagged, own: Iterable[str]) -> dict[str, list[str]]:
    """Give the image's own tags, then those whose confidence is strictly above the threshold, best first.

    Each comes with the add-ons that it is from.
    """
    sources: dict[str, list[str]] = {tag: [OWN] for tag in own}
    threshold = tagged.upload.auto_tagging
    if threshold is not None:
        found = [(score, name) for name, scores in tagged.scores.items() for score in scores]
        for score, name in sorted(found, key=lambda item: -item[0].confidence):
            if score.confidence > threshold:
                sources.setdefault(score.tag, []).append(name)
    return dict(list(sources.items())[:MAX_TAGS])


def _new_row(old: Row | None, upload: Upload, tagged: Tagged | None, record: Record) -> Row:
    own = upload.data.tags if upload.data.tags is not None else (old["own"] if old else [])
    sources = {} if tagged is None else assigned_tags(tagged, own)
    new: Row = {
        "o": record.offset,  # first, so that it is found without decoding the row
        "at": upload.at,
        "version": upload.data.version if upload.data.version is not None else (old and old["version"]),
        "user": upload.data.user_id or (old and old["user"]),
        "tenant": upload.data.tenant or "",
        "ids": _ids(old, upload),
        "cause": [upload.source, upload.id, upload.type.value],
        "tags": list(sources),
        "by": list(sources.values()),
    }
    if tagged is None:
        new |= {"deleted": True, "url": None, "own": [], "scores": {}, "model": None}
    else:
        new |= {"own": own, **_findings(tagged)}
    new["history"] = _history(old, new)
    return new


def _findings(tagged: Tagged) -> Row:
    scores = {
        name: [[score.tag, score.confidence] for score in found] for name, found in tagged.scores.items()
    }
    return {
        "url": None if tagged.url.startswith("data:") else tagged.url,  # bytes of images are not kept
        "scores": scores,
        "model": [tagged.model.name, tagged.model.version],
    }


def _history(old: Row | None, new: Row) -> list[Row]:
    before, after = (old["tags"] if old else []), new["tags"]
    change = {
        "at": new["at"],
        "cause": new["cause"],
        "model": new["model"],
        "added": [tag for tag in after if tag not in set(before)],
        "removed": [tag for tag in before if tag not in set(after)],
    }
    kept = old["history"] if old else []
    return [*kept, change][-REMEMBERED_CHANGES:] if change["added"] or change["removed"] else kept


def _ids(row: Row | None, upload: Upload) -> list[str]:
    return [*(row["ids"] if row else []), event_key(upload)][-REMEMBERED_EVENTS:]
