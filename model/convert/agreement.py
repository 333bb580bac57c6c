"""How often two graphs give an image the same best class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime

from model.convert.graph import LOGITS, PIXELS
from model.tagger.activation import activate
from model.tagger.network import session_options

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray

SURE = 0.3
"""The float network's probability (at temperature 1) above which a photo counts as clear."""


@dataclass(frozen=True)
class Agreement:
    """Shares of photos with the same best class, over all photos and over the clear ones."""

    photos: int
    overall: float
    sure_photos: int
    sure: float

    def __str__(self) -> str:
        return (
            f"same best class on {self.overall:.3f} of {self.photos} photos, "
            f"on {self.sure:.3f} of the {self.sure_photos} where the float network gives it more than {SURE}"
        )


def logits_of(graph: onnx.ModelProto, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Run a graph photo by photo: uint8 (photos, size, size, 3) in, float32 (photos, classes) out."""
    model, options = graph.SerializeToString(), session_options()
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = [session.run([LOGITS], {PIXELS: photo[None]})[0] for photo in pixels]
    return np.concatenate(rows)


def measure(reference: onnx.ModelProto, other: onnx.ModelProto, pixels: NDArray[np.uint8]) -> Agreement:
    """Compare a graph with a reference on photos that neither was made with."""
    expected, found = logits_of(reference, pixels), logits_of(other, pixels)
    same = expected.argmax(axis=1) == found.argmax(axis=1)
    sure = activate(expected, "softmax", 1.0).max(axis=1) > SURE
    return Agreement(len(pixels), float(same.mean()), int(sure.sum()), float(same[sure].mean()))
