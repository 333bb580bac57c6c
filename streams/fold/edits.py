"""Events about images that must be there: people's edits, and updates that look at nothing."""

from schemas.dead_letters import Fault
from schemas.errors import BadEventError
from schemas.uploads import MAX_PASSED_ON_BYTES, MAX_TAGS, Upload, UploadType
from streams.fold.changes import Changes, Row
from streams.fold.images import moved_on
from streams.fold.outcomes import Deferred, Edited, Rejected, Stored
from streams.fold.people import Weighed, assigned_by_add_ons, decide, has_room, is_void, weigh
from streams.fold.precedence.repeats import is_repeat
from streams.fold.retries import is_awaited
from streams.fold.rows import ImageKey


def checked_edit(changes: Changes, edited: Edited, offset: int) -> Edited | Deferred | Rejected:
    """What becomes of an edit, now that everything before it is applied.

    An edit of an image that is not there waits where the image's upload waits as well; otherwise it is a dead
    letter.
    """
    upload = edited.upload
    key = ImageKey.of(upload).encode()
    row = changes.get("images", key)
    if row is not None and is_repeat(row, upload):
        return edited
    if row is None or (row.get("deleted") and not is_void(row.get("people", {}), upload.at, offset)):
        return _unknown(changes, row, edited)
    if not has_room(decide(row.get("people", {}), upload, offset)):
        limit = f"at most {MAX_TAGS} and {MAX_PASSED_ON_BYTES} bytes per image"
        message = f"people have decided about too many tags of {upload.public_id[:64]!r}: {limit}"
        return Rejected(_fault(BadEventError("too_many_edits", message), retryable=False), upload)
    return edited


def checked_update(changes: Changes, stored: Stored) -> Stored | Deferred | Rejected:
    """What becomes of an event that looks at nothing; an update without a URL needs the image."""
    upload = stored.upload
    row = changes.get("images", ImageKey.of(upload).encode())
    if upload.type is not UploadType.UPDATED or upload.data.url is not None:
        return stored
    if row is not None and (is_repeat(row, upload) or not row.get("deleted")):
        return stored
    return _unknown(changes, row, stored)


def _unknown(changes: Changes, row: Row | None, outcome: Edited | Stored) -> Deferred | Rejected:
    upload = outcome.upload
    state = "not known" if row is None else "deleted"
    cure = "publish its upload first"
    error = BadEventError("unknown_image", f"image {upload.public_id[:64]!r} is {state}; {cure}")
    if is_awaited(changes, ImageKey.of(upload).encode()):
        return Deferred(_fault(error, retryable=True), outcome.read_at, None)
    return Rejected(_fault(error, retryable=False), upload)


def edited_row(row: Row, upload: Upload, offset: int) -> Row:
    """An image's row after an edit, but for its history."""
    people = decide(row.get("people", {}), upload, offset)
    if row.get("deleted"):
        weighed = Weighed({}, people)
    else:
        weighed = weigh(people, row["own"], assigned_by_add_ons(row))
    tags, by = list(weighed.sources), list(weighed.sources.values())
    return {**row, **moved_on(row, offset), "tags": tags, "by": by, "people": weighed.people}


def _fault(error: BadEventError, *, retryable: bool) -> Fault:
    return Fault(error.code, "parse", retryable, type(error).__name__, str(error))
