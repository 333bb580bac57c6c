"""The tagger that users get where they ask for none: what classifier, objects and scenes say, as one list.

An image is decoded once, and each network runs once. What two parts name alike is one tag, with the greater
probability. Probabilities can be compared: each part's were fitted to be the chance of being right. The
confidence is discounted for general words, by the classifier's rule.

Where the classifier is sure of an animal, it fills the picture, and neither objects nor scenes count: many an
animal looks like a person to the detector, and fur like the outdoors to the scenes. A dog or cat is a pet.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from model.decoding.decode import decode_views
from model.objects.objects import ANIMAL, DETECTOR, SURE_OF_ANIMAL, ObjectTagger
from model.scenes.scenes import SceneTagger
from model.tagger.manifest import ManifestError
from model.tagger.tagger import Tagger
from model.tagger.vocabulary import Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from model.decoding.pixels import View

PET = "pet"
_PETS = ("dog", "cat")
_SURE_OF_PET = 0.5  # a probability: below it a word for either says too little
_ABOVE_TWO, _ABOVE_SIX = 0.95 * 2**-0.2, 0.95 * 6**-0.2  # as convert/words.py has it for words above others
_DISCOUNTS = {PET: _ABOVE_TWO, "outdoor": _ABOVE_SIX}  # the other six scenes are mostly outdoors
_EVERYDAY = 0.95  # what people name things by


class Part(StrEnum):
    """What says something, by the names that settings have for it."""

    CLASSIFIER = "classifier"
    OBJECTS = "objects"
    SCENES = "scenes"


class CombinedTagger:
    """Tags things, persons and scenes. One instance may be used from several threads at the same time.

    Attributes:
        name: The classifier's.
        version: The classifier's, with each other part's.
        networks: The classifier, and where there are objects the detector.
        glance: How the scenes look at an image; None without them.
        tag_names: Every tag that it can give.
    """

    def __init__(
        self, classifier: Tagger, objects: ObjectTagger | None = None, scenes: SceneTagger | None = None
    ) -> None:
        """Take the parts; objects and scenes take the same classifier's word.

        Raises:
            ManifestError: The classifier has no word for animals or pets.
        """
        for word in (ANIMAL, *_PETS):
            if word not in classifier.tag_names:
                cure = f"take one whose vocabulary has {word!r}"
                raise ManifestError(f"{classifier.name} has no word for {word!r}, which parts need: {cure}")
        self.name = classifier.name
        self.version = "+".join([classifier.version, *_told(objects, scenes)])
        self.networks = (classifier,) if objects is None else (classifier, objects.networks[0])
        self.glance: View | None = None if scenes is None else scenes.glance
        others = [*(objects.tag_names if objects else ()), *(scenes.guessed if scenes else ())]
        self.tag_names = tuple(dict.fromkeys([*classifier.tag_names, PET, *others]))
        self._factors = self._factors_of(classifier)
        self._classifier = classifier
        self._objects = objects
        self._scenes = scenes

    @classmethod
    def load(cls) -> CombinedTagger:
        """Load it with all its parts."""
        classifier = Tagger.load()
        detector = Tagger.load(DETECTOR, late=True)
        return cls(classifier, ObjectTagger(detector, classifier), SceneTagger(classifier))

    def tag(self, images: Sequence[bytes]) -> list[list[Tag]]:
        """Decode and tag whole image files.

        Raises:
            BadImageError: One of them cannot be decoded; none is tagged then.
        """
        if not images:
            return []
        glance = () if self.glance is None else (self.glance,)
        views = [network.view for network in self.networks]
        squares = [decode_views(data, (*views, *glance)).squares for data in images]
        outputs = [network.outputs([each[network.view] for each in squares]) for network in self.networks]
        return self.tags(outputs, [each[view] for each in squares for view in glance])

    def tags(
        self, outputs: Sequence[NDArray[np.float32]], glances: Sequence[NDArray[np.uint8]] = ()
    ) -> list[list[Tag]]:
        """Name what is there.

        Args:
            outputs: Of each of the networks, float32, shape (images, classes).
            glances: For each image what the scenes take; none without them.

        Returns:
            One list per image, best first.
        """
        of_classifier = outputs[0]
        things = self._classifier.tags([of_classifier])
        objects = self._objects.tags([outputs[1], of_classifier]) if self._objects else _nothing(things)
        scenes = self._scenes.guesses([of_classifier], glances) if self._scenes else _nothing(things)
        return [self._merged(*found) for found in zip(things, objects, scenes, strict=True)]

    def _merged(self, things: Sequence[Tag], objects: Sequence[Tag], scenes: Sequence[Tag]) -> list[Tag]:
        """One tag per name, with the greatest confidence and probability; best first."""
        animal = _probability(things, ANIMAL) > SURE_OF_ANIMAL
        best = {tag.name: tag for tag in things}
        for tag in _pet(things) if animal else (*objects, *scenes):
            probability = max(tag.probability, best[tag.name].probability if tag.name in best else 0.0)
            best[tag.name] = Tag(tag.name, probability * self._factors[tag.name], probability)
        return sorted(best.values(), key=lambda tag: -tag.confidence)

    def _factors_of(self, classifier: Tagger) -> dict[str, float]:
        """Confidence over probability: a word has one factor, whichever part says it."""
        own = {entry.name: entry.discount for entry in classifier.vocabulary.entries}
        discounts = [own.get(name, _DISCOUNTS.get(name, _EVERYDAY)) for name in self.tag_names]
        factors = classifier.vocabulary.factors(np.array(discounts, np.float32))
        return dict(zip(self.tag_names, factors.tolist(), strict=True))


def _told(objects: ObjectTagger | None, scenes: SceneTagger | None) -> list[str]:
    """What a version says of the parts beside the classifier."""
    detectors = [f"{Part.OBJECTS}-{objects.networks[0].version}"] if objects else []
    return detectors + ([f"{Part.SCENES}-{scenes.own_version}"] if scenes else [])


def _nothing(things: Sequence[object]) -> list[list[Tag]]:
    return [[] for _ in things]


def _probability(found: Iterable[Tag], name: str) -> float:
    return next((tag.probability for tag in found if tag.name == name), 0.0)


def _pet(things: Sequence[Tag]) -> tuple[Tag, ...]:
    """A pet, where a dog or a cat is sure."""
    probability = min(sum(_probability(things, name) for name in _PETS), 1.0)
    return (Tag(PET, probability, probability),) if probability > _SURE_OF_PET else ()
