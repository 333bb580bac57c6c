"""A network's run over images, whose outputs one or more taggers take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from model.decoding.pixels import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.tagger.late import LateNetwork
    from model.tagger.manifest import Input
    from model.tagger.network import Network


class Pass:
    """A network and how it looks at images.

    Attributes:
        view: How it looks at an image.
    """

    def __init__(self, network: Network | LateNetwork, wanted: Input) -> None:
        self.view = View(wanted.size, wanted.crops)
        self._network = network

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Run the network once over all images; the outputs of an image's squares are averaged.

        Args:
            squares: For each image uint8, shape (squares, size, size, 3), RGB, as
                :func:`model.decode_views` gives them.

        Returns:
            float32, shape (images, numbers): all outputs that are taken, one beside the other.

        Raises:
            ValueError: The squares have another type or shape.
        """
        batch = np.concatenate(squares)
        self._check(batch)
        found = self._network.run(batch)
        if len(batch) == len(squares):
            return found
        starts = np.cumsum([0, *map(len, squares[:-1])])
        counts = np.array([len(image) for image in squares], np.float32)
        return (np.add.reduceat(found, starts) / counts[:, None]).astype(np.float32, copy=False)

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
