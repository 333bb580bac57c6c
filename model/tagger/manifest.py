"""The manifest of a model folder: what the graph wants, what its outputs mean, and that no file was swapped.

README.md in this package documents the fields for people who bring their own model.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec

FILE_NAME = "manifest.json"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
Tensor = Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
Triple = tuple[float, float, float]


class ManifestError(ValueError):
    """A model folder cannot be used as it is; the message names the value, the rule and the cure."""


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How pixels are handed to the graph: ``(pixel * scale - mean) / std`` where it wants floats.

    Attributes:
        crops: 3 for a model that looks at long images as three squares, see :class:`model.View`.
        wide: Whether it looks at images more than twice as long as high as a whole and as three squares.
        photos: Whether it knows photos alone: noise and plain areas are nothing to it, see ``blank.py``.
    """

    size: Annotated[int, msgspec.Meta(ge=16, le=2048)]
    crops: Literal[1, 3] = 1
    wide: bool = False
    photos: bool = False
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    dtype: Literal["uint8", "float32"] = "uint8"
    channels: Literal["rgb", "bgr"] = "rgb"
    scale: float = 1.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)

    def __post_init__(self) -> None:
        """Refuse a normalisation that cannot be applied."""
        if 0.0 in self.std:
            raise ValueError(f"std is {self.std}, but no channel's deviation may be 0")
        plain = self.scale == 1.0 and self.mean == (0.0, 0.0, 0.0) and self.std == (1.0, 1.0, 1.0)
        if self.dtype == "uint8" and not plain:
            raise ValueError("scale, mean and std need dtype float32; a uint8 input normalises in its graph")


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A linear layer behind the graph, whose output is then no classes but features: see ``head.py``.

    Attributes:
        weights: Name of a ``.npy`` file.
        normalize: Scale the features of each image to length 1 first.
        scale: Multiplies what the weights give.
        bias: Is added then.
    """

    weights: str
    normalize: bool = False
    scale: float = 1.0
    bias: float = 0.0


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One model folder.

    Attributes:
        output: The tensor of the graph that is taken; None: its first output.
        head: What makes classes of it; None: it gives classes itself.
        features: A tensor that says what the network sees, for heads of one's own.
    """

    name: Name
    version: Name
    source: str
    licence: str
    input: Input
    activation: Literal["softmax", "sigmoid", "none"]
    labels: str
    sha256: dict[str, Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]]
    graph: str = "model.onnx"
    output: Tensor | None = None
    head: Head | None = None
    features: Tensor | None = None
    vocabulary: str | None = None
    temperature: Annotated[float, msgspec.Meta(gt=0.0, le=100.0)] = 1.0
    combine: Literal["sum", "max"] | None = None
    leaf_floor: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.01
    floor: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.01
    decrease_parents: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    threshold: Annotated[float, msgspec.Meta(ge=0.0, lt=1.0)] = 0.5

    def files(self) -> list[str]:
        """The files that belong to the model, beside the manifest itself."""
        weights = self.head.weights if self.head else None
        names = (self.graph, self.labels, self.vocabulary, weights)
        return [name for name in names if name is not None]

    def sums(self) -> bool:
        """Whether a general tag adds up its classes' probabilities (or takes the greatest)."""
        return self.combine == "sum" or (self.combine is None and self.activation == "softmax")


def read_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest and check that its files are there and unchanged.

    Raises:
        ManifestError: A file is missing, a field breaks its rule, or a checksum differs.
    """
    path = folder / FILE_NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        cure = "point to a folder that has one (model/README.md describes it)"
        raise ManifestError(f"no manifest at {path} ({error.strerror}): {cure}") from error
    try:
        manifest = msgspec.json.decode(raw, type=Manifest)
    except msgspec.DecodeError as error:
        cure = "correct it as model/README.md describes"
        raise ManifestError(f"{path} breaks a rule: {error}; {cure}") from error
    for name in manifest.files():
        _check_file(folder, name, manifest.sha256.get(name))
    return manifest


def read_labels(path: Path) -> list[str]:
    """Read one label per line, in the order of the graph's outputs.

    Raises:
        ManifestError: A line is empty or longer than a tag may be.
    """
    try:
        labels = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    except UnicodeDecodeError as error:
        raise ManifestError(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it so"
        ) from error
    for number, label in enumerate(labels, 1):
        if not 1 <= len(label.strip()) <= 255:  # noqa: PLR2004 - the longest tag that other tools accept
            rule = "a label has 1 to 255 characters"
            raise ManifestError(f"{path} line {number} is {label[:40]!r}: {rule}; correct or remove the line")
    return [label.strip() for label in labels]


def sha256_of(path: Path) -> str:
    """Return a file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_file(folder: Path, name: str, expected: str | None) -> None:
    if Path(name).name != name or name == FILE_NAME:
        cure = "put the file there and name it without a path"
        raise ManifestError(f"file {name!r}: a model's files lie beside their {FILE_NAME}; {cure}")
    if expected is None:
        cure = f'add "{name}": "<its SHA-256>" to sha256'
        raise ManifestError(f"{folder / FILE_NAME} has no checksum of {name}: every file needs one; {cure}")
    path = folder / name
    if not path.is_file():
        cure = f"put it there or name another file in {FILE_NAME}"
        raise ManifestError(f"{path} is missing: the manifest names it; {cure}")
    if (found := sha256_of(path)) != expected:
        cure = "restore the file, or update the checksum if you changed it yourself"
        raise ManifestError(f"{path} has SHA-256 {found}, but its manifest says {expected}: {cure}")
