"""`image.tags`: a record per image and tag. Pure."""

from collections.abc import Iterator, Mapping

import msgspec

from schemas.streams import ImageTag, ImageTagKey
from schemas.times import utc_text
from streams.fold.changes import Row
from streams.fold.rows import ImageKey

_encode = msgspec.json.Encoder().encode
Records = Iterator[tuple[bytes, bytes | None]]  # key and value


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
    confidences = {name: dict(scores) for name, scores in row["scores"].items()}
    found = {}
    for tag, sources in zip(row["tags"], row["by"], strict=True):
        by = [name for name in sources if tag in confidences.get(name, ())]
        best = max(by, key=lambda name: confidences[name][tag], default=None)
        found[tag] = ImageTag(
            tenant,
            public_id,
            tag,
            None if best is None else confidences[best][tag],
            ",".join(sources),
            None if best is None else _model(row, best),
            user,
            at,
        )
    return found


def _model(row: Row, add_on: str) -> str | None:
    model = row.get("models", {}).get(add_on) or row["model"]
    return None if model is None else "/".join(model)
