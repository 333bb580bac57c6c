"""EfficientNet-Lite as a list of blocks.

The figures are those of Google's ``efficientnet_lite_builder.py`` (Tan and Le, "EfficientNet: Rethinking
Model Scaling for Convolutional Neural Networks", 2019): no squeeze-and-excitation, relu6, a stem and a head
that do not scale with the model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

BATCH_NORM_EPSILON = 1e-3
"""TensorFlow's value, kept in the PyTorch copy of the weights."""

_STAGES = (  # repeats, kernel, stride, expansion, inputs, outputs
    (1, 3, 1, 1, 32, 16),
    (2, 3, 2, 6, 16, 24),
    (2, 5, 2, 6, 24, 40),
    (3, 3, 2, 6, 40, 80),
    (3, 5, 1, 6, 80, 112),
    (4, 5, 2, 6, 112, 192),
    (1, 3, 1, 6, 192, 320),
)


@dataclass(frozen=True)
class Variant:
    """One size of the network; ``temperature`` was fitted to photos outside the training data."""

    name: str
    width: float
    depth: float
    size: int
    temperature: float


@dataclass(frozen=True)
class Block:
    """One inverted bottleneck: expand, depthwise, project, and add the input where shapes allow."""

    kernel: int
    stride: int
    expands: bool
    residual: bool


LITE0 = Variant("efficientnet_lite0", 1.0, 1.0, 224, 0.762)
LITE2 = Variant("efficientnet_lite2", 1.1, 1.2, 260, 0.659)
VARIANTS = {variant.name: variant for variant in (LITE0, LITE2)}


def blocks(variant: Variant) -> list[Block]:
    """List a variant's blocks in the order of their numbers in the weights file."""
    found = []
    for stage, (repeats, kernel, stride, expansion, inputs, outputs) in enumerate(_STAGES):
        fixed = stage in {0, len(_STAGES) - 1}
        count = repeats if fixed else math.ceil(repeats * variant.depth)
        wide_in = inputs if stage == 0 else _channels(inputs, variant.width)
        wide_out = _channels(outputs, variant.width)
        for repeat in range(count):
            first = repeat == 0
            step = stride if first else 1
            residual = step == 1 and (wide_in == wide_out or not first)
            found.append(Block(kernel, step, expansion != 1, residual))
    return found


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding: how many zeros before and after, with the odd one after."""
    total = max((math.ceil(size / stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def _channels(count: int, width: float) -> int:
    """Scale a number of channels, to a multiple of 8 and never more than a tenth down."""
    scaled = count * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded
