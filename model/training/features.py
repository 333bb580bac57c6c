"""What a network says of photos before its last layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from model.tagger.loading import read_files
from model.tagger.network import Network as Session
from model.tagger.network import Output, width_of
from model.tagger.passes import Pass
from model.tagger.writing import Network

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

_CPU = ("CPUExecutionProvider",)


class FeatureNetwork:
    """A model folder's network up to its features.

    Attributes:
        name: Of the model and its version.
        licence: Of the model.
        network: What a head's folder needs of it.
        view: How it looks at an image.
        width: How many features there are.
    """

    def __init__(self, folder: Path) -> None:
        """Load it.

        Raises:
            ManifestError: The folder cannot be used, or has no tensor of the name that it gives.
        """
        manifest = read_files(folder, None).manifest
        graph = folder / manifest.graph
        tensor = manifest.features or manifest.output
        self.name = f"{manifest.name} {manifest.version}"
        self.licence = manifest.licence
        self.network = Network(graph, manifest.input, tensor)
        self.width = width_of(graph, manifest.input, tensor, _CPU)
        session = Session(graph, manifest.input, [Output(tensor, self.width)], 1, _CPU)
        plain = msgspec.structs.replace(manifest.input, photos=False)  # what is no photo has features, too
        self._pass = Pass(session, plain)
        self.view = self._pass.view

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """The features of images: float32, shape (images, width); see :meth:`Pass.outputs`."""
        return self._pass.outputs(squares)
