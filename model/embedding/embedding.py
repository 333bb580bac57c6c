"""Embeddings of images, from the features that a classifier has of them anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from model.embedding.embedder import Embedder
    from model.tagger.tagger import Tagger


class Embedding:
    """Makes embeddings of what a classifier's network gives.

    Attributes:
        source: What runs the network.
    """

    def __init__(self, classifier: Tagger, embedder: Embedder) -> None:
        """Take a classifier that gives its features.

        Raises:
            ValueError: It does not.
        """
        if classifier.inner is None:
            raise ValueError(f"{classifier.name} was loaded without its features: report this bug")
        self.source = classifier.source
        self._columns = classifier.inner
        self._embedder = embedder

    def embed(self, outputs: NDArray[np.float32]) -> list[str | None]:
        """Embeddings of images, by all that the network gives for them; None for one without a picture."""
        return self._embedder.embed(outputs[:, self._columns])
