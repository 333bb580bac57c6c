"""Applying one event to the state: pure, in offset order, the same on every replay.

The committed state of a partition is always the fold of these functions over its log's first k
records, and k travels with it.
"""

from dataclasses import dataclass
from typing import Any

from schemas.uploads import Record, Upload
from streams.announcing import categorization_output, dead_letter_output, tag_update_output
from streams.changes import Changes, Row
from streams.counting import count, count_interests
from streams.editing import checked_edit, edited_row
from streams.outcomes import Deferred, Deleted, Done, Edited, Outcome, Rejected, Tagged
from streams.people import forget, weigh
from streams.repeats import is_repeat, remembered
from streams.retention import Retention
from streams.retrying import RetryPolicy, defer, end_retry
from streams.rows import OFFSET_KEY, ImageKey
from streams.topics import TopicNames

REMEMBERED_CHANGES = 10  # changes of an image's tags that can be looked up
REMEMBERED_CHARACTERS = 262_144  # in the names of their tags: ten changes of a thousand tags fit no record


@dataclass(frozen=True)
class FoldRules:
    """What the fold depends on besides the events."""

    names: TopicNames
    retention: Retention
    retries: RetryPolicy


def fold(changes: Changes, done: Done, rules: FoldRules) -> None:
    """Apply one event with its outcome."""
    outcome = done.outcome
    if isinstance(outcome, Edited):
        outcome = checked_edit(changes, outcome, done.record.offset)
    _advance_clock(changes, done.record, outcome)
    if isinstance(outcome, Deferred):
        defer(changes, done.record, outcome, rules.retries, rules.names)
        return
    end_retry(changes, done.record)
    match outcome:
        case Rejected(fault, upload):
            if upload is None or not is_repeat(changes.get("images", ImageKey.of(upload).encode()), upload):
                changes.emit(dead_letter_output(done.record, fault, rules.names))
        case Tagged() as tagged:
            _apply(changes, tagged.upload, tagged, done.record, rules)
        case Deleted(upload):
            _apply(changes, upload, None, done.record, rules)
        case Edited(upload):
            _edit(changes, upload, done.record, rules)


def _advance_clock(changes: Changes, record: Record, outcome: Outcome) -> None:
    meta = dict(changes.get("meta", OFFSET_KEY) or {})
    meta["mark"] = max(meta.get("mark", 0), record.timestamp)
    if isinstance(outcome, Tagged | Deleted | Edited):
        meta["at"] = max(meta.get("at", 0), outcome.upload.at)
    changes.put("meta", OFFSET_KEY, meta)


def _apply(changes: Changes, upload: Upload, tagged: Tagged | None, record: Record, rules: FoldRules) -> None:
    key = ImageKey.of(upload).encode()
    old = changes.get("images", key)
    if is_repeat(old, upload):
        return
    if old is not None and is_stale(upload, old):
        new = {**old, "o": record.offset, "ids": _ids(old, upload)}
    else:
        new = _new_row(old, upload, tagged, record)
        _count(changes, old, new, record.offset, rules)
    changes.put("images", key, new)
    if tagged is not None:
        changes.emit(categorization_output(tagged, new["tags"], record, rules.names))
    _announce(changes, upload, old, new, record, rules)


def _edit(changes: Changes, upload: Upload, record: Record, rules: FoldRules) -> None:
    key = ImageKey.of(upload).encode()
    old = changes.get("images", key)
    if old is None or is_repeat(old, upload):
        return
    new = edited_row(old, upload, record.offset)
    new["history"] = _history(
        old, new, upload, model=None, rules=None, by=upload.data.by or upload.data.user_id
    )
    _count(changes, old, new, record.offset, rules)
    changes.put("images", key, new)
    _announce(changes, upload, old, new, record, rules)


def _count(changes: Changes, old: Row | None, new: Row, offset: int, rules: FoldRules) -> None:
    count(changes, old, new, offset, rules.retention)
    count_interests(changes, old, new, offset, rules.retention)


def _announce(  # noqa: PLR0917 - two callers
    changes: Changes, upload: Upload, old: Row | None, new: Row, record: Record, rules: FoldRules
) -> None:
    before = old["tags"] if old else []
    if set(before) != set(new["tags"]):
        changes.emit(tag_update_output(upload, before, new["tags"], record, rules.names))


def is_stale(upload: Upload, row: Row) -> bool:
    """Tell whether the image is already known in a newer state: by version, else by event time."""
    if upload.data.version is not None and row["version"] is not None:
        return (upload.data.version, upload.at) < (row["version"], row["at"])
    return upload.at < int(row["at"])


def _new_row(old: Row | None, upload: Upload, tagged: Tagged | None, record: Record) -> Row:
    own = upload.data.tags if upload.data.tags is not None else (old["own"] if old else [])
    people = old.get("people", {}) if old else {}
    if tagged is None or upload.data.keep_edits is False:
        people = forget(people, upload.at)
    sources, people = ({}, people) if tagged is None else weigh(people, own, tagged.assigned)
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
        new |= {"deleted": True, "url": None, "own": [], "scores": {}, "model": None, "rules": None}
    else:
        new |= {"own": own, **_findings(tagged)}
    if people:
        new["people"] = people
    new["history"] = _history(old, new, upload, model=new["model"], rules=new["rules"])
    return new


def _findings(tagged: Tagged) -> Row:
    scores = {
        name: [[score.tag, score.confidence] for score in found] for name, found in tagged.scores.items()
    }
    return {
        "url": None if tagged.url.startswith("data:") else tagged.url,  # bytes of images are not kept
        "scores": scores,
        "model": [tagged.model.name, tagged.model.version],
        "rules": tagged.rules,
    }


def _history(old: Row | None, new: Row, upload: Upload, **told: Any) -> list[Row]:  # noqa: ANN401 - JSON
    before, after = (old["tags"] if old else []), new["tags"]
    change = {
        "at": upload.at,
        "cause": [upload.source, upload.id, upload.type.value],
        **told,
        "added": [tag for tag in after if tag not in set(before)],
        "removed": [tag for tag in before if tag not in set(after)],
    }
    kept = old["history"] if old else []
    return _shortened([*kept, change]) if change["added"] or change["removed"] else kept


def _shortened(history: list[Row]) -> list[Row]:
    """Keep the last changes: so many, and so many characters, but always the very last one."""
    kept, room = history[-1:], REMEMBERED_CHARACTERS
    for change in history[-2 : -REMEMBERED_CHANGES - 1 : -1]:
        room -= sum(map(len, change["added"])) + sum(map(len, change["removed"]))
        if room < 0:
            break
        kept.insert(0, change)
    return kept


def _ids(row: Row | None, upload: Upload) -> list[str]:
    return remembered(row["ids"] if row else [], upload)
