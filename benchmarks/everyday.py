"""How good the default add-on is on photos as people upload them, by part and combined.

    python benchmarks/everyday.py PACKAGES [--threshold 0.4] [--photos]

PACKAGES holds a folder per package, named and unpacked as docs/evaluation.md says. The photos are those of
tests/model/evaluation/everyday.csv: `there` has all tags of the list below that are true of a photo,
`unsure` those that cannot be told or are too small to count, `wrong` those that it is given beyond the list
at a threshold of 0.4, and that are not true of it. With --photos each photo is printed with its labels, the
tags that are assigned to it, and what is missed or wrong.
"""

import argparse
import csv
import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model import CombinedTagger, ObjectTagger, SceneTagger, Tag, Tagger
from model.evaluation.metrics import Quality, quality_of, scores_of
from model.evaluation.truth import Truth
from model.objects.objects import DETECTOR

PHOTOS = Path(__file__).parents[1] / "tests" / "model" / "evaluation" / "everyday.csv"
OBJECTS = ("person", "people", "car", "bus", "truck", "motorcycle", "bicycle", "boat", "vehicle")
SCENES = ("outdoor", "sky", "water", "landscape", "greenery", "building", "night")
THINGS = ("animal", "food")
JUDGED = (*OBJECTS, *SCENES, *THINGS)


@dataclass(frozen=True)
class Photo:
    """A photo and what is true of it."""

    path: Path
    there: frozenset[str]
    unsure: frozenset[str]
    wrong: frozenset[str]

    def judgement(self, assigned: Sequence[str]) -> str:
        """What is missed and what is wrong."""
        given = set(assigned)
        missed = sorted(self.there - given)
        wrong = sorted((given & set(JUDGED)) - self.there - self.unsure | (given & self.wrong))
        told = [f"missed: {', '.join(missed)}"] if missed else []
        told += [f"wrong: {', '.join(wrong)}"] if wrong else []
        return "; ".join(told) or "right"


def read_photos(packages: Path) -> list[Photo]:
    """The photos of the list, each of which must be the one that was labelled."""
    photos = []
    with PHOTOS.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            path = packages / row["package"] / row["path"]
            if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != row["sha256"]:
                sys.exit(
                    f"{path} is not the labelled photo; unpack the version that docs/evaluation.md names"
                )
            there, unsure = frozenset(row["there"].split()), frozenset(row["unsure"].split())
            photos.append(Photo(path, there, unsure, frozenset(row["wrong"].split("; "))))
    return photos


def truth_of(photos: Sequence[Photo]) -> Truth:
    """What is true of each photo, as to the judged tags."""
    positive = np.array([[tag in photo.there for tag in JUDGED] for photo in photos])
    unsure = np.array([[tag in photo.unsure for tag in JUDGED] for photo in photos])
    return Truth(positive, ~unsure)


def judged(found: Sequence[Sequence[Tag]], truth: Truth, tags: Sequence[str], threshold: float) -> Quality:
    """The figures of some of the tags."""
    kept = [[tag for tag in of_photo if tag.name in JUDGED] for of_photo in found]
    only = Truth(truth.positive, truth.judged & np.isin(JUDGED, tags))
    return quality_of(scores_of(kept, JUDGED), only, JUDGED, threshold)


def taggers() -> Mapping[str, tuple[Tagger | ObjectTagger | SceneTagger | CombinedTagger, Sequence[str]]]:
    """Each part and all of them, and the judged tags that are its affair."""
    classifier = Tagger.load()
    objects = ObjectTagger(Tagger.load(DETECTOR), classifier)
    scenes = SceneTagger(classifier)
    return {
        "classifier": (classifier, JUDGED),
        "objects": (objects, OBJECTS),
        "scenes": (scenes, SCENES),
        "combined": (CombinedTagger(classifier, objects, scenes), JUDGED),
    }


def show_photos(photos: Sequence[Photo], found: Sequence[Sequence[Tag]], threshold: float) -> None:
    """One line per photo."""
    for number, (photo, tags) in enumerate(zip(photos, found, strict=True), 1):
        assigned = [tag.name for tag in tags if tag.confidence > threshold]
        there = ", ".join(sorted(photo.there)) or "-"
        told = photo.judgement(assigned)
        print(f"{number:3} {photo.path.name}: [{there}] -> {', '.join(assigned) or '-'} | {told}")


def main() -> None:
    """Tag all photos with each part, and print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("packages", type=Path)
    parser.add_argument("--threshold", type=float, default=0.4, help="above which a tag is assigned")
    parser.add_argument("--photos", action="store_true", help="print each photo")
    options = parser.parse_args()
    photos = read_photos(options.packages)
    truth = truth_of(photos)
    for name, (tagger, tags) in taggers().items():
        found = [tagger.tag([photo.path.read_bytes()])[0] for photo in photos]
        quality = judged(found, truth, tags, options.threshold)
        empty = sum(not any(tag.confidence > options.threshold for tag in of_photo) for of_photo in found)
        print(f"{name:10} {quality.line()} photos without a tag: {empty} of {len(photos)}")
    others = [
        tag.name in photo.wrong
        for photo, tags in zip(photos, found, strict=True)
        for tag in tags
        if tag.confidence > options.threshold and tag.name not in JUDGED
    ]
    print(f"{len(others) - sum(others)} of {len(others)} other assigned tags are right")
    for row in quality.tags:
        figures = f"{row.right} right of {row.predicted}, {row.true} there"
        print(f"  {row.tag:10} {figures}, ece {row.calibration_error or 0:.3f}")
    if options.photos:
        show_photos(photos, found, options.threshold)


if __name__ == "__main__":
    main()
