"""Labelled photos to a model folder with a head for each tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np

from model.evaluation.labels import LabelsError
from model.evaluation.running import run_tagger
from model.tagger.head import table_of
from model.tagger.vocabulary import Entry
from model.tagger.writing import HeadFile, write_folder
from model.training.heads import Examples, train_tag
from model.training.report import TrainingReport, tag_report

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.writing import About
    from model.training.features import FeatureNetwork
    from model.training.heads import Plan, TrainedTag

_LONGEST = 255  # what other tools accept
REPORT, REPORT_JSON = "report.md", "report.json"


class Labelled(NamedTuple):
    """Photos whose features are known, and the tags that each has."""

    features: NDArray[np.float32]
    files: list[str]
    named: list[list[str]]
    unreadable: dict[str, str]

    def counts(self) -> dict[str, int]:
        """How many photos each tag has, in the order of the labels."""
        found: dict[str, int] = {}
        for tags in self.named:
            for tag in dict.fromkeys(tags):
                found[tag] = found.get(tag, 0) + 1
        return found

    def has(self, tag: str) -> NDArray[np.bool_]:
        """Which photos have a tag."""
        return np.array([tag in tags for tags in self.named])


def look(
    network: FeatureNetwork, folder: Path, rows: Mapping[str, list[str]], advance: Callable[[int], object]
) -> Labelled:
    """Decode photos and take their features; `advance` hears how many are done each time."""
    run = run_tagger(network, folder, list(rows), advance)
    return Labelled(run.outputs, run.files, [rows[file] for file in run.files], run.unreadable)


def trainable(photos: Labelled, least: int) -> tuple[list[str], dict[str, int]]:
    """The tags that can be trained, and those that cannot, with their numbers of photos.

    Raises:
        LabelsError: There are none that can, or one is none that a tag may be.
    """
    counts, total = photos.counts(), len(photos.files)
    for tag in counts:
        if len(tag) > _LONGEST or not tag.isprintable():
            rule = f"a tag has at most {_LONGEST} characters, all visible"
            raise LabelsError(f"the labels name {tag[:40]!r}: {rule}; correct the rows")
    fit = [tag for tag, count in counts.items() if least <= count <= total - least]
    if not fit:
        told = (
            ", ".join(f"{tag!r} has {count}" for tag, count in list(counts.items())[:5]) or "no row has a tag"
        )
        rule = f"a tag needs {least} photos that have it and {least} that do not"
        cure = "label more photos (a row without a tag says that a photo has none), or lower --min-photos"
        raise LabelsError(f"of {total} photos {told}: {rule}; {cure}")
    return fit, {tag: count for tag, count in counts.items() if tag not in fit}


def train(
    photos: Labelled, tags: Sequence[str], plan: Plan, advance: Callable[[], object]
) -> dict[str, TrainedTag]:
    """Fit each tag's head; `advance` hears when one is done."""
    examples, found = Examples(photos.features), {}
    for tag in tags:
        found[tag] = train_tag(examples, photos.has(tag), plan)
        advance()
    return found


def write(
    folder: Path,
    about: About,
    network: FeatureNetwork,
    heads: Mapping[str, TrainedTag],
    report: TrainingReport,
) -> None:
    """Write the folder with its report.

    Raises:
        OSError: It cannot be written.
    """
    weights = np.stack([head.head.weights for head in heads.values()])
    biases = np.array([head.head.bias for head in heads.values()])
    table = table_of(weights, biases)
    thresholds = enumerate(head.threshold for head in heads.values())
    entries = [
        Entry(tag, (index,), threshold=threshold)
        for tag, (index, threshold) in zip(heads, thresholds, strict=True)
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(report.markdown(), encoding="utf-8")
    (folder / REPORT_JSON).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    write_folder(
        folder,
        about,
        network.network,
        HeadFile(table, "sigmoid"),
        labels=list(heads),
        entries=entries,
        threshold=0.0,
    )


def report_of(
    photos: Labelled,
    heads: Mapping[str, TrainedTag],
    left_out: Mapping[str, int],
    *,
    about: About,
    network: FeatureNetwork,
    plan: Plan,
) -> TrainingReport:
    """The figures of what was trained."""
    tags = [tag_report(tag, head, photos.has(tag), photos.files) for tag, head in heads.items()]
    return TrainingReport(
        name=about.name,
        version=about.version,
        network=network.name,
        photos=len(photos.files),
        folds=plan.folds,
        mean_average_precision=round(sum(tag.average_precision for tag in tags) / len(tags), 4),
        tags=tags,
        left_out=dict(left_out),
        unreadable=photos.unreadable,
    )
