"""The tagger: an ONNX session and a vocabulary behind two calls, with pixels or files in and tags out."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from model.decoding.decode import decode_views
from model.decoding.pixels import View
from model.tagger.activation import activate
from model.tagger.manifest import read_labels, read_manifest
from model.tagger.network import LateNetwork, Network
from model.tagger.vocabulary import Tag, Vocabulary, read_entries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from model.tagger.manifest import Manifest

DEFAULT_ARTIFACT = Path(__file__).parents[1] / "efficientnet_lite2_int8"
"""The model folder that is used where none is named."""


class Tagger:
    """Tags images. One instance may be used from several threads at the same time.

    Attributes:
        name: Of the model, from its manifest.
        version: Likewise.
        view: How it looks at an image.
        input_size: Side in pixels of the squares that it takes.
        glance: How it looks at an image besides: not at all.
        tag_names: Every tag that the model can give.
        labels: Of its classes.
        vocabulary: Those tags with the classes that they stand for.
        threshold: The confidence above which the model's tags are worth assigning.
        temperature: What calibrates the model's outputs; None where that has no meaning.
    """

    def __init__(
        self,
        manifest: Manifest,
        network: Network | LateNetwork,
        vocabulary: Vocabulary,
        labels: Sequence[str],
    ) -> None:
        self.name = manifest.name
        self.version = manifest.version
        self.threshold = manifest.threshold
        self.view = View(manifest.input.size, manifest.input.crops)
        self.temperature = None if manifest.activation == "none" else manifest.temperature
        self.input_size = manifest.input.size
        self.glance: View | None = None
        self.tag_names = tuple(vocabulary.names)
        self._manifest = manifest
        self._network = network
        self.vocabulary = vocabulary
        self.labels = tuple(labels)

    @classmethod
    def load(
        cls,
        folder: Path | str | None = None,
        *,
        decrease_parents: float | None = None,
        intra_op_threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        warm_up: Sequence[int] = (1,),
        at_once: int | None = None,
        late: bool = False,
    ) -> Tagger:
        """Load a model folder, check it and warm it up.

        Args:
            folder: A folder with a ``manifest.json``; None for the model that comes with the package.
            decrease_parents: 0 to 1 in place of the manifest's; the version then says so, as in
                ``1.1.0+decrease_parents=0.5``, so that results can be told apart.
            intra_op_threads: Threads inside one call. One is best where several threads call.
            providers: ONNX Runtime's execution providers, the preferred one first.
            warm_up: Sizes of batches to run once: GPUs choose their kernels at the first sight of each.
            at_once: Most images in one call of the network, whose memory stays taken; None: the whole batch.
            late: Load the graph when it is first run, not warmed up; its other files are checked now.

        Raises:
            ManifestError: The folder cannot be used; the message says what to change.
        """
        home = DEFAULT_ARTIFACT if folder is None else Path(folder)
        manifest = _adjusted(read_manifest(home), decrease_parents)
        labels = read_labels(home / manifest.labels)
        entries = read_entries(home / manifest.vocabulary if manifest.vocabulary else None, labels)
        load = functools.partial(
            Network,
            home / manifest.graph,
            manifest.input,
            len(labels),
            intra_op_threads,
            providers,
            at_once=at_once,
        )
        network = LateNetwork(load) if late else load()
        vocabulary = Vocabulary(
            entries,
            len(labels),
            sums=manifest.sums(),
            leaf_floor=manifest.leaf_floor,
            floor=manifest.floor,
            decrease_parents=manifest.decrease_parents,
        )
        tagger = cls(manifest, network, vocabulary, labels)
        for images in () if late else warm_up:
            tagger.tag_pixels(np.zeros((images, tagger.input_size, tagger.input_size, 3), np.uint8))
        return tagger

    @property
    def networks(self) -> tuple[Tagger]:
        """The networks whose outputs become tags: this tagger's own."""
        return (self,)

    def tag(self, images: Sequence[bytes]) -> list[list[Tag]]:
        """Decode and tag whole image files.

        Raises:
            BadImageError: One of them cannot be decoded; none is tagged then.
        """
        if not images:
            return []
        decoded = (decode_views(data, (self.view,)) for data in images)
        return self.tags([self.outputs([views.squares[self.view] for views in decoded])])

    def tag_pixels(self, batch: NDArray[np.uint8]) -> list[list[Tag]]:
        """Tag decoded images, each seen as one square.

        Args:
            batch: uint8, shape (images, input_size, input_size, 3), RGB, as :func:`model.decode` gives them.

        Returns:
            One list per image, in the same order: every tag above the model's floor, best first.

        Raises:
            ValueError: The batch has another type or shape.
        """
        if len(batch) == 0:
            return []
        return self.tags([self.outputs([image[None] for image in batch])])

    def outputs(self, squares: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Run the network once over all images; the outputs of an image's squares are averaged.

        Args:
            squares: For each image uint8, shape (squares, input_size, input_size, 3), RGB, as
                :func:`model.decode_views` gives them.

        Returns:
            float32, shape (images, classes), before the activation.

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

    def tags(self, outputs: Sequence[NDArray[np.float32]], _glances: object = None) -> list[list[Tag]]:
        """The tags of this network's outputs: one list per row, every tag above its floor, best first."""
        (own,) = outputs
        found = self.vocabulary.tags(self.activated(own))
        if len(found) != len(own):
            raise RuntimeError(
                f"{len(own)} images went in, but {len(found)} results came out: report this bug"
            )
        return found

    def activated(
        self, outputs: NDArray[np.float32], temperature: float | None = None
    ) -> NDArray[np.float32]:
        """Each class's probability: float32, shape (images, classes).

        Args:
            outputs: From :meth:`outputs`.
            temperature: In place of the manifest's.
        """
        return activate(outputs, self._manifest.activation, temperature or self._manifest.temperature)

    def probabilities(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Each class's probability in decoded images, as `tag_pixels` takes them."""
        return self.activated(self.outputs([image[None] for image in batch]))

    def _check(self, batch: NDArray[np.uint8]) -> None:
        wanted = (self.input_size, self.input_size, 3)
        if batch.dtype != np.uint8 or batch.shape[1:] != wanted or batch.ndim != len(wanted) + 1:
            raise ValueError(
                f"a batch of {batch.dtype} {batch.shape} came: {self.name} takes uint8 "
                f"(images, {self.input_size}, {self.input_size}, 3); use model.decode(data, input_size)"
            )


def _adjusted(manifest: Manifest, decrease_parents: float | None) -> Manifest:
    if decrease_parents is None or decrease_parents == manifest.decrease_parents:
        return manifest
    version = f"{manifest.version}+decrease_parents={decrease_parents:g}"
    return msgspec.structs.replace(manifest, decrease_parents=decrease_parents, version=version)
