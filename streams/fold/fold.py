"""Applying one event to the state: pure, the same whenever the same outcomes come in the same order.

The committed state of a partition is always the fold of these functions over the outcomes of its log's first
k records, and k travels with it. Those that wait for their sources are folded as rows of `retries` first.
"""

from dataclasses import dataclass, field

from schemas.topics import OFFSET_KEY, TopicNames
from schemas.uploads import Record, Upload, UploadType
from streams.fold.budgets.limits import Budgets, beyond
from streams.fold.budgets.usage import forget_image, fresh_tags, note_row
from streams.fold.changes import Changes, Row
from streams.fold.counts import count, count_interests
from streams.fold.edits import checked_edit, checked_update, edited_row
from streams.fold.images import (
    changed_history,
    deleted_row,
    is_stale,
    rederived_row,
    retagged_row,
    stale_row,
    stored_row,
    uploaded_row,
)
from streams.fold.outcomes import (
    Deferred,
    Deleted,
    Done,
    Edited,
    Forwarded,
    Outcome,
    Parked,
    Rederived,
    Rejected,
    Stored,
    Tagged,
)
from streams.fold.outputs import (
    categorization_output,
    dead_letter_output,
    forwarded_output,
    tag_update_output,
    tags_of,
)
from streams.fold.retagging import checked_retag, is_settled, of_image
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy, defer, end_retry, is_awaited, park
from streams.fold.rows import ImageKey, is_repeat

_COUNTED = ("tags", "by", "at", "user")  # what of an image's row is counted


@dataclass(frozen=True)
class FoldRules:
    """What the fold depends on besides the events."""

    names: TopicNames
    retention: Retention
    retries: RetryPolicy
    budgets: Budgets = field(default_factory=Budgets)


def fold(changes: Changes, done: Done, rules: FoldRules) -> None:
    """Apply one event with its outcome."""
    _forget(changes, done, rules.retention)
    outcome = _checked(changes, done)
    _advance_clock(changes, done.record, outcome)
    if isinstance(outcome, Deferred):
        defer(changes, done, outcome, rules.retries, rules.names)
        return
    if isinstance(outcome, Parked):
        park(changes, done.record, outcome)
        return
    end_retry(changes, done.record)
    match outcome:
        case Rejected(fault, upload):
            if upload is None or not is_repeat(changes.get("images", ImageKey.of(upload).encode()), upload):
                changes.emit(dead_letter_output(done.record, fault, rules.names))
        case Forwarded() as forwarded:
            changes.emit(forwarded_output(done.record, forwarded, rules.names))
        case Tagged(basis=None) | Stored() | Deleted():
            _upload(changes, outcome, done.record, rules)
        case Edited():
            _edit(changes, outcome, done.record, rules)
        case _:
            _retag(changes, outcome, done.record, rules)


def _forget(changes: Changes, done: Done, retention: Retention) -> None:
    """Forget an image that was deleted too long ago, whether or not a sweep has found it.

    Not as long as an upload of it waits for its source: that one must find what was decided meanwhile.
    """
    upload = done.outcome.upload
    if upload is None or is_awaited(changes, key := ImageKey.of(upload).encode()):
        return
    row = changes.get("images", key)
    if row is not None and not retention.remembers(row, _stream_time(changes, done.record)):
        forget_image(changes, key)


def _stream_time(changes: Changes, record: Record) -> int:
    """The partition's clock as of a record, in milliseconds."""
    return max(int((changes.get("meta", OFFSET_KEY) or {}).get("mark", 0)), record.timestamp)


def _checked(changes: Changes, done: Done) -> Outcome:
    match done.outcome:
        case Edited() as edited:
            return checked_edit(changes, edited, done.record.offset)
        case Stored() as stored:
            return checked_update(changes, stored)
        case Rederived() as rederived:
            return checked_retag(changes, rederived)
        case outcome:
            return outcome


def _advance_clock(changes: Changes, record: Record, outcome: Outcome) -> None:
    """Note how far Kafka's clock is, and the time of what is told; a re-tag tells nothing new."""
    meta = dict(changes.get("meta", OFFSET_KEY) or {})
    meta["mark"] = _stream_time(changes, record)
    if (
        isinstance(outcome, Tagged | Stored | Deleted | Edited)
        and outcome.upload.type is not UploadType.RETAGGED
    ):
        meta["at"] = max(meta.get("at", 0), outcome.upload.at)
    changes.put("meta", OFFSET_KEY, meta)


def _upload(changes: Changes, outcome: Tagged | Stored | Deleted, record: Record, rules: FoldRules) -> None:
    upload = outcome.upload
    old = changes.get("images", ImageKey.of(upload).encode())
    if is_repeat(old, upload):
        return
    stale = old is not None and is_stale(upload, record.offset, old)
    if old is not None and stale:
        new = stale_row(old, upload, record.offset)
    elif isinstance(outcome, Tagged):
        new = uploaded_row(old, outcome, record.offset)
    elif isinstance(outcome, Stored):
        new = stored_row(old, upload, record.offset)
    else:
        new = deleted_row(old, upload, record.offset)
    if _is_refused(changes, (old, new), record, rules):
        return
    if isinstance(outcome, Tagged):
        changes.emit(categorization_output(outcome, new, record, rules.names))
    alone = isinstance(outcome, Stored) or (
        isinstance(outcome, Deleted) and old is not None and "asset" in old
    )
    _put(changes, upload, (old, new), record, rules, told_alone=alone and not stale)


def _edit(changes: Changes, edited: Edited, record: Record, rules: FoldRules) -> None:
    upload = edited.upload
    old = changes.get("images", ImageKey.of(upload).encode())
    if old is None or is_repeat(old, upload):
        return
    new = edited_row(old, upload, record.offset)
    who = upload.data.by or upload.data.user_id
    new["history"] = changed_history(old, new, upload, rules=None, by=who)
    if not _is_refused(changes, (old, new), record, rules):
        _put(changes, upload, (old, new), record, rules)


def _retag(changes: Changes, outcome: Tagged | Rederived, record: Record, rules: FoldRules) -> None:
    upload = outcome.upload
    old = changes.get("images", ImageKey.of(upload).encode())
    if old is None or is_settled(old, outcome):
        return
    if isinstance(outcome, Tagged):
        new = retagged_row(old, outcome, record.offset)
    else:
        new = rederived_row(old, outcome, record.offset)
    if _is_refused(changes, (old, new), record, rules):
        return
    if isinstance(outcome, Tagged):
        changes.emit(categorization_output(of_image(outcome, old), new, record, rules.names))
    _put(changes, upload, (old, new), record, rules)


def _is_refused(changes: Changes, rows: tuple[Row | None, Row], record: Record, rules: FoldRules) -> bool:
    """Whether an image's new row is more than its tenant may have: then the event is a dead letter."""
    fault = beyond(changes, *rows, record, rules.budgets)
    if fault is not None:
        changes.emit(dead_letter_output(record, fault, rules.names))
    return fault is not None


def _put(
    changes: Changes,
    upload: Upload,
    rows: tuple[Row | None, Row],
    record: Record,
    rules: FoldRules,
    *,
    told_alone: bool = False,
) -> None:
    """Set an image's row, move its counts from the old one to the new, and tell what that changes.

    Args:
        changes: The transaction's.
        upload: The event.
        rows: The image's old row and its new one.
        record: The event's.
        rules: Those of the fold.
        told_alone: Whether no other record tells of the event, so that one is due in any case.
    """
    old, new = rows
    fresh = fresh_tags(changes, old, new)
    if old is None or any(old[name] != new[name] for name in _COUNTED):
        count(changes, old, new, record.offset, rules.retention)
        count_interests(changes, old, new, record.offset, rules.retention)
    note_row(changes, old, new, record, fresh)
    changes.put("images", ImageKey.of(upload).encode(), new)
    if told_alone or set(tags_of(old)) != set(tags_of(new)):
        changes.emit(tag_update_output(upload, (old, new), record, rules.names))
