"""Decoding and inference as a worker's default add-on has them, and nothing else: what the limits run."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model import CombinedTagger, ObjectTagger, SceneTagger, Tag, Tagger, View, decode_views
from model.objects.objects import DETECTOR
from model.parts.combined import Part

Squares = Mapping[View, NDArray[np.uint8]]
AnyTagger = Tagger | CombinedTagger


def load(model: Path | None, parts: str) -> AnyTagger:
    """What a worker runs where `TAGSTREAM_PARTS` is `parts`, or a model folder alone."""
    classifier = Tagger.load(model)
    chosen = {part.strip() for part in parts.split(",")}
    if model is not None or chosen == {Part.CLASSIFIER}:
        return classifier
    detector = Tagger.load(DETECTOR) if Part.OBJECTS in chosen else None
    return CombinedTagger(
        classifier,
        ObjectTagger(detector, classifier) if detector else None,
        SceneTagger(classifier) if Part.SCENES in chosen else None,
    )


def decoded(tagger: AnyTagger, image: bytes) -> Squares:
    """An image as the tagger's networks, and its scenes, look at it."""
    glance = () if tagger.glance is None else (tagger.glance,)
    return decode_views(image, [*(network.view for network in tagger.networks), *glance]).squares


def tagged(tagger: AnyTagger, images: Sequence[Squares]) -> list[list[Tag]]:
    """Each network once over all images, and the tags that follow."""
    outputs = [network.outputs([each[network.view] for each in images]) for network in tagger.networks]
    glances = [] if tagger.glance is None else [each[tagger.glance] for each in images]
    return tagger.tags(outputs, glances)
