"""Write a model folder: graph, labels, vocabulary and the manifest that binds them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from model.convert.words import write_vocabulary
from model.tagger.manifest import FILE_NAME, Input, Manifest, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

    import onnx

    from model.convert.architecture import Variant
    from model.tagger.vocabulary import Entry

VERSION = "1.2.0"
THRESHOLD = 0.18
"""Confidence with the best F1 over all tags of the photos that docs/evaluation.md calls the tuning set."""
LEAF_FLOOR = 0.0
"""To leave out unlikely classes made general tags less likely than they are, on those photos."""
FEATURES = "features"
"""The tensor of the graph before its last layer."""
LICENCE = "Apache-2.0 (weights); ImageNet class names; WordNet 3.0 licence (hypernyms): see NOTICE"


def write_artifact(
    folder: Path,
    variant: Variant,
    graph: onnx.ModelProto | None,
    *,
    labels: list[str],
    entries: list[Entry],
    source: str,
) -> None:
    """Write all files of a model folder, the manifest last.

    Args:
        folder: Made if it does not exist.
        variant: The network's size.
        graph: Takes ``pixels``, gives logits; None to keep the one that is there.
        labels: The name of each output, in order.
        entries: The vocabulary.
        source: Where the weights come from.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if graph is not None:
        (folder / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    (folder / "labels.txt").write_text("\n".join(labels) + "\n", encoding="utf-8")
    write_vocabulary(entries, folder / "vocabulary.json")
    names = ("model.onnx", "labels.txt", "vocabulary.json")
    manifest = Manifest(
        name=f"{variant.name}_int8",
        version=VERSION,
        source=source,
        licence=LICENCE,
        input=Input(variant.size, wide=True, photos=True),
        activation="softmax",
        temperature=variant.temperature,
        labels="labels.txt",
        features=FEATURES,
        vocabulary="vocabulary.json",
        leaf_floor=LEAF_FLOOR,
        threshold=THRESHOLD,
        sha256={name: sha256_of(folder / name) for name in names},
    )
    plain: Any = msgspec.to_builtins(manifest)
    text = msgspec.json.format(msgspec.json.encode(plain), indent=2)
    (folder / FILE_NAME).write_bytes(text + b"\n")
