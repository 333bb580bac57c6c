"""`image.tags`: a record per image and tag. Pure."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from schemas.streams.records import ImageTag, ImageTagKey
from schemas.times import utc_text
from streams.fold.changes import Row
from streams.fold.people import OWN, PEOPLE
from streams.fold.rows import ImageKey

_encode = msgspec.json.Encoder().encode
_SURE = frozenset({OWN, PEOPLE})
Records = Iterator[tuple[bytes, bytes | None]]  # key and value


class _Score(NamedTuple):
    """How sure a tag is, and by whom; None: by somebody who is certain, as `/images` has it."""

    confidence: float
    add_on: str | None


_CERTAIN = _Score(1.0, None)


def changed_tags(image: str, old: Row | None, new: Row | None, *, again: bool) -> Records:
    """The records of what changed of an image's tags, by its row before and its row now.

    Args:
        image: The key of its row.
        old: None: there was none.
        new: None: there is none any more.
        again: Whether tags that did not change are told as well.
    """
    before, after = _tags(image, old), _tags(image, new)
    tenant, public_id = ImageKey.decode(image)
    for tag, value in after.items():
        if again or before.get(tag) != value:
            yield _encode(ImageTagKey(tenant, public_id, tag)), _encode(value)
    for tag in before.keys() - after.keys():
        yield _encode(ImageTagKey(tenant, public_id, tag)), None


def _tags(image: str, row: Row | None) -> Mapping[str, ImageTag]:
    if row is None or not row["tags"]:
        return {}
    tenant, public_id = ImageKey.decode(image)
    at, user = utc_text(row["at"]), row["user"]
    best = _best(row)
    found = {}
    for tag, sources in zip(row["tags"], row["by"], strict=True):
        told = _CERTAIN if not _SURE.isdisjoint(sources) else best.get(tag, _CERTAIN)
        model = None if told.add_on is None else _model(row, told.add_on)
        by = ",".join(sources)
        found[tag] = ImageTag(tenant, public_id, tag, told.confidence, by, model, user, at)
    return found


def _best(row: Row) -> dict[str, _Score]:
    """The highest score of each tag."""
    found: dict[str, _Score] = {}
    for add_on, scores in row["scores"].items():
        for tag, confidence in scores:
            if tag not in found or confidence > found[tag].confidence:
                found[tag] = _Score(confidence, add_on)
    return found


def _model(row: Row, add_on: str) -> str | None:
    model = row.get("models", {}).get(add_on) or row["model"]
    return None if model is None else "/".join(model)
