"""Folders whose head stands behind the network that comes along."""

from pathlib import Path

import numpy as np

from model import DEFAULT_ARTIFACT
from model.tagger.head import table_of
from model.tagger.manifest import Input
from model.tagger.vocabulary import Entry
from model.tagger.writing import About, HeadFile, Network, write_folder

ABOUT = About("own", "1", "a test", "none")


def write_head(
    folder: Path, output: str | None = "features", labels: tuple[str, ...] = ("one", "two")
) -> Path:
    """A head of chance weights on a tensor of the default network."""
    width = 1280 if output == "features" else 1000
    weights = np.random.default_rng(0).normal(0, 0.1, (len(labels), width))
    network = Network(DEFAULT_ARTIFACT / "model.onnx", Input(260, wide=True, photos=True), output)
    head = HeadFile(table_of(weights, np.array([0.5] * len(labels))), "sigmoid")
    entries = [Entry(label, (index,)) for index, label in enumerate(labels)]
    write_folder(folder, ABOUT, network, head, labels=labels, entries=entries, threshold=0.5)
    return folder
