"""Which events of an image were seen before.

A row has a key of each, with the second by the partition's clock in which it was folded. It is forgotten
after `REMEMBERED_SECONDS`, but for the last few, or where the image has had `MOST_REMEMBERED` others since.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from schemas.uploads import Upload

REMEMBERED_SECONDS = 7 * 86_400
MOST_REMEMBERED = 1000  # of uploads and of edits each: some 30 KB of a row
_ALWAYS = 8  # as many are remembered for good


def event_key(upload: Upload) -> str:
    """The idempotency key, compact enough to keep several per image."""
    return event_key_of(upload.source, upload.id)


def event_key_of(source: str, event_id: str) -> str:
    """The same, by what identifies an event."""
    return hashlib.sha256(f"{source}\x1f{event_id}".encode()).hexdigest()[:16]


def is_repeat(row: Mapping[str, Any] | None, upload: Upload) -> bool:
    """Whether the event was delivered before, and took effect then."""
    if row is None:
        return False
    key = event_key(upload)
    return key in row["ids"] or key in row.get("people", {}).get("ids", ())


def remembered(seen: Mapping[str, int] | Iterable[str], upload: Upload, stream_time: int) -> dict[str, int]:
    """What is remembered after an event.

    Args:
        seen: What was before; keys alone in old rows.
        upload: The event.
        stream_time: The partition's clock, milliseconds.
    """
    now = stream_time // 1000
    kept = dict(seen) if isinstance(seen, Mapping) else dict.fromkeys(seen, now)
    kept[event_key(upload)] = now
    for key, at in list(kept.items())[:-_ALWAYS]:
        if at > now - REMEMBERED_SECONDS and len(kept) <= MOST_REMEMBERED:
            break
        del kept[key]
    return kept
