"""From probabilities of classes to tags: koala, and therefore marsupial, mammal and animal.

A tag stands for a set of classes. Its probability is the sum over the set (for models whose classes exclude
each other) or the greatest in it. A plain sum would put the most general tag first, as ``animal`` can never
be less likely than ``koala``; so each tag also carries a *discount* that is smaller the more classes it has,
and the confidence that is reported is probability times discount. A parent's discount factor never exceeds
its child's. How much of the discount is applied is a choice, ``decrease_parents``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from model.tagger.manifest import ManifestError, Name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_ABOVE_ZERO = 1e-9


@dataclass(frozen=True, slots=True)
class Tag:
    """A word for what an image shows.

    Attributes:
        name: At most 255 characters.
        confidence: 0 to 1, discounted for general tags; what thresholds are compared with.
        probability: 0 to 1, before the discount.
    """

    name: str
    confidence: float
    probability: float


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tag of a vocabulary file.

    Attributes:
        name: What is reported.
        classes: The classes that it stands for, from 0.
        discount: Confidence over probability.
        threshold: The tag is not reported where its probability is less.
    """

    name: Name
    classes: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
    discount: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 1.0
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0


class VocabularyFile(msgspec.Struct, frozen=True):
    """A vocabulary file: its tags in any order, and where they come from."""

    tags: Annotated[list[Entry], msgspec.Meta(min_length=1)]
    source: str = ""


class Vocabulary:
    """The tags of a model, ready to be computed for a batch."""

    def __init__(
        self,
        entries: Sequence[Entry],
        classes: int,
        *,
        sums: bool,
        leaf_floor: float,
        floor: float,
        decrease_parents: float = 1.0,
    ) -> None:
        """Lay the tags' classes out in one row.

        Args:
            entries: The tags; names are unique.
            classes: How many probabilities the model gives.
            sums: Add a tag's classes up (True) or take the greatest (False).
            leaf_floor: Classes less likely than this count as 0. A model that is not calibrated may have a
                tail of tiny chances that adds up to general tags which nothing in the image supports.
            floor: Tags with less confidence than this are not reported.
            decrease_parents: 0 to 1, how much of each discount is applied: with 0 confidence is probability.
        """
        self.entries = tuple(entries)
        self.names = [entry.name for entry in entries]
        self.classes = classes
        members = [np.unique(entry.classes) for entry in entries]
        self._members = np.concatenate(members)
        self._starts = np.cumsum([0, *map(len, members[:-1])])
        discounts = np.array([entry.discount for entry in entries], np.float32)
        self._decrease_parents = np.float32(decrease_parents)
        self._factors = self.factors(discounts)
        self._thresholds = np.array([entry.threshold for entry in entries], np.float32)
        self._sizes = np.array([len(entry.classes) for entry in entries])
        self._combine = np.add if sums else np.maximum
        self._leaf_floor = leaf_floor
        self._floor = max(floor, _ABOVE_ZERO)

    def tags(self, probabilities: NDArray[np.float32]) -> list[list[Tag]]:
        """Name what each row of probabilities shows, best first.

        Args:
            probabilities: float32, shape (images, classes), each 0 to 1.

        Returns:
            One list per row, by falling confidence, the more specific tag first where two are equal.
        """
        confidences, found = self.scores(probabilities)
        return [self._ranked(*row) for row in zip(confidences, found, strict=True)]

    def factors(self, discounts: NDArray[np.float32]) -> NDArray[np.float32]:
        """Confidence over probability: so much of each discount as is applied here."""
        return 1 - self._decrease_parents * (1 - discounts)

    def scores(self, probabilities: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Confidences and probabilities of all tags, both 0 where a tag is not reported.

        Args:
            probabilities: float32, shape (images, classes), each 0 to 1.

        Returns:
            Two arrays, float32, shape (images, tags).
        """
        leaves = np.where(probabilities >= self._leaf_floor, probabilities, np.float32(0))
        found = self._combine.reduceat(leaves[:, self._members], self._starts, axis=1).clip(0.0, 1.0)
        confidences = found * self._factors
        kept = (confidences >= self._floor) & (found >= self._thresholds)
        return confidences * kept, found * kept

    def _ranked(self, confidences: NDArray[np.float32], probabilities: NDArray[np.float32]) -> list[Tag]:
        (kept,) = np.nonzero(confidences)
        order = kept[np.lexsort((kept, self._sizes[kept], -confidences[kept]))]
        return [Tag(self.names[i], float(confidences[i]), float(probabilities[i])) for i in order]


def read_entries(path: Path | None, labels: Sequence[str]) -> list[Entry]:
    """Read a vocabulary file, or make one tag of each label where there is none.

    Raises:
        ManifestError: The file breaks a rule, names a class that does not exist, or names a tag twice.
    """
    if path is None:
        entries = [Entry(label, (index,)) for index, label in enumerate(labels)]
        return _checked(entries, len(labels), "the labels file")
    try:
        parsed = msgspec.json.decode(path.read_bytes(), type=VocabularyFile)
    except msgspec.DecodeError as error:
        cure = "correct it as model/README.md describes"
        raise ManifestError(f"{path} breaks a rule: {error}; {cure}") from error
    return _checked(parsed.tags, len(labels), str(path))


def _checked(entries: list[Entry], classes: int, where: str) -> list[Entry]:
    seen: set[str] = set()
    for entry in entries:
        if entry.name in seen:
            cure = "merge the two, or tell them apart as in 'crane (bird)'"
            raise ManifestError(f"{where} names the tag {entry.name!r} twice: tags are unique; {cure}")
        seen.add(entry.name)
        outside = [index for index in entry.classes if not 0 <= index < classes]
        if outside:
            rule = f"the labels file has {classes} classes, 0 to {classes - 1}"
            raise ManifestError(
                f"{where}, tag {entry.name!r}, class {outside[0]}: {rule}; correct the number"
            )
    return entries
