"""The ONNX session: pixels in, raw outputs out, and a graph that does not fit its manifest refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime

from model.tagger.cpu import int8_sums_may_overflow
from model.tagger.manifest import ManifestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from model.tagger.manifest import Input

_ONNX_TYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}
_ERRORS_ONLY = 3


class LateNetwork:
    """A network that is loaded when it is first run, so that whoever needs it not has not its memory."""

    def __init__(self, load: Callable[[], Network]) -> None:
        self._load = load
        self._loaded: Network | None = None
        self._loading = threading.Lock()

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """As `Network.run`.

        Raises:
            ManifestError: As `Network` does, at the first run.
        """
        with self._loading:
            network = self._loaded = self._loaded or self._load()
        return network.run(batch)


class Network:
    """A checked graph. Calls from several threads run side by side."""

    def __init__(
        self,
        graph: Path,
        wanted: Input,
        classes: int,
        intra_op_threads: int,
        providers: Sequence[str],
        *,
        at_once: int | None = None,
    ) -> None:
        """Load the graph and compare it with its manifest.

        At most so many images are run at once, where that is said: ONNX Runtime keeps the memory of the
        largest batch.

        Raises:
            ManifestError: The graph cannot be loaded, or its input or output is not what the manifest says.
        """
        self._graph = graph
        self._wanted = wanted
        self._classes = classes
        self._session = _session(graph, intra_op_threads, providers)
        self._input, fixed = _checked_input(self._session, graph, wanted)
        self._output = _checked_output(self._session, graph, classes)
        self._batch = fixed
        self._at_once = at_once
        self._mean = np.array(wanted.mean, np.float32)
        self._std = np.array(wanted.std, np.float32)

    def run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Run the graph.

        Args:
            batch: uint8, shape (images, size, size, 3), RGB.

        Returns:
            float32, shape (images, classes).

        Raises:
            ManifestError: The graph gives another number of outputs than there are labels.
        """
        step = self._batch or self._at_once or len(batch)
        parts = [self._run(batch[start : start + step]) for start in range(0, len(batch), step)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _run(self, batch: NDArray[np.uint8]) -> NDArray[np.float32]:
        short = (self._batch or len(batch)) - len(batch)
        padded = np.concatenate([batch, np.repeat(batch[-1:], short, axis=0)]) if short else batch
        (outputs,) = self._session.run([self._output], {self._input: self._prepared(padded)})
        if outputs.shape != (len(padded), self._classes):
            raise _wrong_output(self._graph, self._output, list(outputs.shape), self._classes)
        found: NDArray[np.float32] = outputs[: len(batch)].astype(np.float32, copy=False)
        return found

    def _prepared(self, batch: NDArray[np.uint8]) -> NDArray[Any]:
        pixels: NDArray[Any] = batch if self._wanted.channels == "rgb" else batch[..., ::-1]
        if self._wanted.dtype == "float32":
            pixels = (pixels * np.float32(self._wanted.scale) - self._mean) / self._std
        if self._wanted.layout == "NCHW":
            pixels = pixels.transpose(0, 3, 1, 2)
        return np.ascontiguousarray(pixels)


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


def _session(graph: Path, intra_op_threads: int, providers: Sequence[str]) -> Any:  # noqa: ANN401 - untyped library
    unknown = sorted(set(providers) - set(onnxruntime.get_available_providers()))
    if unknown:
        there = ", ".join(onnxruntime.get_available_providers())
        raise ManifestError(f"execution provider {unknown[0]!r} is not installed: choose from {there}")
    try:
        return onnxruntime.InferenceSession(
            str(graph), session_options(intra_op_threads), providers=list(providers)
        )
    except Exception as error:  # ONNX Runtime's exception classes share no base
        reason = str(error).splitlines()[0]
        raise ManifestError(f"{graph} cannot be loaded ({reason}): export it to ONNX again") from error


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


def _checked_output(session: Any, graph: Path, classes: int) -> str:  # noqa: ANN401
    node = session.get_outputs()[0]
    width = node.shape[-1] if node.shape else None
    if len(node.shape) not in {0, 2} or (isinstance(width, int) and width != classes):
        raise _wrong_output(graph, node.name, node.shape, classes)
    name: str = node.name
    return name


def _wrong_output(graph: Path, name: str, shape: list[Any], classes: int) -> ManifestError:
    rule = f"with {classes} labels it must be [images, {classes}]"
    return ManifestError(f"{graph} gives {name} of shape {shape}: {rule}; use the labels file of this graph")
