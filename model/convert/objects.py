"""Rebuild the shipped detector.

    python -m model.convert.objects FROZEN_GRAPH --photos FOLDER

MODEL_CARD.md in the package above says where the graph and the photos come from, and what it needs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from model.convert.detector import LABELS, PEOPLE, SHA256, SIZE, build_detector, kept_float
from model.convert.photos import load_pixels
from model.convert.quantize import Normalisation, quantize
from model.objects.objects import DETECTOR
from model.tagger.manifest import FILE_NAME, Input, Manifest, sha256_of
from model.tagger.vocabulary import Entry, VocabularyFile

if TYPE_CHECKING:
    import onnx

NORMALISATION = Normalisation(127.5, 1 / 127.5)
VERSION = "1.0.0"
SOURCE = (
    f"TensorFlow's detection model zoo, ssd_mobilenet_v2_coco_2018_03_29, frozen graph of SHA-256 {SHA256}"
)
LICENCE = "Apache-2.0 (TensorFlow authors): see NOTICE"
TEMPERATURE = 0.8
THRESHOLD = 0.5


def main(arguments: list[str] | None = None) -> int:
    """Convert the graph, quantise it and write its folder."""
    options = _parser().parse_args(arguments)
    model = build_detector(options.frozen)
    photos = sorted(path for path in options.photos.iterdir() if path.is_file())
    graph = quantize(model, load_pixels(photos, SIZE), NORMALISATION, kept_float(model))
    write_detector(options.into, graph)
    return 0


def write_detector(folder: Path, graph: onnx.ModelProto) -> None:
    """Write all files of the model folder, the manifest last."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(graph.SerializeToString(deterministic=True))
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    vocabulary = VocabularyFile(_entries(), "labels of COCO; words above them by hand")
    (folder / "vocabulary.json").write_bytes(_json(vocabulary))
    manifest = Manifest(
        name=folder.name,
        version=VERSION,
        source=SOURCE,
        licence=LICENCE,
        input=Input(SIZE),
        activation="sigmoid",
        temperature=TEMPERATURE,
        labels="labels.txt",
        vocabulary="vocabulary.json",
        leaf_floor=0.0,
        floor=0.05,
        threshold=THRESHOLD,
        sha256={name: sha256_of(folder / name) for name in ("model.onnx", "labels.txt", "vocabulary.json")},
    )
    (folder / FILE_NAME).write_bytes(_json(manifest))


def _entries() -> list[Entry]:
    """One tag per class, and the word above the vehicles."""
    vehicles = tuple(index for index, label in enumerate(LABELS) if label not in {"person", PEOPLE})
    return [*(Entry(label, (index,)) for index, label in enumerate(LABELS)), Entry("vehicle", vehicles)]


def _json(value: object) -> bytes:
    plain: Any = msgspec.to_builtins(value)
    return msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m model.convert.objects", description="Rebuild the shipped detector."
    )
    parser.add_argument("frozen", type=Path, help="frozen_inference_graph.pb")
    parser.add_argument(
        "--photos", type=Path, required=True, metavar="FOLDER", help="photos to calibrate with"
    )
    parser.add_argument("--into", type=Path, default=DETECTOR, help="where the model folder goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
