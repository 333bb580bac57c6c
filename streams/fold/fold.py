"""Applying one event to the state: pure, the same whenever the same outcomes come in the same order.

The committed state of a partition is always the fold of these functions over the outcomes of its log's first
k records, and k travels with it. Those that wait for their sources are folded as rows of `retries` first.
"""

from dataclasses import dataclass, field

import msgspec

from schemas.origins import read_origin
from schemas.topics import OFFSET_KEY, TopicNames
from schemas.uploads import MAX_AHEAD_MS, Record, Upload, UploadData, UploadType
from streams.fold.budgets.limits import Budgets, beyond
from streams.fold.budgets.usage import forget_image, note_row
from streams.fold.changes import Changes, Row
from streams.fold.counts import count, count_interests
from streams.fold.edits import checked_edit, checked_update, edited_row
from streams.fold.erasure.marks import Step, forgetting_output, is_forgotten, mark, marked_at, step_of
from streams.fold.images import (
    changed_history,
    deleted_row,
    overtaken_row,
    rederived_row,
    retagged_row,
    stored_row,
    uncovered_row,
    uploaded_row,
)
from streams.fold.outcomes import (
    Deferred,
    Deleted,
    Done,
    Edited,
    ForgottenUser,
    Forwarded,
    Ignored,
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
from streams.fold.precedence.repeats import is_repeat, remembered
from streams.fold.precedence.standing import Standing, placed, standing
from streams.fold.retagging import checked_retag, is_settled, of_image
from streams.fold.retention import Retention
from streams.fold.retries import RetryPolicy, defer, drop_retry, end_retry, is_awaited, park
from streams.fold.rows import ImageKey

_COUNTED = ("tags", "by", "at", "user")  # what of an image's row is counted


@dataclass(frozen=True)
class FoldRules:
    """What the fold depends on besides the events.

    Attributes:
        gather: Whether what is counted waits until there is enough of it for its buckets: see
            `streams.fold.trend_rows.recent`. Not where somebody is told of each bucket.
    """

    names: TopicNames
    retention: Retention
    retries: RetryPolicy
    budgets: Budgets = field(default_factory=Budgets)
    gather: bool = False


def fold(changes: Changes, done: Done, rules: FoldRules, now: int | None = None) -> None:
    """Apply one event with its outcome.

    Args:
        changes: The transaction's.
        done: The event.
        rules: What the fold depends on besides.
        now: Our clock, milliseconds: the partition's is moved no more than `MAX_AHEAD_MS` ahead of it.
            None: it is not asked.
    """
    _advance_clock(changes, done.record, now)
    if _is_forgotten(changes, done):
        end_retry(changes, done.record)
        return
    _forget(changes, done, rules.retention)
    outcome = _checked(changes, done)
    _note_event_time(changes, outcome)
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
        case Ignored():
            pass
        case ForgottenUser():
            _forget_user(changes, outcome, done.record, rules)
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
    if row is not None and not retention.remembers(row, changes.stream_time):
        forget_image(changes, key)


def _is_forgotten(changes: Changes, done: Done) -> bool:
    """Whether an event is of a user who asked, behind it, to be forgotten."""
    upload = done.outcome.upload
    if upload is None or upload.type is UploadType.FORGOTTEN:
        return False
    return is_forgotten(changes, upload, done.record)


def _forget_user(changes: Changes, outcome: ForgottenUser, record: Record, rules: FoldRules) -> None:
    """Take a step: mark the user here and have it told to others, or forget some images, and go on."""
    upload, step = outcome.upload, step_of(record.headers)
    if step is not Step.SWEEP:
        if not mark(changes, upload, record):
            return
        for partition in outcome.others if step is Step.ASKED else ():
            changes.emit(forgetting_output(record, Step.SPREAD, rules.names, partition))
        changes.emit(forgetting_output(record, Step.SWEEP, rules.names))
        return
    images, retries, interests = outcome.keys
    limit = marked_at(changes, upload.data.tenant, upload.data.user_id)
    for key in retries:
        if int(key) < limit:
            drop_retry(changes, key)
    kept = [key for key in images if not _erase(changes, key, upload, (record, limit), rules)]
    if outcome.more and len(kept) < len(images):
        changes.emit(forgetting_output(record, Step.SWEEP, rules.names))
    elif not kept:
        for key in interests:
            changes.put("interests", key, None)


def _erase(changes: Changes, key: str, upload: Upload, place: tuple[Record, int], rules: FoldRules) -> bool:
    """Forget an image, unless it was published since; whether it is gone."""
    old, (record, limit) = changes.get("images", key), place
    if old is None:
        return True
    if placed(old) >= limit:
        return False
    name = ImageKey.decode(key)
    data = UploadData(public_id=name.public_id, tenant=name.tenant or None)
    gone = msgspec.structs.replace(upload, public_id=name.public_id, at=old["at"], data=data)
    _put(changes, gone, (old, deleted_row(old, gone, record.offset)), record, rules)
    forget_image(changes, key)
    return True


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


def _advance_clock(changes: Changes, record: Record, now: int | None) -> None:
    """Note how far Kafka's clock is, and what retention took before we read it.

    A record's time is when it was published first, also where it was sent on since. One of the far future
    would end the counts of all buckets.
    """
    origin = read_origin(record.headers)
    at = record.timestamp if origin is None else origin.at
    if now is not None:
        at = min(at, now + MAX_AHEAD_MS)
    meta = {**(changes.get("meta", OFFSET_KEY) or {})}
    meta["mark"] = max(int(meta.get("mark", 0)), at)
    if record.skipped and changes.get("retries", str(record.offset)) is None:  # else it was noted then
        meta["skipped"] = meta.get("skipped", 0) + record.skipped
    changes.put("meta", OFFSET_KEY, meta)


def _note_event_time(changes: Changes, outcome: Outcome) -> None:
    """Note the time of what is told; a re-tag tells nothing new."""
    if (
        isinstance(outcome, Tagged | Stored | Deleted | Edited)
        and outcome.upload.type is not UploadType.RETAGGED
    ):
        meta = changes.get("meta", OFFSET_KEY) or {}
        changes.put("meta", OFFSET_KEY, {**meta, "at": max(meta.get("at", 0), outcome.upload.at)})


def _upload(changes: Changes, outcome: Tagged | Stored | Deleted, record: Record, rules: FoldRules) -> None:
    upload = outcome.upload
    old = changes.get("images", ImageKey.of(upload).encode())
    if is_repeat(old, upload):
        return
    how = Standing.WINS if old is None else standing(upload, record.offset, old)
    new = _row_after(old, outcome, record.offset, how)
    new["ids"] = remembered(old["ids"] if old else {}, upload, changes.stream_time)
    if _is_refused(changes, (old, new), record, rules):
        return
    if isinstance(outcome, Tagged):
        changes.emit(categorization_output(outcome, new, record, rules.names))
    alone = isinstance(outcome, Stored) or (
        isinstance(outcome, Deleted) and old is not None and "asset" in old
    )
    _put(changes, upload, (old, new), record, rules, told_alone=alone and how is Standing.WINS)


def _row_after(old: Row | None, outcome: Tagged | Stored | Deleted, offset: int, how: Standing) -> Row:
    if old is not None and how is Standing.UNCOVERS:
        return uncovered_row(old, outcome.upload, offset)
    if old is not None and how is Standing.LOSES:
        return overtaken_row(old, outcome.upload, offset)
    if isinstance(outcome, Tagged):
        new = uploaded_row(old, outcome, offset)
    elif isinstance(outcome, Stored):
        new = stored_row(old, outcome.upload, offset)
    else:
        new = deleted_row(old, outcome.upload, offset)
    if old is not None and how is Standing.BEHIND:
        return overtaken_row(old, outcome.upload, offset, behind=new)
    return new


def _edit(changes: Changes, edited: Edited, record: Record, rules: FoldRules) -> None:
    upload = edited.upload
    old = changes.get("images", ImageKey.of(upload).encode())
    if old is None or is_repeat(old, upload):
        return
    new = edited_row(old, upload, record.offset)
    who = upload.data.by or upload.data.user_id
    new["history"] = changed_history(old, new, upload, rules=None, by=who)
    seen = remembered(old.get("people", {}).get("ids", {}), upload, changes.stream_time)
    new["people"] = new["people"] | {"ids": seen}
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
    (old, new), tags = rows, 0
    if old is None or any(old[name] != new[name] for name in _COUNTED):
        tags = count(changes, old, new, record.offset, rules.retention, gather=rules.gather)
        count_interests(changes, old, new, record.offset, rules.retention)
    note_row(changes, old, new, record, tags)
    changes.put("images", ImageKey.of(upload).encode(), new)
    if told_alone or set(tags_of(old)) != set(tags_of(new)):
        changes.emit(tag_update_output(upload, (old, new), record, rules.names))
