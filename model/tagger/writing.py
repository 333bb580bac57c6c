"""Writes a model folder: a network that exists, and a head behind it."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from model.tagger.manifest import FILE_NAME, Head, Input, Manifest, ManifestError, sha256_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.vocabulary import Entry

GRAPH, LABELS, WEIGHTS, VOCABULARY = "model.onnx", "labels.txt", "head.npy", "vocabulary.json"


@dataclass(frozen=True)
class Network:
    """A graph, how pixels are handed to it, and the tensor that the head takes; None: its first output."""

    graph: Path
    input: Input
    output: str | None


@dataclass(frozen=True)
class HeadFile:
    """What a head is made of: the table that ``head.py`` describes, and what becomes of its outputs."""

    table: NDArray[np.float32]
    activation: Literal["softmax", "sigmoid", "none"]
    normalize: bool = False
    scale: float = 1.0
    bias: float = 0.0


@dataclass(frozen=True)
class About:
    """What a manifest tells people."""

    name: str
    version: str
    source: str
    licence: str


def check_free(folder: Path) -> None:
    """Make sure that a folder can be written.

    Raises:
        ManifestError: Something is there already.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ManifestError(f"--out {folder} is there already, and not empty: name a new folder, or empty it")


def write_folder(
    folder: Path,
    about: About,
    network: Network,
    head: HeadFile,
    *,
    labels: Sequence[str],
    entries: Sequence[Entry],
    threshold: float,
) -> None:
    """Write all files, the manifest last: a folder without one is no model.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(network.graph, folder / GRAPH)
    (folder / LABELS).write_text("\n".join(labels) + "\n", encoding="utf-8")
    np.save(folder / WEIGHTS, head.table, allow_pickle=False)
    rows = b",\n".join(b"  " + msgspec.json.encode(entry) for entry in entries)
    (folder / VOCABULARY).write_bytes(b'{"tags": [\n' + rows + b"\n]}\n")
    names = (GRAPH, LABELS, WEIGHTS, VOCABULARY)
    manifest = Manifest(
        name=about.name,
        version=about.version,
        source=about.source,
        licence=about.licence,
        input=network.input,
        activation=head.activation,
        labels=LABELS,
        output=network.output,
        head=Head(WEIGHTS, head.normalize, head.scale, head.bias),
        vocabulary=VOCABULARY,
        combine=None,
        leaf_floor=0.0,
        threshold=threshold,
        sha256={name: sha256_of(folder / name) for name in names},
    )
    (folder / FILE_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
