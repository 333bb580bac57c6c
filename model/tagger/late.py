"""A network that is loaded when it is first run."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from model.tagger.network import Network


class LateNetwork:
    """In the place of a network: until an image asks for it, it takes no memory."""

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load = load
        self._loaded: Network | None = None
        self._loading = threading.Lock()

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Network.run`.

        Raises:
            ManifestError: It cannot be loaded, or as `Network.run`.
        """
        with self._loading:
            network = self._loaded = self._loaded or self._load()
        return network.run(batch)
