"""What training found, for people and for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from model.training.heads import TrainedTag

_SHOWN = 5  # photos of a tag
_EVEN = 0.5


class TagReport(msgspec.Struct, frozen=True, kw_only=True):
    """A tag's figures, on photos that what judged them had not seen.

    Attributes:
        photos: Photos with the tag.
        precision: Share of right ones among those that were given the tag; None where none was.
        recall: Share of the photos with the tag that were given it.
        average_precision: Area under precision over recall.
        threshold: The probability from which the tag is given.
        strength: Of the penalty on weights that was best.
        suspects: Photos that the head contradicts most, with the probability that it gives the tag: their
            labels may be wrong.
    """

    tag: str
    photos: int
    precision: float | None
    recall: float
    average_precision: float
    threshold: float
    strength: float
    suspects: dict[str, float]


class TrainingReport(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of all tags; `left_out` are tags with too few photos, `unreadable` photos not decoded."""

    name: str
    version: str
    network: str
    photos: int
    folds: int
    mean_average_precision: float
    tags: list[TagReport]
    left_out: dict[str, int]
    unreadable: dict[str, str]

    def line(self) -> str:
        """The figures on one line."""
        return f"tags={len(self.tags)} photos={self.photos} map={self.mean_average_precision:.3f}"

    def markdown(self) -> str:
        """The figures as a page."""
        rows = "\n".join(_row(tag) for tag in self.tags)
        left_out = "".join(f"- {tag}: {count} photos\n" for tag, count in self.left_out.items())
        unreadable = "".join(f"- {file}: {reason}\n" for file, reason in self.unreadable.items())
        return (
            f"# {self.name} {self.version}\n\n"
            f"Trained on {self.photos} photos, on features of {self.network}. Each photo was judged by heads "
            f"that were fitted, calibrated and given their threshold on others ({self.folds} parts).\n\n"
            "| tag | photos | precision | recall | average precision | threshold | look at these first |\n"
            "|---|---|---|---|---|---|---|\n"
            f"{rows}\n\nMean average precision: {self.mean_average_precision:.3f}\n"
            + (f"\n## Left out\n\nToo few photos have these tags.\n\n{left_out}" if left_out else "")
            + (f"\n## Not decoded\n\n{unreadable}" if unreadable else "")
        )


def tag_report(tag: str, trained: TrainedTag, true: NDArray[np.bool_], files: Sequence[str]) -> TagReport:
    """A tag's figures."""
    doubt = np.where(true, 1 - trained.probabilities, trained.probabilities)
    worst = [place for place in np.argsort(-doubt, kind="stable")[:_SHOWN] if doubt[place] > _EVEN]
    return TagReport(
        tag=tag,
        photos=trained.photos,
        precision=round(trained.right / trained.given, 4) if trained.given else None,
        recall=round(trained.right / trained.photos, 4),
        average_precision=round(trained.average_precision, 4),
        threshold=round(trained.threshold, 4),
        strength=trained.strength,
        suspects={files[place]: round(float(trained.probabilities[place]), 3) for place in worst},
    )


def _row(tag: TagReport) -> str:
    precision = "-" if tag.precision is None else f"{tag.precision:.3f}"
    figures = f"{tag.recall:.3f} | {tag.average_precision:.3f} | {tag.threshold:.3f}"
    return f"| {_plain(tag.tag)} | {tag.photos} | {precision} | {figures} | {_listed(tag.suspects)} |"


def _listed(suspects: Mapping[str, float]) -> str:
    return ", ".join(f"{_plain(file)} ({probability:.2f})" for file, probability in suspects.items())


def _plain(text: str) -> str:
    return text.replace("|", "\\|")
