"""A network's run over images, whose outputs one or more taggers take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.decoding.pixels import View
from model.tagger.blank import is_blank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.tagger.late import LateNetwork
    from model.tagger.manifest import Input
    from model.tagger.network import Network

_WHOLE = np.float32(0.25)
"""What a long image as a whole weighs beside the squares along it: measured, see model/README.md."""


class Pass:
    """A network and how it looks at images.

    Attributes:
        view: How it looks at an image.
    """

    def __init__(self, network: Network | LateNetwork, wanted: Input) -> None:
        self.view = View(wanted.size, wanted.crops, wanted.wide)
        self._photos = wanted.photos
        self._network = network

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Run the network over all images; the outputs of an image's squares become one row.

        Args:
            squares: For each image uint8, shape (squares, size, size, 3), RGB, as
                :func:`model.decode_views` gives them.

        Returns:
            float32, shape (images, numbers): all outputs that are taken, one beside the other; not a number
            for an image that is no picture to the model.

        Raises:
            ValueError: The squares have another type or shape.
        """
        batch = np.concatenate(squares)
        self._check(batch)
        many = len(squares)  # at once, or a batch of long images would take several times a batch's memory
        parts = [self._network.run(batch[start : start + many]) for start in range(0, len(batch), many)]
        found: NDArray[np.float32] = np.concatenate(parts)
        if self._photos:
            found[[is_blank(square) for square in batch]] = np.nan
        if len(batch) == len(squares):
            return found
        ends = np.cumsum([*map(len, squares)])
        images = [found[end - len(image) : end] for end, image in zip(ends, squares, strict=True)]
        joined = [_of_wide(rows) if self.view.wide else rows.mean(axis=0) for rows in images]
        one_each: NDArray[np.float32] = np.stack(joined)
        return one_each

    def warm_up(self, sizes: Sequence[int]) -> None:
        """Run batches of these sizes once: GPUs choose their kernels at the first sight of each."""
        for images in sizes:
            self._network.run(np.zeros((images, self.view.size, self.view.size, 3), np.uint8))

    def _check(self, batch: NDArray[np.uint8]) -> None:
        wanted = (self.view.size, self.view.size, 3)
        if batch.dtype != np.uint8 or batch.shape[1:] != wanted or batch.ndim != len(wanted) + 1:
            raise ValueError(
                f"a batch of {batch.dtype} {batch.shape} came: the network takes uint8 "
                f"(images, {self.view.size}, {self.view.size}, 3); use model.decode(data, {self.view.size})"
            )


def _of_wide(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is found in an image as a whole, and in squares along it: mostly the best of these.

    A square without a picture, such as the empty part of a page, says nothing.
    """
    whole: NDArray[np.float32] = rows[0]
    along = rows[1:][np.isfinite(rows[1:]).all(axis=1)]
    if not len(along):
        return whole
    best: NDArray[np.float32] = along.max(axis=0)
    if np.isfinite(whole).all():
        best += _WHOLE * (whole - best)
    return best
