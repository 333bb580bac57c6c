"""The tagger: an ONNX session and a vocabulary behind two calls, with pixels or files in and tags out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from model.decoding.decode import decode_views
from model.tagger.activation import activate
from model.tagger.loading import open_passes, read_files
from model.tagger.network import Output

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from model.decoding.pixels import View
    from model.tagger.loading import ModelFiles, Opened
    from model.tagger.vocabulary import Tag

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
        features: A tensor of the graph that says what the network sees; None: its output.
        source: Runs the network, maybe for others as well.
        columns: Where this model's outputs stand in what that gives.
        inner: Where its features stand there; None: they are not given.
    """

    def __init__(self, files: ModelFiles, opened: Opened) -> None:
        manifest, source = files.manifest, opened.source
        self.name = manifest.name
        self.version = manifest.version
        self.threshold = manifest.threshold
        self.features = manifest.features
        self.view = source.view
        self.temperature = None if manifest.activation == "none" else manifest.temperature
        self.input_size = source.view.size
        self.glance: View | None = None
        self.source = source
        self.columns = opened.columns
        self.inner = opened.inner
        self.vocabulary = files.vocabulary()
        self.tag_names = tuple(self.vocabulary.names)
        self.labels = tuple(files.labels)
        self._manifest = manifest
        self._head = files.head

    @classmethod
    def load(
        cls,
        folder: Path | str | None = None,
        *,
        decrease_parents: float | None = None,
        intra_op_threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        warm_up: Sequence[int] = (1,),
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
            late: Load the graph when it is first run, not warmed up; its other files are checked now.

        Raises:
            ManifestError: The folder cannot be used; the message says what to change.
        """
        home = DEFAULT_ARTIFACT if folder is None else Path(folder)
        (tagger,) = cls.load_all(
            [home],
            decrease_parents=decrease_parents,
            intra_op_threads=intra_op_threads,
            providers=providers,
            warm_up=warm_up,
            late=late,
        )
        return tagger

    @classmethod
    def load_all(
        cls,
        folders: Sequence[Path],
        *,
        decrease_parents: float | None = None,
        intra_op_threads: int = 1,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        warm_up: Sequence[int] = (1,),
        late: bool = False,
        inner: Mapping[Path, int] | None = None,
    ) -> list[Tagger]:
        """Load several model folders as :meth:`load` does; those of one graph share one run of it.

        Args:
            folders: The folders.
            decrease_parents: As in :meth:`load`, as are the others.
            intra_op_threads: Likewise.
            providers: Likewise.
            warm_up: Likewise.
            late: Likewise.
            inner: For folders whose features are given, too, how many there are.
        """
        files = [_with_inner(read_files(folder, decrease_parents), inner or {}) for folder in folders]
        opened = open_passes(files, intra_op_threads=intra_op_threads, providers=providers, late=late)
        for source in {each.source for each in opened}:
            source.warm_up(() if late else warm_up)
        return [cls(model, of_model) for model, of_model in zip(files, opened, strict=True)]

    @property
    def networks(self) -> tuple[Tagger]:
        """The networks whose outputs become tags: this tagger's own."""
        return (self,)

    @property
    def width(self) -> int:
        """How many numbers :meth:`outputs` gives for an image."""
        return int(self.columns.stop - self.columns.start)

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
            float32, shape (images, classes), before the activation; of a model with a head its features.

        Raises:
            ValueError: The squares have another type or shape.
        """
        return self.source.outputs(squares)[:, self.columns]

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
        """Each class's probability: float32, shape (images, classes), by the model's head if it has one.

        Args:
            outputs: From :meth:`outputs`.
            temperature: In place of the manifest's.
        """
        outputs = outputs if self._head is None else self._head.apply(outputs)
        return activate(outputs, self._manifest.activation, temperature or self._manifest.temperature)

    def probabilities(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Each class's probability in decoded images, as `tag_pixels` takes them."""
        return self.activated(self.outputs([image[None] for image in batch]))


def _with_inner(files: ModelFiles, widths: Mapping[Path, int]) -> ModelFiles:
    width = widths.get(files.folder)
    return files if width is None else replace(files, inner=Output(files.manifest.features, width))
