"""Which events an image has seen: source and id make an event the same one, wherever it comes again."""

import hashlib
from collections.abc import Mapping
from typing import Any

from schemas.uploads import Upload

REMEMBERED_EVENTS = 8  # ids kept per image, of uploads and of edits each: an older one is told by its time


def event_key(upload: Upload) -> str:
    """Give the idempotency key, compact enough to keep several per image."""
    return hashlib.sha256(f"{upload.source}\x1f{upload.id}".encode()).hexdigest()[:16]


def is_repeat(row: Mapping[str, Any] | None, upload: Upload) -> bool:
    """Tell whether the event was delivered before, and took effect then."""
    if row is None:
        return False
    key = event_key(upload)
    return key in row["ids"] or key in row.get("people", {}).get("ids", ())


def remembered(keys: list[str], upload: Upload) -> list[str]:
    """Give the last keys, with that of an event behind them."""
    return [*keys, event_key(upload)][-REMEMBERED_EVENTS:]
