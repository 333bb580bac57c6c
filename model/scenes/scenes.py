"""The scene tagger: what kind of picture it is, from a classifier's outputs and a glance at its colours.

The classifier knows a thousand things, none of them ``outdoor`` or ``sky``. But where it sees a castle or a
beach, the picture was taken outdoors; where what hangs together with the upper edge is smooth or blue too,
there is sky. Each such tag is a logistic regression over a few numbers: its confidence is the chance of
being right on photos like those that it was fitted to. ``scenes.toml`` has the classes and the weights;
MODEL_CARD.md says how often it is right, and what it cannot tell.

Colours, ``bright``, ``dark`` and ``black and white`` are no guesses: their confidence is how far they apply.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np

from model.decoding.decode import decode_views
from model.decoding.pixels import View
from model.scenes.colours import COLOURS, colour_shares, colourfulness
from model.scenes.picture import Picture
from model.scenes.scene_pixels import features, green_share, top_luma
from model.tagger.activation import activate
from model.tagger.manifest import ManifestError
from model.tagger.tagger import Tagger
from model.tagger.vocabulary import Tag

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from model.scenes.picture import Number

SCENES = Path(__file__).with_name("scenes.toml")
FLOOR = 0.05  # tags with less confidence are not reported
LEAST_SHARE = 0.1  # of the pixels: colours with less are not reported

_GLANCE = View(64)
_GLANCE_SHAPE = (64, 64, 3)
_LEAST_MASS = 1e-3
_NIGHT = "night"
_SURE_OF_NIGHT = 0.8  # too few photos of nights were at hand to claim more


class Weighing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a tag follows from numbers: the logistic function of their weighted sum."""

    constant: float
    weights: dict[str, float]


class SceneFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``scenes.toml`` holds.

    Attributes:
        version: Travels with every result.
        temperature: Divides the classifier's outputs.
        classes: Groups of classes by label; ``@`` and a group's name stands for that group, ``#`` and a tag
            of the classifier's vocabulary for the classes of that tag.
        tags: The tags that are weighed.
    """

    version: str
    temperature: Annotated[float, msgspec.Meta(gt=0)]
    classes: dict[str, list[str]]
    tags: dict[str, Weighing]


class SceneTagger:
    """Tags scenes. One instance may be used from several threads at the same time.

    Attributes:
        name: Travels with every result.
        version: Likewise; the classifier's is part of it.
        classifier: Whose outputs it takes.
        glance: How it looks at an image itself.
        tag_names: Every tag that it can give.
        guessed: Those of them that are guesses.
        own_version: Its version without the classifier's.
        weighings: How those follow that are guesses, the night apart.
    """

    name = "scenes"
    glance = _GLANCE

    def __init__(self, classifier: Tagger, path: Path = SCENES) -> None:
        """Read the file.

        Args:
            classifier: Knows all classes that the file names.
            path: The file.

        Raises:
            ManifestError: The file breaks a rule, or names a class that the classifier does not know.
        """
        try:
            scenes = msgspec.toml.decode(path.read_bytes(), type=SceneFile)
        except (OSError, msgspec.DecodeError) as error:
            raise ManifestError(f"{path} cannot be used: {error}; restore the file") from error
        self.classifier = classifier
        self.weighings = scenes.tags
        self._temperature = scenes.temperature
        self.own_version = scenes.version
        self.version = f"{scenes.version}+{classifier.name}-{classifier.version.partition('+')[0]}"
        self.guessed = (*scenes.tags, _NIGHT)
        self.tag_names = (*self.guessed, "black and white", "bright", "dark", *COLOURS)
        _check(scenes, path)
        self._groups = {name: _members(scenes, name, classifier) for name in scenes.classes}

    @property
    def networks(self) -> tuple[Tagger]:
        """The networks whose outputs become tags: the classifier."""
        return (self.classifier,)

    @classmethod
    def load(cls) -> SceneTagger:
        """Load it with the classifier that it was fitted to."""
        return cls(Tagger.load())

    def tag(self, images: Sequence[bytes]) -> list[list[Tag]]:
        """Decode and tag whole image files.

        Raises:
            BadImageError: One of them cannot be decoded; none is tagged then.
        """
        if not images:
            return []
        decoded = [decode_views(data, (self.classifier.view, self.glance)) for data in images]
        outputs = self.classifier.outputs([views.squares[self.classifier.view] for views in decoded])
        return self.tags([outputs], [views.squares[self.glance] for views in decoded])

    def tags(
        self, outputs: Sequence[NDArray[np.float32]], glances: Sequence[NDArray[np.uint8]]
    ) -> list[list[Tag]]:
        """Name scenes.

        Args:
            outputs: The classifier's alone, float32, shape (images, classes).
            glances: For each image uint8, shape (1, 64, 64, 3), RGB.

        Returns:
            One list per image, best first.
        """
        picture = Picture(np.concatenate(glances))
        (of_classifier,) = outputs
        found = self._guesses(of_classifier, picture) | _measured(picture)
        scenes, colours = _ranked(found, FLOOR), _ranked(colour_shares(picture), LEAST_SHARE)
        return [scene + colour for scene, colour in zip(scenes, colours, strict=True)]

    def guesses(
        self, outputs: Sequence[NDArray[np.float32]], glances: Sequence[NDArray[np.uint8]]
    ) -> list[list[Tag]]:
        """Name scenes alone, without colours and brightness; see `tags`."""
        (of_classifier,) = outputs
        return _ranked(self._guesses(of_classifier, Picture(np.concatenate(glances))), FLOOR)

    def _guesses(self, outputs: NDArray[np.float32], picture: Picture) -> dict[str, Number]:
        evidence = self.evidence(outputs, picture)
        found = {tag: _weighed(weighing, evidence) for tag, weighing in self.weighings.items()}
        found[_NIGHT] = _night(evidence["outdoors"], picture)
        seen = np.isfinite(outputs).all(axis=1)  # else it is no picture to the classifier
        return {tag: confidence * seen for tag, confidence in found.items()}

    def evidence(self, outputs: NDArray[np.float32], picture: Picture) -> Mapping[str, Number]:
        """The numbers that tags are weighed by: log-odds of groups of classes, and what pixels tell."""
        probabilities = activate(outputs, "softmax", self._temperature)
        masses = {name: probabilities[:, members].sum(axis=1) for name, members in self._groups.items()}
        return {name: _log_odds(mass) for name, mass in masses.items()} | features(picture)


def _check(scenes: SceneFile, path: Path) -> None:
    blank = Picture(np.zeros((1, *_GLANCE_SHAPE), np.uint8))
    known = {*scenes.classes, *features(blank)}
    for tag, weighing in scenes.tags.items():
        for name in weighing.weights.keys() - known:
            cure = f"correct it; there are {', '.join(sorted(known))}"
            rule = "which is neither a group of classes nor a number from pixels"
            raise ManifestError(f"{path}: {tag} weighs {name!r}, {rule}; {cure}")


def _members(scenes: SceneFile, group: str, classifier: Tagger) -> NDArray[np.intp]:
    members: set[int] = set()
    for label in scenes.classes[group]:
        if label.startswith("@"):
            members.update(_members(scenes, label[1:], classifier).tolist())
        elif label.startswith("#"):
            entries = (entry for entry in classifier.vocabulary.entries if entry.name == label[1:])
            members.update(index for entry in entries for index in entry.classes)
        else:
            found = [index for index, known in enumerate(classifier.labels) if known == label]
            if not found:
                cure = "scenes need the classifier that comes along"
                raise ManifestError(f"{classifier.name} has no class {label!r}: {cure}")
            members.update(found)
    return np.array(sorted(members), np.intp)


def _log_odds(mass: Number) -> Number:
    within = mass.clip(_LEAST_MASS, 1 - _LEAST_MASS)
    odds: Number = np.log(within / (1 - within))
    return odds


def _weighed(weighing: Weighing, evidence: Mapping[str, Number]) -> Number:
    total: Number = np.full(len(next(iter(evidence.values()))), weighing.constant, np.float32)
    for name, weight in weighing.weights.items():
        total = total + np.float32(weight) * evidence[name]
    return (1 / (1 + np.exp(-total))).astype(np.float32)


def _night(outdoors: Number, picture: Picture) -> Number:
    """How likely it is a dark sky over things outdoors, not a dark backdrop or a dark wood."""
    outside = _ramp(outdoors, -2, 1)
    dark = _ramp(-top_luma(picture), -0.3, -0.1)
    bare = _ramp(-green_share(picture), -0.3, -0.15)
    return outside * dark * bare * np.float32(_SURE_OF_NIGHT)


def _measured(picture: Picture) -> dict[str, Number]:
    """Tags that need no guess; 0.5 is where people would begin to say so."""
    brightness: Number = picture.luma.mean(axis=(1, 2))
    return {
        "black and white": _ramp(-colourfulness(picture), -16 / 255, -4 / 255),
        "bright": _ramp(brightness, 0.65, 0.85),
        "dark": _ramp(-brightness, -0.35, -0.15),
    }


def _ramp(numbers: Number, low: float, high: float) -> Number:
    rising: Number = ((numbers - np.float32(low)) / np.float32(high - low)).clip(0, 1)
    return rising


def _ranked(confidences: Mapping[str, Number], least: float) -> list[list[Tag]]:
    """For each image the tags with at least so much confidence, best first."""
    rows = zip(*(found.tolist() for found in confidences.values()), strict=True)
    named = [[Tag(*each, each[1]) for each in zip(confidences, row, strict=True)] for row in rows]
    kept = ([tag for tag in tags if tag.confidence >= least] for tags in named)
    return [sorted(tags, key=lambda tag: -tag.confidence) for tags in kept]
