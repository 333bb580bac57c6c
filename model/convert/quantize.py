"""Static INT8: ranges of activations measured on real photos, weights per output channel."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import onnx
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.calibrate import CalibrationDataReader

from model.convert.graph import MEAN, NORMALISED, PIXELS, SCALE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_KEPT_FLOAT = ["_blocks.0._depthwise_conv", "_blocks.0._project_conv"]
"""The first block loses most by INT8: left in float, the error falls by a fifth for 5 % more time."""


class Normalisation(NamedTuple):
    """What is done to a pixel of 0 to 255: the mean is subtracted, then it is multiplied with the scale."""

    mean: float
    scale: float


_OF_EFFICIENTNET = Normalisation(MEAN, SCALE)


def quantize(
    model: onnx.ModelProto,
    photos: NDArray[np.uint8],
    normalisation: Normalisation = _OF_EFFICIENTNET,
    kept_float: Sequence[str] = _KEPT_FLOAT,
) -> onnx.ModelProto:
    """Turn a float graph into an INT8 one (QDQ, MinMax, per channel) that takes raw pixels.

    The network's own normalisation, ``(pixel - 127) / 128``, *is* a quantisation with scale 1/128 and zero
    point 127. So the input's quantisation is fixed to that, and the raw pixel then replaces the quantised
    value: nothing of the normalisation is left to compute.

    Args:
        model: A graph with the input ``normalised``.
        photos: uint8, shape (photos, size, size, 3); none of them from an evaluation set.
        normalisation: What the network was trained with; a mean that is no whole number is rounded.
        kept_float: Nodes that stay as they are.
    """
    with TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, source)
        quantize_static(
            source,
            target,
            _Photos(photos, normalisation),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(kept_float),
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"TensorQuantOverrides": {NORMALISED: [_input_quantisation(normalisation)]}},
        )
        quantised = onnx.load(target)
    _take_raw_pixels(quantised, photos.shape[1])
    onnx.checker.check_model(quantised)
    return quantised


def _input_quantisation(normalisation: Normalisation) -> dict[str, object]:
    return {
        "quant_type": QuantType.QUInt8,
        "scale": np.array(normalisation.scale, np.float32),
        "zero_point": np.array(round(normalisation.mean), np.uint8),
    }


def _take_raw_pixels(model: onnx.ModelProto, size: int) -> None:
    """Put ``pixels``, uint8 (images, size, size, 3), in the place of the quantised normalised input."""
    graph = model.graph
    (entry,) = [node for node in graph.node if list(node.input)[:1] == [NORMALISED]]
    if entry.op_type != "QuantizeLinear":
        raise ValueError(f"the normalised input feeds a {entry.op_type}: expected QuantizeLinear alone")
    planes = helper.make_node("Transpose", [PIXELS], [entry.output[0]], name="planes", perm=[0, 3, 1, 2])
    graph.node.remove(entry)
    graph.node.insert(0, planes)
    del graph.input[:]
    graph.input.append(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["images", size, size, 3]))


class _Photos(CalibrationDataReader):  # type: ignore[misc]  # the base class comes without types
    """Feeds photos one by one, normalised."""

    def __init__(self, photos: NDArray[np.uint8], normalisation: Normalisation) -> None:
        self._left = iter(photos)
        self._normalisation = normalisation

    def get_next(self) -> dict[str, Any] | None:
        photo = next(self._left, None)
        if photo is None:
            return None
        planes = photo.transpose(2, 0, 1)[None].astype(np.float32)
        mean, scale = self._normalisation
        return {NORMALISED: (planes - np.float32(mean)) * np.float32(scale)}
