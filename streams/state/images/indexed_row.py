"""What of an image's row is searched."""

from collections.abc import Iterable, Sequence
from itertools import chain, repeat

import msgspec

from schemas.times import MAX_DATETIME_MS, MIN_DATETIME_MS
from streams.fold.people import OWN, PEOPLE
from streams.state.images.library import CONFIDENCE_STEPS, Image

_CERTAIN = frozenset({OWN, PEOPLE})


class IndexedRow(msgspec.Struct, gc=False):
    """The fields of an image's row that are searched."""

    at: int
    user: str | None = None
    tags: list[str] = []
    by: list[list[str]] = []
    scores: dict[str, list[tuple[str, float]]] = {}
    deleted: bool = False
    asset: "_Kind | None" = None

    @property
    def is_image(self) -> bool:
        """Whether it is an image that is there; raw and video assets are none."""
        return not self.deleted and (self.asset is None or self.asset.resource_type == "image")


class _Kind(msgspec.Struct, gc=False):
    resource_type: str = "image"


decode_indexed_row = msgspec.json.Decoder(IndexedRow).decode


def indexed_image(row: bytes) -> Image | None:
    """Read from an image's row what is searched; None if it is deleted, or no image.

    Raises:
        msgspec.MsgspecError: It is no image's row.
    """
    image = decode_indexed_row(row)
    if not image.is_image:
        return None
    steps = [max(1, round(confidence * CONFIDENCE_STEPS)) for confidence in confidences(image)]
    tags = list(zip(image.tags, steps, strict=True))
    return Image(min(max(image.at, MIN_DATETIME_MS), MAX_DATETIME_MS), image.user, tags)


def confidences(image: IndexedRow) -> Iterable[float]:
    """The confidence of each tag.

    A tag that came with the image, that people gave it, or that no add-on gave a score, is certain.
    """
    best = _best_scores([*image.scores.values()])
    found = map(best.get, image.tags, repeat(1.0))
    if _CERTAIN.isdisjoint(chain.from_iterable(image.by)):
        return found
    by = zip(image.by, found, strict=True)
    return [score if _CERTAIN.isdisjoint(sources) else 1.0 for sources, score in by]


def _best_scores(add_ons: Sequence[list[tuple[str, float]]]) -> dict[str, float]:
    """The highest score of each tag; an add-on names a tag once."""
    best = dict(add_ons[0]) if add_ons else {}
    for scores in add_ons[1:]:
        for tag, confidence in scores:
            best[tag] = max(confidence, best.get(tag, 0.0))
    return best
