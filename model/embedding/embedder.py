"""From the features of the default classifier to embeddings, by a fixed projection.

`projection.npy` has the 64 directions in which the features of 233 photos are largest (`fitting.py`). Of the
ten photos that are nearest by all 1,280 features, six are among the ten nearest by embeddings, and these
have a tag in common with it as often.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from model.embedding.codes import encode

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROJECTION = Path(__file__).with_name("projection.npy")
GRAPH = "0be92a7bc369a3b2b1b961b0073b3a95d554b8dadc6cfd44a5ce44409aeb24b2"
"""Checksum of the graph whose features are projected."""


class Embedder:
    """Makes embeddings. One instance may be used from several threads at the same time.

    Attributes:
        width: How many features it takes.
    """

    def __init__(self) -> None:
        self._directions = np.ascontiguousarray(np.load(PROJECTION).T.astype(np.float32))
        self.width = int(self._directions.shape[1])

    def embed(self, features: NDArray[np.float32]) -> list[str | None]:
        """Embeddings of images; None for one without a picture.

        Args:
            features: float32, shape (images, width).
        """
        # Not `@`: threads of BLAS would take the cores that other images are decoded on.
        return encode(np.einsum("ij,kj->ik", features, self._directions))
