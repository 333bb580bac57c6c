"""How often the scene tagger is right on labelled photos, and how its weights were found.

    python benchmarks/scenes.py FOLDER [--fit] [--show] [--threshold 0.5]

FOLDER has photos and a labels.csv with the columns file and tag: one row for each scene that a photo shows. A
tag with a question mark before it (`?sky`) cannot be told of that photo, and does not count. A tag that no
photo has is left out. `--fit` finds weights for the numbers that model/scenes/scenes.toml names, on these
very photos: judge them by others. `--show` names the photos that were judged wrongly.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.linear_model import LogisticRegression

from model import SceneTagger, decode_views
from model.scenes.picture import Picture

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTH = 5.0  # of the fit, the inverse of its regularisation; on numbers of mean 0 and deviation 1
BINS = np.linspace(0, 1, 11)


def read_labels(folder: Path) -> dict[str, set[str]]:
    """The tags of each file, those that cannot be told with their question mark."""
    labels: dict[str, set[str]] = defaultdict(set)
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            labels[row["file"]].add(row["tag"])
    return labels


def look(tagger: SceneTagger, folder: Path, names: list[str]) -> tuple[NDArray[np.float32], list[Picture]]:
    """The classifier's outputs, and what the tagger glances at."""
    views = (tagger.classifier.view, tagger.glance)
    outputs, pictures, spent = [], [], 0.0
    for name in names:
        squares = decode_views((folder / name).read_bytes(), views).squares
        outputs.append(tagger.classifier.outputs([squares[views[0]]]))
        started = time.process_time()
        tagger.tags([outputs[-1]], [squares[views[1]]])
        spent += time.process_time() - started
        pictures.append(Picture(squares[views[1]]))
    share = spent / len(names) * 1e3
    print(f"{len(names)} photos; besides decoding and classifier {share:.1f} ms of CPU each")
    return np.concatenate(outputs), pictures


def judge(truth: NDArray[np.int8], found: NDArray[np.float32], threshold: float) -> str:
    """How often a tag is right, wrong and missed, and how far off its confidence is."""
    yes = found > threshold
    right, wrong = int((yes & (truth == 1)).sum()), int((yes & (truth == 0)).sum())
    missed = int((~yes & (truth == 1)).sum())
    bins = np.digitize(found, BINS[1:-1])
    error = sum(
        abs(found[bins == number].mean() - truth[bins == number].mean()) * (bins == number).mean()
        for number in np.unique(bins)
    )
    counts = f"{right:4d} right {wrong:3d} wrong {missed:3d} missed of {len(truth):4d}"
    return f"{counts}, calibration error {error:.3f}"


def fit(evidence: NDArray[np.float32], truth: NDArray[np.int8]) -> tuple[float, NDArray[np.float64]]:
    """Constant and weights of a logistic regression."""
    mean, deviation = evidence.mean(axis=0), evidence.std(axis=0) + 1e-6
    found = LogisticRegression(C=STRENGTH, max_iter=2000).fit((evidence - mean) / deviation, truth)
    weights = found.coef_[0] / deviation
    return float(found.intercept_[0] - weights @ mean), weights


def main() -> None:
    """Print a line per tag."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threshold", type=float, default=0.5, help="above which a tag counts as found")
    parser.add_argument("--fit", action="store_true", help="find weights")
    parser.add_argument("--show", action="store_true", help="name what was judged wrongly")
    options = parser.parse_args()
    tagger, labels = SceneTagger.load(), read_labels(options.folder)
    names = sorted(labels)
    outputs, pictures = look(tagger, options.folder, names)
    every = Picture(np.concatenate([picture.pixels for picture in pictures]))
    evidence = tagger.evidence(outputs, every)
    said = [
        {tag.name: tag.confidence for tag in tags} for tags in tagger.tags([outputs], every.pixels[:, None])
    ]
    for tag in tagger.tag_names:
        told = np.array([f"?{tag}" not in labels[name] for name in names])
        truth = np.array([tag in labels[name] for name in names], np.int8)[told]
        if not truth.any():
            continue
        found = np.array([tags.get(tag, 0.0) for tags in said], np.float32)[told]
        print(f"{tag:16} {judge(truth, found, options.threshold)}")
        if options.show:
            known = [name for name, kept in zip(names, told, strict=True) if kept]
            wrong = [
                f"{name} {confidence:.2f}"
                for name, confidence, true in zip(known, found, truth, strict=True)
                if (confidence > options.threshold) != true
            ]
            print("    ", ", ".join(wrong))
        if options.fit and tag in tagger.weighings:
            numbers = list(tagger.weighings[tag].weights)
            constant, weights = fit(np.stack([evidence[name] for name in numbers], axis=1)[told], truth)
            pairs = ", ".join(f"{name} = {weight:.2f}" for name, weight in zip(numbers, weights, strict=True))
            print(f"    constant = {constant:.2f}\n    weights = {{ {pairs} }}")


if __name__ == "__main__":
    main()
