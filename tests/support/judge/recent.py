"""What was lately counted of tags, put where it belongs: in the rows of its buckets."""

import base64
from typing import Any

from streams.fold.trend_rows.uploaders import Uploaders

_LENGTHS = {"minute": 60, "hour": 3600, "day": 86_400}
Row = dict[str, Any]


def settled(rows: dict[str, Row]) -> dict[str, Row]:
    """A partition's rows of `trends` as if nothing waited in those of `recent`."""
    found = {key: dict(row) for key, row in rows.items() if not key.startswith("recent:")}
    for key, row in rows.items():
        if key.startswith("recent:"):
            for uses in row["uses"]:
                _settle(found, key.split(":", 2)[2], row, uses)
    return {key: row for key, row in found.items() if row["n"] > 0}


def _settle(rows: dict[str, Row], tag: str, recent: Row, uses: list[Any]) -> None:
    minute, windows, by, number, first, last, users = uses
    starts = {window: minute * 60 // length * length for window, length in _LENGTHS.items()}
    counted = [window for place, window in enumerate(_LENGTHS) if windows >> place & 1]
    for window in ("all", *counted):
        key = f"{window}:{starts.get(window, 0)}:{tag}"
        row = rows.setdefault(key, {name: recent[name] for name in ("o", "#") if name in recent} | {"n": 0})
        row["n"] += number
        counts = dict(row.get("by", {}))
        counts |= {name: counts.get(name, 0) + number for name in by}
        row["by"] = {name: images for name, images in counts.items() if images > 0}
        if users:
            sketch = Uploaders(row.get("u"))
            sketch.add_coupons(base64.b64decode(users))
            row["u"] = sketch.encoded()
        if window == "all" and first is not None:
            seen = [minute * 60_000 + first, minute * 60_000 + last]
            row["first"] = min([*seen, row.get("first") or seen[0]])
            row["last"] = max([*seen, row.get("last") or seen[0]])
