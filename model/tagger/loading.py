"""Reads model folders; those with the same graph and the same way to look at images share one network."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from model.tagger.head import LinearHead, read_head
from model.tagger.late import LateNetwork
from model.tagger.manifest import Input, Manifest, read_labels, read_manifest
from model.tagger.network import Network, Output
from model.tagger.passes import Pass
from model.tagger.vocabulary import Entry, Vocabulary, read_entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class _Graph(NamedTuple):
    """What makes two folders' networks one: the graph's checksum, and how pixels are handed to it."""

    sha256: str
    input: Input


@dataclass(frozen=True)
class ModelFiles:
    """A model folder that was read and checked, but for its graph.

    Attributes:
        inner: What of the network's inside is wanted besides its output.
    """

    folder: Path
    manifest: Manifest
    labels: list[str]
    entries: list[Entry]
    head: LinearHead | None
    inner: Output | None = None

    @property
    def graph(self) -> _Graph:
        """What other folders may share with this one."""
        return _Graph(self.manifest.sha256[self.manifest.graph], self.manifest.input)

    @property
    def output(self) -> Output:
        """What is taken of the graph."""
        width = len(self.labels) if self.head is None else self.head.features
        return Output(self.manifest.output, width)

    def vocabulary(self) -> Vocabulary:
        """Its tags."""
        return Vocabulary(
            self.entries,
            len(self.labels),
            sums=self.manifest.sums(),
            leaf_floor=self.manifest.leaf_floor,
            floor=self.manifest.floor,
            decrease_parents=self.manifest.decrease_parents,
        )


@dataclass(frozen=True)
class Opened:
    """A model's network.

    Attributes:
        source: What runs it, maybe for others as well.
        columns: The model's part of what that gives.
        inner: The part that is what was wanted of its inside; None: nothing was.
    """

    source: Pass
    columns: slice
    inner: slice | None


def read_files(folder: Path, decrease_parents: float | None) -> ModelFiles:
    """Read a model folder.

    Raises:
        ManifestError: A file is missing, changed or breaks a rule.
    """
    manifest = _adjusted(read_manifest(folder), decrease_parents)
    labels = read_labels(folder / manifest.labels)
    entries = read_entries(folder / manifest.vocabulary if manifest.vocabulary else None, labels)
    head = manifest.head
    layer = None if head is None else read_head(folder / head.weights, head, len(labels))
    return ModelFiles(folder, manifest, labels, entries, layer)


def open_passes(
    models: Sequence[ModelFiles],
    *,
    intra_op_threads: int,
    providers: Sequence[str],
    late: bool,
) -> list[Opened]:
    """Load each graph once, or when it is first run if that is late enough.

    Raises:
        ManifestError: A graph cannot be loaded, or is not what a manifest says.
    """
    wanted: dict[_Graph, dict[Output, None]] = {}
    for model in models:
        outputs = wanted.setdefault(model.graph, {})
        outputs[model.output] = None
        if model.inner is not None:
            outputs[model.inner] = None
    places = {model.graph: model.folder / model.manifest.graph for model in reversed(models)}
    passes = {}
    for graph, of_graph in wanted.items():
        load = functools.partial(
            Network, places[graph], graph.input, list(of_graph), intra_op_threads, providers
        )
        passes[graph] = Pass(LateNetwork(load) if late else load(), graph.input)
    return [
        Opened(
            passes[model.graph],
            _columns(wanted[model.graph], model.output),
            None if model.inner is None else _columns(wanted[model.graph], model.inner),
        )
        for model in models
    ]


def _columns(outputs: Mapping[Output, None], mine: Output) -> slice:
    before = list(outputs)[: list(outputs).index(mine)]
    start = sum(output.width for output in before)
    return slice(start, start + mine.width)


def _adjusted(manifest: Manifest, decrease_parents: float | None) -> Manifest:
    if decrease_parents is None or decrease_parents == manifest.decrease_parents:
        return manifest
    version = f"{manifest.version}+decrease_parents={decrease_parents:g}"
    return msgspec.structs.replace(manifest, decrease_parents=decrease_parents, version=version)
