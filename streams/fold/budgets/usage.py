"""How much each tenant has of a partition: a row of `meta`, changed in the transaction of what it counts."""

from schemas.topics import OFFSET_KEY
from schemas.uploads import Record
from streams.fold.changes import Changes, Row
from streams.fold.retention import Retention
from streams.fold.rows import ALL, DAY_MS, ImageKey, TrendKey
from streams.fold.settling import settle
from streams.fold.trend_rows.recent import is_recent

TENANT = "@tenant:"  # and its name: the key of what it has


def usage_of(changes: Changes, tenant: str) -> Row | None:
    """What a tenant has; None: nothing."""
    return changes.get("meta", TENANT + tenant)


def held(usage: Row | None, what: str) -> int:
    """How many images or tags these are."""
    return 0 if usage is None else int(usage[what])


def bytes_today(changes: Changes, usage: Row | None) -> int:
    """Bytes of a tenant's events on the present day of the partition's clock."""
    return held(usage, "bytes") if usage is not None and usage["day"] == _day(changes) else 0


def tenants(changes: Changes) -> int:
    """How many tenants have something."""
    return int((changes.get("meta", OFFSET_KEY) or {}).get("tenants", 0))


def size_of(record: Record) -> int:
    """Bytes of an event."""
    return len(record.value or b"") + len(record.key or b"")


def fresh_tags(changes: Changes, old: Row | None, new: Row) -> list[str]:
    """The keys of an image's new tags that no image of the tenant has, before its new row is counted."""
    added = set(new["tags"]) - set(old["tags"] if old else ())
    return [key for key in _trend_keys(new["tenant"], added) if not changes.has_images(key)]


def lost_tags(old: Row | None, new: Row) -> list[str]:
    """The keys of the tags that an image has no longer."""
    return _trend_keys(new["tenant"], set(old["tags"]) - set(new["tags"])) if old else []


def note_row(changes: Changes, old: Row | None, new: Row, record: Record, tags: int) -> None:
    """Note what a tenant has, once an image's new row is counted.

    Args:
        changes: The transaction's.
        old: The image's old row.
        new: Its new one.
        record: The event.
        tags: How many more tags the tenant has by it.
    """
    _note(changes, new["tenant"], images=int(old is None), tags=tags, size=size_of(record))


def forget_image(changes: Changes, key: str) -> None:
    """Remove the row of an image that is remembered no longer."""
    changes.put("images", key, None)
    _note(changes, ImageKey.decode(key).tenant, images=-1)


def remove_expired(changes: Changes, retention: Retention, table: str, key: str, row: bytes) -> None:
    """Remove a row that no longer counts, unless it is another one by now."""
    if table == "trends" and is_recent(key):
        settle(changes, key, retention)
    elif changes.remove_unchanged(table, key, row) and table == "images":
        forget_image(changes, key)


def _note(changes: Changes, tenant: str, *, images: int = 0, tags: int = 0, size: int = 0) -> None:
    before = usage_of(changes, tenant)
    # Not below zero: what a state had before there were such rows was not counted.
    now = {
        "images": max(held(before, "images") + images, 0),
        "tags": max(held(before, "tags") + tags, 0),
        "day": _day(changes),
        "bytes": bytes_today(changes, before) + size,
    }
    left = now if now["images"] or now["tags"] else None
    changes.put("meta", TENANT + tenant, left)
    if (before is None) != (left is None):
        meta = changes.get("meta", OFFSET_KEY) or {}
        more = 1 if before is None else -1
        changes.put("meta", OFFSET_KEY, {**meta, "tenants": max(tenants(changes) + more, 0)})


def _trend_keys(tenant: str, tags: set[str]) -> list[str]:
    head, tail = TrendKey(tenant, ALL, 0, "\x00").encode().split("\x00")
    return [head + tag + tail for tag in sorted(tags)]


def _day(changes: Changes) -> int:
    return int((changes.get("meta", OFFSET_KEY) or {}).get("mark", 0)) // DAY_MS
