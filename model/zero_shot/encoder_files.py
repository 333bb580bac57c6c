"""The files of an exported pair of encoders: which tensors to take, how pixels are handed over."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import onnxruntime

from model.tagger.manifest import Input, ManifestError
from model.tagger.network import session_options

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

IMAGE_TENSORS = ("image_embeds", "image_embeddings", "pooler_output")
TEXT_TENSORS = ("text_embeds", "text_embeddings", "pooler_output")
"""What common exports call the embedding, in the order of preference."""
T = TypeVar("T")
_CHANNELS = 3
_CONFIG = "preprocessor_config.json"


@dataclass(frozen=True)
class Pixels:
    """What is said of the pixels on the command line; None: as the files say."""

    size: int | None = None
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


def beside(graph: Path, name: str) -> Path | None:
    """A file beside a graph, or one folder above it, as where graphs have a folder of their own."""
    places = (folder / name for folder in (graph.resolve().parent, graph.resolve().parent.parent))
    return next((path for path in places if path.is_file()), None)


def open_session(graph: Path) -> Any:  # noqa: ANN401 - untyped library
    """Load a graph.

    Raises:
        ManifestError: It cannot be loaded.
    """
    try:
        return onnxruntime.InferenceSession(str(graph), session_options(), providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime's exception classes share no base
        reason = str(error).splitlines()[0][:200]
        raise ManifestError(f"{graph} cannot be loaded ({reason}): name an encoder in ONNX") from error


def embedding_tensor(session: Any, graph: Path, preferred: Sequence[str], named: str | None) -> str:  # noqa: ANN401
    """The output that is the embedding: the one that is named, one with a usual name, or the only one.

    Raises:
        ManifestError: It cannot be told.
    """
    names = [node.name for node in session.get_outputs()]
    if named is not None:
        return named
    found = [name for name in preferred if name in names] or names
    if len(found) > 1 and found == names:
        cure = "say which is the embedding of the whole, with --image-output or --text-output"
        raise ManifestError(f"{graph} has the outputs {', '.join(names)}: {cure}")
    return found[0]


def image_input(session: Any, graph: Path, said: Pixels) -> Input:  # noqa: ANN401
    """How pixels are handed to an image encoder, by its shape and its ``preprocessor_config.json``.

    Raises:
        ManifestError: Neither files nor options tell, or the encoder takes something else.
    """
    (node, *others) = session.get_inputs()
    shape, config = list(node.shape), _read_config(graph)
    if others or len(shape) != 4 or node.type not in {"tensor(float)", "tensor(uint8)"}:  # noqa: PLR2004
        cure = "export the image encoder alone, with pixels as its only input"
        raise ManifestError(f"{graph} takes {[each.name for each in (node, *others)]} {shape}: {cure}")
    layout: Literal["NHWC", "NCHW"] = "NHWC" if shape[3] == _CHANNELS else "NCHW"
    side = shape[1] if layout == "NHWC" else shape[2]
    size = said.size or (side if isinstance(side, int) else _size_of(config))
    if node.type == "tensor(uint8)":
        return Input(_known(size, graph, "--size"), layout=layout)
    return Input(
        _known(size, graph, "--size"),
        layout=layout,
        dtype="float32",
        scale=float(config.get("rescale_factor", 1 / 255)),
        mean=_known(said.mean or _triple(config.get("image_mean")), graph, "--mean"),
        std=_known(said.std or _triple(config.get("image_std")), graph, "--std"),
    )


def _read_config(graph: Path) -> dict[str, Any]:
    path = beside(graph, _CONFIG)
    if path is None:
        return {}
    try:
        found = json.loads(path.read_bytes())
    except ValueError as error:
        raise ManifestError(
            f"{path} is no JSON ({error}): restore it, or give --size, --mean, --std"
        ) from error
    return found if isinstance(found, dict) else {}


def _size_of(config: dict[str, Any]) -> int | None:
    size = config.get("crop_size") or config.get("size")
    if isinstance(size, dict):
        size = size.get("height") or size.get("shortest_edge")
    return size if isinstance(size, int) else None


def _triple(value: object) -> tuple[float, float, float] | None:
    if not isinstance(value, list) or len(value) != _CHANNELS:
        return None
    red, green, blue = map(float, value)
    return red, green, blue


def _known(value: T | None, graph: Path, option: str) -> T:
    if value is None:
        cure = f"put the checkpoint's {_CONFIG} beside it, or give {option}"
        raise ManifestError(f"{graph} does not say how pixels are handed to it: {cure}")
    return value
