"""What is told of a cloud as a whole: usage, configuration, folders."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from streams.gateway.answers import Json, rfc_3339
from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.search.candidates import candidate_of

_ISO = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_FIRST = re.compile(r"(\d{1,2})-(\d{1,2})-(\d{4})")


@dataclass(frozen=True)
class Stock:
    """What a cloud holds.

    Attributes:
        assets: How many.
        bytes: Of all of them.
    """

    assets: int
    bytes: int


def stock_of(keys: Sequence[str], rows: Sequence[bytes]) -> Stock:
    """Count; it looks at every asset."""
    sizes = [candidate_of(key, row).asset.bytes or 0 for key, row in zip(keys, rows, strict=True)]
    return Stock(len(sizes), sum(sizes))


def usage_answer(stock: Stock, requests: int, file_limit: int, day: date) -> Json:
    """Give the answer about usage. Nothing here is limited or paid for.

    Args:
        stock: What there is now, whatever the day.
        requests: Calls of the Admin API that this gateway has answered.
        file_limit: Bytes that an upload may have.
        day: The day that is asked about.
    """
    return {
        "plan": "Tagstream",
        "last_updated": day.isoformat(),
        "date_requested": day.isoformat(),
        "transformations": {"usage": 0},
        "objects": {"usage": stock.assets},
        "bandwidth": {"usage": 0},
        "storage": {"usage": stock.bytes},
        "requests": requests,
        "resources": stock.assets,
        "derived_resources": 0,
        "media_limits": {"image_max_size_bytes": file_limit, "raw_max_size_bytes": file_limit},
    }


def day_of(text: str, today: date) -> date:
    """Give the day of `2026-01-31` or of `31-01-2026`; an empty text means today.

    Raises:
        BadCallError: It is none.
    """
    if not text:
        return today
    try:
        if match := _ISO.fullmatch(text):
            return date(*map(int, match.groups()))
        if match := _DAY_FIRST.fullmatch(text):
            return date(*map(int, reversed(match.groups())))
    except ValueError:
        pass
    raise BadCallError(f"Invalid value {shown(text)} for date: use yyyy-mm-dd or dd-mm-yyyy")


def today_of(seconds: float) -> date:
    """Give the day of a moment, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).date()


def config_answer(cloud: str, created_at: int, *, settings: bool) -> Json:
    """Give the answer about a cloud's configuration.

    Args:
        cloud: Its name.
        created_at: Milliseconds since the epoch.
        settings: Whether they are asked for.
    """
    told: Json = {"cloud_name": cloud, "created_at": rfc_3339(created_at)}
    return told | ({"settings": {"folder_mode": "fixed"}} if settings else {})


def folders_below(keys: Sequence[str], rows: Sequence[bytes], parent: str) -> list[str]:
    """Give the folders right below one, of public ids and of asset folders; it looks at every asset."""
    start = f"{parent}/" if parent else ""
    names: set[str] = set()
    for key, row in zip(keys, rows, strict=True):
        found = candidate_of(key, row)
        for folder in (found.public_id.rpartition("/")[0], found.asset.asset_folder or ""):
            if folder.startswith(start) and folder != parent:
                names.add(folder[len(start) :].partition("/")[0])
    return sorted(names - {""})


def folders_answer(parent: str, names: Iterable[str]) -> Json:
    """Give the answer about folders."""
    start = f"{parent}/" if parent else ""
    folders: list[dict[str, Any]] = [{"name": name, "path": start + name} for name in names]
    return {"folders": folders, "next_cursor": None, "total_count": len(folders)}
