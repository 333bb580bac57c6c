"""Write EfficientNet-Lite as an ONNX graph, with each batch normalisation folded into its convolution."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.convert.architecture import BATCH_NORM_EPSILON, Variant, blocks, same_padding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

OPSET = 17
IR_VERSION = 8
MEAN = 127.0
"""Subtracted from each pixel."""
SCALE = 1 / 128
"""Then multiplied with it: the normalisation that the weights were trained with."""

NORMALISED = "normalised"
PIXELS = "pixels"
LOGITS = "logits"


def build_graph(
    weights: Mapping[str, NDArray[Any]], variant: Variant, *, from_pixels: bool
) -> onnx.ModelProto:
    """Write the network.

    Args:
        weights: The state dict of the PyTorch package.
        variant: Its size.
        from_pixels: Take ``pixels``, uint8 (images, size, size, 3), and normalise inside; otherwise take
            ``normalised``, float32 (images, 3, size, size), which is what quantisation starts from.

    Returns:
        A checked model whose output is ``logits``, float32 (images, classes).

    Raises:
        ValueError: A weight of the state dict has no place in the network.
    """
    writer = _Writer(weights, variant.size)
    current = writer.normalise(PIXELS) if from_pixels else NORMALISED
    current = writer.convolve(current, "_conv_stem", "_bn0", kernel=3, stride=2, relu=True)
    for number, block in enumerate(blocks(variant)):
        prefix, entry = f"_blocks.{number}.", current
        if block.expands:
            current = writer.convolve(current, f"{prefix}_expand_conv", f"{prefix}_bn0", relu=True)
        current = writer.convolve(
            current,
            f"{prefix}_depthwise_conv",
            f"{prefix}_bn1",
            kernel=block.kernel,
            stride=block.stride,
            relu=True,
        )
        current = writer.convolve(current, f"{prefix}_project_conv", f"{prefix}_bn2")
        if block.residual:
            current = writer.node("Add", [current, entry], f"{prefix}sum")
    current = writer.convolve(current, "_conv_head", "_bn1", relu=True)
    writer.classify(current, "_fc")
    writer.check_all_used()
    return writer.model(variant, from_pixels=from_pixels)


class _Writer:
    """Collects nodes and initialisers, and remembers which weights were used."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], size: int) -> None:
        self._weights = weights
        self._size = size
        self._unused = {name for name in weights if not name.endswith("num_batches_tracked")}
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: list[str], output: str, **attributes: object) -> str:
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, value: NDArray[Any] | np.generic) -> str:
        if all(known.name != name for known in self._constants):
            self._constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def normalise(self, pixels: str) -> str:
        planes = self.node("Transpose", [pixels], "planes", perm=[0, 3, 1, 2])
        floats = self.node("Cast", [planes], "floats", to=TensorProto.FLOAT)
        mean, scale = self.constant("mean", np.float32(MEAN)), self.constant("scale", np.float32(SCALE))
        centred = self.node("Sub", [floats, mean], "centred")
        return self.node("Mul", [centred, scale], NORMALISED)

    def convolve(
        self, current: str, conv: str, norm: str, *, kernel: int = 1, stride: int = 1, relu: bool = False
    ) -> str:
        weight, bias = self._folded(conv, norm)
        before, after = same_padding(self._size, kernel, stride)
        self._size = math.ceil(self._size / stride)
        inputs = [current, self.constant(f"{conv}.weight", weight), self.constant(f"{conv}.bias", bias)]
        output = self.node(
            "Conv",
            inputs,
            conv,
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[before, before, after, after],
            group=len(weight) if "depthwise" in conv else 1,
        )
        if not relu:
            return output
        limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
        return self.node("Clip", [output, *limits], f"{conv}.relu6")

    def classify(self, current: str, dense: str) -> None:
        pooled = self.node("GlobalAveragePool", [current], "pooled")
        flat = self.node("Flatten", [pooled], "features")
        weight, bias = self._take(f"{dense}.weight"), self._take(f"{dense}.bias")
        inputs = [flat, self.constant(f"{dense}.weight", weight), self.constant(f"{dense}.bias", bias)]
        self.node("Gemm", inputs, LOGITS, transB=1)

    def check_all_used(self) -> None:
        if self._unused:
            left = ", ".join(sorted(self._unused)[:5])
            raise ValueError(f"{len(self._unused)} weights have no place in the network: {left}")

    def model(self, variant: Variant, *, from_pixels: bool) -> onnx.ModelProto:
        side = variant.size
        pixels = helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, ["images", side, side, 3])
        floats = helper.make_tensor_value_info(NORMALISED, TensorProto.FLOAT, ["images", 3, side, side])
        classes = len(self._weights["_fc.bias"])
        logits = helper.make_tensor_value_info(LOGITS, TensorProto.FLOAT, ["images", classes])
        entry = pixels if from_pixels else floats
        graph = helper.make_graph(self._nodes, variant.name, [entry], [logits], self._constants)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="tagstream"
        )
        onnx.checker.check_model(model)
        return model

    def _take(self, name: str) -> NDArray[np.float32]:
        self._unused.discard(name)
        taken: NDArray[np.float32] = self._weights[name]
        return taken

    def _folded(self, conv: str, norm: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Fold ``gamma * (Wx - mean) / sqrt(var + eps) + beta`` into one weight and one bias, in float64."""
        weight = self._take(f"{conv}.weight").astype(np.float64)
        gamma, beta = self._take(f"{norm}.weight"), self._take(f"{norm}.bias")
        mean, var = self._take(f"{norm}.running_mean"), self._take(f"{norm}.running_var")
        factor = gamma / np.sqrt(var.astype(np.float64) + BATCH_NORM_EPSILON)
        folded = weight * factor[:, None, None, None]
        return folded.astype(np.float32), (beta - mean * factor).astype(np.float32)
