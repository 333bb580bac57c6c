"""The ONNX session: pixels in, raw outputs out, and a graph that does not fit its manifest refused."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnxruntime

from model.tagger.cpu import int8_sums_may_overflow
from model.tagger.inner_outputs import with_outputs
from model.tagger.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.manifest import Input

_ONNX_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
_ERRORS_ONLY = 3
_PROCESSOR_ALONE = ("CPUExecutionProvider",)


class Output(NamedTuple):
    """A tensor of a graph, flattened: its name, and how many numbers it has for an image.

    None in place of a name stands for the graph's first output.
    """

    name: str | None
    width: int


class Network:
    """A checked graph. Calls from several threads run side by side."""

    def __init__(
        self,
        graph: Path,
        wanted: Input,
        outputs: Sequence[Output],
        intra_op_threads: int,
        providers: Sequence[str],
    ) -> None:
        """Load the graph and compare it with its manifest.

        On a processor alone each image is run by itself: a batch takes as long as its images, and ONNX
        Runtime keeps the memory of the largest one.

        Raises:
            ManifestError: The graph cannot be loaded, or its input or output is not what the manifest says.
        """
        self._graph = graph
        self._wanted = wanted
        self._session = _session(graph, outputs, intra_op_threads, providers)
        self._input, fixed = _checked_input(self._session, graph, wanted)
        self._outputs = [_checked_output(self._session, graph, output) for output in outputs]
        self._batch = fixed
        self._at_once = 1 if tuple(providers) == _PROCESSOR_ALONE else None

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            batch: uint8, shape (images, size, size, 3), RGB.

        Returns:
            float32, shape (images, numbers): all outputs, one beside the other.

        Raises:
            ManifestError: The graph gives an output of another shape than was said.
        """
        step = self._batch or self._at_once or len(batch)
        parts = [self._run(batch[start : start + step]) for start in range(0, len(batch), step)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        short = (self._batch or len(batch)) - len(batch)
        padded = np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)]) if short else batch
        names = [name for name, _ in self._outputs]
        found = self._session.run(names, {self._input: prepared(padded, self._wanted)})
        rows = [self._rows(*each, len(padded)) for each in zip(self._outputs, found, strict=True)]
        return (rows[0] if len(rows) == 1 else np.concatenate(rows, axis=1))[: len(batch)]

    def _rows(self, output: tuple[str, int], found: NDArray[Any], images: int) -> NDArray[np.float32]:
        name, width = output
        if not found.ndim or len(found) != images or found.size != images * width:
            raise _wrong_output(self._graph, name, list(found.shape), width)
        return found.reshape(images, width).astype(np.float32, copy=False)


def prepared(batch: NDArray[np.uint8], wanted: Input) -> NDArray[Any]:
    """Pixels as a graph takes them, from uint8, shape (images, size, size, 3), RGB."""
    pixels: NDArray[Any] = batch if wanted.channels == "rgb" else batch[..., ::-1]
    if wanted.dtype == "float32":
        mean, std = np.array(wanted.mean, np.float32), np.array(wanted.std, np.float32)
        pixels = (pixels * np.float32(wanted.scale) - mean) / std
    if wanted.layout == "NCHW":
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels)


def width_of(graph: Path, wanted: Input, tensor: str | None, providers: Sequence[str]) -> int:
    """How many numbers a tensor has for an image; None stands for the graph's first output.

    Raises:
        ManifestError: The graph cannot be loaded, takes another input, or has no such tensor.
    """
    session = _session(graph, [Output(tensor, 0)], 1, providers)
    name, batch = _checked_input(session, graph, wanted)
    shape = (wanted.size, wanted.size, 3) if wanted.layout == "NHWC" else (3, wanted.size, wanted.size)
    pixels = np.zeros((batch or 1, *shape), wanted.dtype)
    (found,) = session.run([tensor or session.get_outputs()[0].name], {name: pixels})
    return int(found.size) // len(pixels)


def session_options(intra_op_threads: int = 1) -> Any:  # noqa: ANN401 - untyped library
    """ONNX Runtime's options as every network here runs: exact INT8 sums, no thread that spins."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    # Threads that spin between calls would take the cores that other images are decoded on.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if int8_sums_may_overflow():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _session(  # untyped library
    graph: Path, outputs: Sequence[Output], intra_op_threads: int, providers: Sequence[str]
) -> Any:  # noqa: ANN401
    unknown = sorted(set(providers) - set(onnxruntime.get_available_providers()))
    if unknown:
        there = ", ".join(onnxruntime.get_available_providers())
        raise ManifestError(f"execution provider {unknown[0]!r} is not installed: choose from {there}")

    def load(source: str | bytes) -> Any:  # noqa: ANN401
        return onnxruntime.InferenceSession(
            source, session_options(intra_op_threads), providers=list(providers)
        )

    try:
        session = load(str(graph))
    except Exception as error:  # ONNX Runtime's exception classes share no base
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{graph} cannot be loaded ({reason}): export it to ONNX again") from error
    given = {node.name for node in session.get_outputs()}
    inner = [name for name, _ in outputs if name is not None and name not in given]
    if not inner:
        return session
    del session
    try:
        return load(with_outputs(graph.read_bytes(), dict.fromkeys(inner)))
    except Exception as error:
        reason = str(error).splitlines()[0][:200]
        cure = "name a tensor that the graph has, as its exporter or a viewer of graphs shows it"
        raise ManifestError(f"{graph} does not give {', '.join(inner)} ({reason}): {cure}") from error


def _checked_input(session: Any, graph: Path, wanted: Input) -> tuple[str, int | None]:  # noqa: ANN401
    """Return the input's name, and its batch size where the graph fixes one."""
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(node.name for node in inputs)
        raise ManifestError(f"{graph} has {len(inputs)} inputs ({names}): export it with one, the pixels")
    (node,) = inputs
    if node.type != _ONNX_TYPES[wanted.dtype]:
        cure = "change input.dtype or export the graph again"
        raise ManifestError(f"{graph} takes {node.type}, but its manifest says {wanted.dtype}: {cure}")
    side = wanted.size
    shape = [side, side, 3] if wanted.layout == "NHWC" else [3, side, side]
    fits = len(node.shape) == len(shape) + 1 and all(
        not isinstance(got, int) or got == want for got, want in zip(node.shape[1:], shape, strict=True)
    )
    if not fits:
        cure = "change input.size or input.layout"
        raise ManifestError(f"{graph} takes {node.shape}, but its manifest says [images, *{shape}]: {cure}")
    batch = node.shape[0]
    return node.name, batch if isinstance(batch, int) else None


def _checked_output(session: Any, graph: Path, output: Output) -> tuple[str, int]:  # noqa: ANN401
    """Return the output's name and width."""
    nodes = {node.name: node for node in session.get_outputs()}
    node = session.get_outputs()[0] if output.name is None else nodes[output.name]
    sizes = [size for size in node.shape[1:] if isinstance(size, int)]
    known = node.shape and len(sizes) == len(node.shape) - 1
    if len(node.shape) == 1 or (known and math.prod(sizes) != output.width):
        raise _wrong_output(graph, node.name, node.shape, output.width)
    return node.name, output.width


def _wrong_output(graph: Path, name: str, shape: list[Any], width: int) -> ManifestError:
    rule = f"with {width} labels, or features of a head, it must be [images, {width}]"
    return ManifestError(f"{graph} gives {name} of shape {shape}: {rule}; use the files of this graph")
