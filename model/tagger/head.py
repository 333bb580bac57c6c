"""A linear layer behind a network: from its features to classes.

Both a label's embedding and a trained logistic regression are such a layer. The ``.npy`` file holds float32
of the shape (labels, features + 1): a row for each line of the labels file, a label's own bias last in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.tagger.manifest import ManifestError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.manifest import Head

_LEAST_LENGTH = 1e-12


class LinearHead:
    """The layer, ready to be applied.

    Attributes:
        features: How many numbers it takes of each image.
    """

    def __init__(self, table: NDArray[np.float32], head: Head) -> None:
        self.features = table.shape[1] - 1
        self._weights = np.ascontiguousarray(table[:, :-1].T) * np.float32(head.scale)
        self._biases = table[:, -1] + np.float32(head.bias)
        self._normalize = head.normalize

    def apply(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give each label's output: float32, shape (images, labels), from shape (images, features)."""
        if self._normalize:
            lengths = np.linalg.norm(features, axis=1, keepdims=True)
            features = features / np.maximum(lengths, np.float32(_LEAST_LENGTH))
        outputs: NDArray[np.float32] = features @ self._weights + self._biases
        return outputs


def read_head(path: Path, head: Head, labels: int) -> LinearHead:
    """Read a layer's weights.

    Raises:
        ManifestError: They are no such table.
    """
    try:
        table = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        cure = "write it with numpy.save"
        raise ManifestError(f"{path} cannot be read ({str(error)[:100]}): {cure}") from error
    rule = f"with {labels} labels it must be float32 of the shape [{labels}, features + 1]"
    fits = isinstance(table, np.ndarray) and table.dtype == np.float32 and table.ndim == 2  # noqa: PLR2004
    if not fits or len(table) != labels or table.shape[1] < 2:  # noqa: PLR2004
        found = f"{table.dtype} {list(table.shape)}" if isinstance(table, np.ndarray) else "several arrays"
        raise ManifestError(f"{path} holds {found}: {rule}; build it anew")
    if not np.isfinite(table).all():
        raise ManifestError(f"{path} holds numbers that are not finite: build it anew")
    return LinearHead(table, head)


def table_of(weights: NDArray[np.floating], biases: NDArray[np.floating]) -> NDArray[np.float32]:
    """The table that a file holds, from (labels, features) weights and a bias for each label."""
    return np.concatenate([weights, biases[:, None]], axis=1).astype(np.float32)
