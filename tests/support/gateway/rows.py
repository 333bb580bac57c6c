"""Rows of assets as the fold writes them, and a library of them."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from streams.fold.rows import ImageKey
from streams.gateway.assets.library import Library

AT = 1_795_987_445_000  # 2026-11-29T21:24:05Z


def asset_row(
    name: str,
    *,
    tags: Sequence[str] = (),
    by: Sequence[Sequence[str]] | None = None,
    scores: Mapping[str, Sequence[tuple[str, float]]] | None = None,
    at: int = AT,
    told: bool = True,
    **asset: Any,  # noqa: ANN401 - fields of an asset
) -> bytes:
    """A row; without an asset where the event told none."""
    row: dict[str, Any] = {
        "o": 1,
        "at": at,
        "version": None,
        "url": f"http://source/{name}.jpg",
        "ids": [],
        "tags": list(tags),
        "by": [list(each) for each in by or [["own"]] * len(tags)],
        "scores": {name: list(said) for name, said in (scores or {}).items()},
        "asked": None,
    }
    if told:
        asset_id = hashlib.sha256(name.encode()).hexdigest()[:32]
        known = {"asset_id": asset_id, "object": f"demo/{asset_id}", "created_at": at, "version": at // 1000}
        row["asset"] = {**known, "format": "jpg", "width": 600, "height": 800, "bytes": 1000, **asset}
    return orjson.dumps(row)


async def _at_once() -> None:
    """Nothing is behind."""


def library_of(rows: Mapping[str, bytes], cloud: str = "demo") -> Library:
    """A library that has followed these rows."""
    library = Library(_at_once)
    for name, row in rows.items():
        library.changed(0, "images", ImageKey(cloud, name).encode(), None, row)
    return library
