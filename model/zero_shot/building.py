"""A model folder of an image encoder and an embedding for each label.

Radford et al., "Learning Transferable Visual Models From Natural Language Supervision" (2021): a label's
embedding is the mean of those of several prompts. Zhai et al., "Sigmoid Loss for Language Image Pre-Training"
(2023): with a scale and a bias its likeness to an image's is the log-odds of the label.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from model.evaluation.running import run_tagger
from model.tagger.head import table_of
from model.tagger.manifest import ManifestError
from model.tagger.network import Network as Session
from model.tagger.network import Output, width_of
from model.tagger.passes import Pass
from model.tagger.writing import HeadFile, Network, write_folder
from model.training.logistic import calibrate
from model.training.thresholds import choose_threshold
from model.zero_shot.encoder_files import IMAGE_TENSORS, Pixels, embedding_tensor, image_input, open_session
from model.zero_shot.words import entries_of, prompts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.writing import About
    from model.zero_shot.text import TextEncoder
    from model.zero_shot.words import Word

THRESHOLD = 0.5
_CPU = ("CPUExecutionProvider",)
_ENOUGH = 10  # photos with a label, for a threshold of its own


class ImageEncoder:
    """An image encoder in ONNX.

    Attributes:
        network: What a folder needs of it.
        view: How it looks at an image.
        width: How many numbers its embedding has.
    """

    def __init__(self, graph: Path, said: Pixels, output: str | None = None) -> None:
        """Load it; see :func:`image_input` and :func:`embedding_tensor`."""
        session = open_session(graph)
        wanted = image_input(session, graph, said)
        tensor = embedding_tensor(session, graph, IMAGE_TENSORS, output)
        del session
        self.network = Network(graph, wanted, tensor)
        self.width = width_of(graph, wanted, tensor, _CPU)
        self._pass = Pass(Session(graph, wanted, [Output(tensor, self.width)], 1, _CPU), wanted)
        self.view = self._pass.view

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Embeddings: float32, shape (images, width)."""
        return self._pass.outputs(squares)


@dataclass(frozen=True)
class Scoring:
    """How likenesses become probabilities, and from which one on a label is given, where that is known."""

    activation: Literal["softmax", "sigmoid"]
    scale: float
    bias: float
    thresholds: Mapping[str, float]


def embed_words(
    words: Sequence[Word], templates: Sequence[str], encoder: TextEncoder, advance: Callable[[], object]
) -> NDArray[np.float32]:
    """Each label's embedding, of length 1; `advance` hears when one is done."""
    rows = []
    for word in words:
        of_prompts = unit(encoder.encode(prompts_of(word, templates)))
        rows.append(of_prompts.mean(axis=0))
        advance()
    return unit(np.stack(rows))


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows, scaled to length 1."""
    lengths: NDArray[np.float32] = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), np.float32(1e-12))
    return rows / lengths


def calibrated(
    encoder: ImageEncoder,
    embeddings: NDArray[np.float32],
    words: Sequence[Word],
    *,
    photos: tuple[Path, Mapping[str, list[str]]],
    precision: float | None,
    advance: Callable[[int], object],
) -> Scoring:
    """Scale, bias and thresholds by labelled photos, whose labels are all named.

    Args:
        encoder: The image encoder.
        embeddings: Of the labels.
        words: The labels.
        photos: Their folder, and the labels of each.
        precision: As :func:`choose_threshold` takes it.
        advance: Hears how many photos are done each time.
    """
    folder, rows = photos
    run = run_tagger(encoder, folder, list(rows), advance)
    likeness = (unit(run.outputs) @ embeddings.T).astype(np.float64)
    true = np.array([[word.name in rows[file] for word in words] for file in run.files], np.bool_)
    judged = true.any(axis=0)
    if not judged.any():
        raise ManifestError(
            "no photo has one of the labels: name photos that have, or give --scale and --bias"
        )
    fitted = calibrate(likeness[:, judged].ravel(), true[:, judged].ravel())
    thresholds = {
        words[column].name: choose_threshold(
            fitted.probabilities(likeness[:, column]), true[:, column], precision
        )
        for column in np.flatnonzero(true.sum(axis=0) >= _ENOUGH).tolist()
    }
    return Scoring("sigmoid", fitted.slope, fitted.offset, thresholds)


def check_widths(encoder: ImageEncoder, embeddings: NDArray[np.float32]) -> None:
    """Make sure that both encoders speak of one space.

    Raises:
        ManifestError: Their embeddings have different lengths.
    """
    if embeddings.shape[1] != encoder.width:
        found = f"embeddings have {embeddings.shape[1]} numbers of texts, but {encoder.width} of images"
        raise ManifestError(f"{found}: take both of one checkpoint, and outputs after its projection")


def write(
    folder: Path,
    about: About,
    encoder: ImageEncoder,
    embeddings: NDArray[np.float32],
    *,
    words: Sequence[Word],
    scoring: Scoring,
) -> None:
    """Write the folder.

    Raises:
        OSError: It cannot be written.
    """
    head = HeadFile(
        table_of(embeddings, np.zeros(len(words))),
        scoring.activation,
        normalize=True,
        scale=scoring.scale,
        bias=scoring.bias,
    )
    write_folder(
        folder,
        about,
        encoder.network,
        head,
        labels=[word.name for word in words],
        entries=entries_of(words, scoring.thresholds),
        threshold=THRESHOLD,
    )
