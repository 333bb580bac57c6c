"""What is exported: flat rows, made of the rows of the state. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec

from schemas.times import utc_datetime
from streams.export.shelf import Count
from streams.fold.rows import ALL, ImageKey, TrendKey
from streams.fold.trend_rows.recent import RECENT, decode_recent
from streams.state.images.indexed_row import IndexedRow, confidences

Cell = str | int | float | datetime | None


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    NUMBER = "whole number"
    REAL = "number"
    MOMENT = "moment, UTC, to the millisecond"


@dataclass(frozen=True)
class Column:
    """A column; `meaning` is for people."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table, and the columns of its rows in order."""

    name: str
    meaning: str
    columns: tuple[Column, ...]


def _texts(**meanings: str) -> tuple[Column, ...]:
    return tuple(Column(name, Kind.TEXT, meaning) for name, meaning in meanings.items())


_TENANT = Column("tenant", Kind.TEXT, "Whose it is; empty: the default tenant's.")
_PUBLIC_ID = Column("public_id", Kind.TEXT, "The image's.")
_PARTITION = Column("partition", Kind.NUMBER, "Of the state.")
IMAGES = Table(
    "images",
    "An image that is there.",
    (
        _TENANT,
        _PUBLIC_ID,
        *_texts(user_id="Whose upload it was.", url="Where it was fetched from."),
        Column("uploaded_at", Kind.MOMENT, "Event time of the upload."),
        Column("version", Kind.NUMBER, "The highest of its events; none where that is a sequencer."),
        Column("tags", Kind.NUMBER, "How many it has."),
        *_texts(
            model="That of its first add-on.",
            model_version="And its version.",
            rules="Hash of the rules that named and assigned its tags.",
            phash="Perceptual hash: 64 bits as hexadecimal digits.",
            embedding="What it shows, as in categorizations.",
            asset="What is known of its bytes, as JSON.",
        ),
        _PARTITION,
    ),
)
TAGS = Table(
    "tags",
    "A tag that an image has.",
    (
        _TENANT,
        _PUBLIC_ID,
        Column("tag", Kind.TEXT, "The tag."),
        Column("confidence", Kind.REAL, "The highest of any add-on; 1 if publisher or people gave it."),
        Column("sources", Kind.TEXT, "Add-ons, `own` and `people`, separated by commas."),
        _PARTITION,
    ),
)
_BUCKET = (
    _TENANT,
    *_texts(period="`minute`, `hour`, `day`, or `all` for all time."),
    Column("start", Kind.MOMENT, "Start of the bucket; that of `all` is 1970."),
    Column("tag", Kind.TEXT, "The tag."),
)
_IMAGES_COUNTED = Column(
    "images", Kind.NUMBER, "How many images have it whose event time lies in the bucket."
)
COUNTS = Table(
    "counts",
    "A tag's images in a bucket, exact.",
    (
        *_BUCKET,
        _IMAGES_COUNTED,
        Column("first_seen", Kind.MOMENT, "Of all time: the earliest event time that was ever counted."),
        Column("last_seen", Kind.MOMENT, "And the latest."),
    ),
)
ADD_ON_COUNTS = Table(
    "add_on_counts",
    "The same by who gave the tag; an image may count for several.",
    (*_BUCKET, Column("source", Kind.TEXT, "Add-on, `own` or `people`."), _IMAGES_COUNTED),
)
TABLES = (IMAGES, TAGS, COUNTS, ADD_ON_COUNTS)


class _ImageRow(IndexedRow):
    url: str | None = None
    version: int | str | None = None
    model: tuple[str, str] | None = None
    rules: str | None = None
    phash: str | None = None
    embedding: str | None = None


class _Asset(msgspec.Struct):
    asset: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _CountRow(msgspec.Struct):
    n: int
    by: dict[str, int]
    first: int | None = None
    last: int | None = None


_decode_image = msgspec.json.Decoder(_ImageRow).decode
_decode_asset = msgspec.json.Decoder(_Asset).decode
_decode_count = msgspec.json.Decoder(_CountRow).decode


def image_cells(
    partition: int, key: str, row: bytes
) -> tuple[tuple[Cell, ...], list[tuple[Cell, ...]]] | None:
    """An image's row, and those of its tags; None: it is deleted, or no image."""
    image, place = _decode_image(row), ImageKey.decode(key)
    if not image.is_image:
        return None
    asset = _decode_asset(row).asset
    model, version = image.model or (None, None)
    cells = (
        *place,
        image.user,
        image.url,
        utc_datetime(image.at),
        image.version if isinstance(image.version, int) else None,
        len(image.tags),
        model,
        version,
        image.rules,
        image.phash,
        image.embedding,
        None if asset is msgspec.UNSET else bytes(asset).decode(),
        partition,
    )
    tags = zip(image.tags, confidences(image), image.by, strict=True)
    return cells, [(*place, tag, sure, ",".join(sources), partition) for tag, sure, sources in tags]


def counts_of(key: str, row: bytes) -> Iterator[Count]:
    """What a partition counted for a tag in a bucket: all of it, and by who gave the tag."""
    place = TrendKey.decode(key)
    if place.window == RECENT:
        yield from _recent_counts(place, row)
        return
    count, bucket = _decode_count(row), (place.tenant, place.window, place.start, place.tag)
    yield Count(*bucket, "", count.n, count.first, count.last)
    for source, images in count.by.items():
        yield Count(*bucket, source, images, None, None)


def _recent_counts(place: TrendKey, row: bytes) -> Iterator[Count]:
    """What came lately counts in all buckets of its minutes."""
    for uses in decode_recent(row).uses:
        for window, start in uses.buckets():
            bucket = (place.tenant, window, start, place.tag)
            seen = uses.seen() if window == ALL else None
            yield Count(*bucket, "", uses.n, *(seen or (None, None)))
            for source in uses.by:
                yield Count(*bucket, source, uses.n, None, None)


def count_cells(count: Count) -> tuple[Cell, ...]:
    """A row of `COUNTS`."""
    return (*_bucket(count), count.images, _moment(count.first), _moment(count.last))


def add_on_cells(count: Count) -> tuple[Cell, ...]:
    """A row of `ADD_ON_COUNTS`."""
    return (*_bucket(count), count.add_on, count.images)


def _bucket(count: Count) -> tuple[Any, ...]:
    return (count.tenant, count.period, utc_datetime(count.start * 1000), count.tag)


def _moment(at: int | None) -> datetime | None:
    return None if at is None else utc_datetime(at)
