"""The object tagger: persons and vehicles, for which the classifier has no class or which it overlooks.

A detector trained on COCO says how sure it is of each, wherever it is in the image. It takes many an animal
for a person: where the classifier is sure of an animal, nothing of it counts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.decoding.decode import decode_views
from model.tagger.manifest import ManifestError
from model.tagger.tagger import Tagger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.decoding.pixels import View
    from model.tagger.vocabulary import Tag

DETECTOR = Path(__file__).parents[1] / "ssd_mobilenet_v2_int8"
"""The folder of the detector that comes with the package."""
ANIMAL = "animal"
SURE_OF_ANIMAL = 0.5
"""A probability, the classifier's."""


class ObjectTagger:
    """Tags persons and vehicles. One instance may be used from several threads at the same time.

    Attributes:
        name: Of the detector, from its manifest.
        version: Likewise; the classifier's is part of it.
        networks: The detector and the classifier.
        glance: How it looks at an image besides: not at all.
        tag_names: Every tag that it can give.
    """

    def __init__(self, detector: Tagger, classifier: Tagger) -> None:
        """Take two loaded models.

        Raises:
            ManifestError: The classifier knows no animals.
        """
        if ANIMAL not in classifier.tag_names:
            cure = f"take one whose vocabulary has {ANIMAL!r}"
            raise ManifestError(
                f"{classifier.name} cannot tell animals from persons for {detector.name}: {cure}"
            )
        self.name = detector.name
        self.version = f"{detector.version}+{classifier.name}-{classifier.version.partition('+')[0]}"
        self.networks = (detector, classifier)
        self.glance: View | None = None
        self.tag_names = detector.tag_names
        self._animal = classifier.tag_names.index(ANIMAL)

    @classmethod
    def load(cls) -> ObjectTagger:
        """Load it with the classifier that it was judged with."""
        return cls(Tagger.load(DETECTOR), Tagger.load())

    def tag(self, images: Sequence[bytes]) -> list[list[Tag]]:
        """Decode and tag whole image files.

        Raises:
            BadImageError: One of them cannot be decoded; none is tagged then.
        """
        if not images:
            return []
        views = [network.view for network in self.networks]
        squares = [decode_views(data, views).squares for data in images]
        return self.tags(
            [network.outputs([each[network.view] for each in squares]) for network in self.networks]
        )

    def tags(self, outputs: Sequence[NDArray[np.float32]], _glances: object = None) -> list[list[Tag]]:
        """Name objects.

        Args:
            outputs: The detector's and the classifier's, float32, shape (images, classes) each.

        Returns:
            One list per image, best first.
        """
        detector, classifier = self.networks
        of_detector, of_classifier = outputs
        animals = classifier.vocabulary.scores(classifier.activated(of_classifier))[1][:, self._animal]
        counts = (animals <= SURE_OF_ANIMAL) & np.isfinite(of_classifier).all(axis=1)
        found = detector.activated(of_detector) * counts[:, None]
        return detector.vocabulary.tags(found.astype(np.float32))
