"""The conversion, against a second implementation of the network and on real photos."""

from __future__ import annotations

import io
import math
import os
import pickle
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
import skimage
import sklearn.datasets
from PIL import Image

from model import DEFAULT_ARTIFACT, Tagger, decode
from model.convert.agreement import logits_of, measure
from model.convert.architecture import LITE0, LITE2, Variant, same_padding
from model.convert.artifact import write_artifact
from model.convert.graph import build_graph
from model.convert.legacy_pth import read_legacy_pth
from model.convert.photos import load_pixels, split_photos
from model.convert.quantize import quantize
from model.convert.wheels import weights_of
from model.tagger.manifest import read_labels
from model.tagger.vocabulary import read_entries

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

HERE = Path(__file__).parents[2]
SAMPLES = sorted((HERE / "streams" / "photos").glob("*.jpg"))
SKIMAGE = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "camera.png", "motorcycle_left.png")
SKLEARN = ("china.jpg", "flower.jpg")


def photos() -> list[Path]:
    """Photos that quantisation has not seen: the sample photos, and those of two test dependencies."""
    return [
        *SAMPLES,
        *(Path(skimage.__file__).parent / "data" / name for name in SKIMAGE),
        *(Path(sklearn.datasets.__file__).parent / "images" / name for name in SKLEARN),
    ]


def pixels_of(paths: list[Path], variant: Variant) -> NDArray[np.uint8]:
    return np.stack([decode(path.read_bytes(), variant.size).pixels for path in paths])


@pytest.fixture(scope="module", params=[LITE0, LITE2], ids=lambda variant: variant.name)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture(scope="module")
def weights(variant: Variant) -> dict[str, NDArray[Any]]:
    return read_legacy_pth(weights_of(variant)[0])


class Unfolded:
    """The network as it was trained, batch normalisation apart, in float64 and written a second time.

    It shares no code with the conversion: widths, kernels and residuals are read off the weights, strides off
    the published description, and a convolution is a sum of shifted images.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]]) -> None:
        self.weights = {name: array.astype(np.float64) for name, array in weights.items()}
        names = {name.split(".")[1] for name in weights if name.startswith("_blocks.")}
        self.count = len(names)
        self.strided = self._first_of_widening_stages()

    def logits(self, pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
        """One image: uint8 (size, size, 3) in, 1000 numbers out."""
        x = (pixels.astype(np.float64).transpose(2, 0, 1) - 127.0) / 128.0
        x = self._relu6(self._norm(self._conv(x, "_conv_stem", 2), "_bn0"))
        for block in range(self.count):
            x = self._block(x, f"_blocks.{block}", 2 if block in self.strided else 1)
        x = self._relu6(self._norm(self._conv(x, "_conv_head", 1), "_bn1"))
        result: NDArray[np.float64] = (
            self.weights["_fc.weight"] @ x.mean(axis=(1, 2)) + self.weights["_fc.bias"]
        )
        return result

    def _block(self, x: NDArray[np.float64], name: str, stride: int) -> NDArray[np.float64]:
        y = x
        if f"{name}._expand_conv.weight" in self.weights:
            y = self._relu6(self._norm(self._conv(y, f"{name}._expand_conv", 1), f"{name}._bn0"))
        y = self._relu6(self._norm(self._conv(y, f"{name}._depthwise_conv", stride), f"{name}._bn1"))
        y = self._norm(self._conv(y, f"{name}._project_conv", 1), f"{name}._bn2")
        return x + y if x.shape == y.shape else y

    def _norm(self, x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        mean, var, gamma, beta = (
            self.weights[f"{name}.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        return (x - mean) / np.sqrt(var + 1e-3) * gamma + beta

    def _conv(self, x: NDArray[np.float64], name: str, stride: int) -> NDArray[np.float64]:
        kernel = self.weights[f"{name}.weight"]
        side, taps = x.shape[1], kernel.shape[2]
        out = math.ceil(side / stride)
        total = max((out - 1) * stride + taps - side, 0)
        x = np.pad(x, ((0, 0), (total // 2, total - total // 2), (total // 2, total - total // 2)))
        y = np.zeros((len(kernel), out, out))
        for row in range(taps):
            for column in range(taps):
                shifted = x[:, row : row + out * stride : stride, column : column + out * stride : stride]
                tap = kernel[:, :, row, column]
                deep = kernel.shape[1] == 1
                y += (
                    tap[:, :, None] * shifted[:, :out, :out]
                    if deep
                    else np.tensordot(tap, shifted[:, :out, :out], 1)
                )
        return y

    def _relu6(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        return x.clip(0, 6)

    def _first_of_widening_stages(self) -> set[int]:
        """Find the blocks that halve the image: the first of stages 2, 3, 4 and 6, where widths change."""
        widths = [len(self.weights[f"_blocks.{block}._project_conv.weight"]) for block in range(self.count)]
        starts = [0] + [block for block in range(1, self.count) if widths[block] != widths[block - 1]]
        return {starts[stage] for stage in (1, 2, 3, 5)}


@pytest.mark.slow
def test_the_graph_is_the_network(variant: Variant, weights: dict[str, NDArray[Any]]) -> None:
    """The folded float32 graph gives the unfolded network's logits to within 0.0001 on real photos."""
    pixels = pixels_of(photos()[4:7], variant)
    network = Unfolded(weights)
    expected = np.stack([network.logits(image) for image in pixels])
    found = logits_of(build_graph(weights, variant, from_pixels=True), pixels)
    largest = float(np.abs(found - expected).max())
    sys.stdout.write(f"{variant.name}: max |difference of logits| = {largest:.1e}\n")
    assert largest < 1e-4
    assert (found.argmax(axis=1) == expected.argmax(axis=1)).all()


@pytest.mark.slow
def test_int8_agrees_with_float(variant: Variant, weights: dict[str, NDArray[Any]]) -> None:
    """The shipped INT8 graph names the float graph's best class nearly always where that one is sure."""
    shipped = onnx.load(DEFAULT_ARTIFACT.with_name(f"{variant.name}_int8") / "model.onnx")
    agreement = measure(
        build_graph(weights, variant, from_pixels=True), shipped, pixels_of(photos(), variant)
    )
    sys.stdout.write(f"{variant.name}: {agreement}\n")
    assert agreement.sure_photos >= 10
    assert agreement.sure >= 0.97
    assert agreement.overall >= 0.8


def test_every_weight_is_used(weights: dict[str, NDArray[Any]], variant: Variant) -> None:
    """A weight without a place in the network stops the conversion, and so does one that is missing."""
    with pytest.raises(ValueError, match="1 weights have no place in the network: _extra"):
        build_graph({**weights, "_extra.weight": np.zeros(3, np.float32)}, variant, from_pixels=True)
    with pytest.raises(KeyError, match="_bn1"):
        build_graph({k: v for k, v in weights.items() if k != "_bn1.weight"}, variant, from_pixels=True)


@pytest.mark.parametrize(
    ("size", "kernel", "stride"), [(224, 3, 2), (260, 3, 2), (65, 3, 2), (33, 5, 2), (17, 5, 1)]
)
def test_same_padding(size: int, kernel: int, stride: int) -> None:
    """SAME padding gives ceil(size / stride) outputs, and an odd zero goes after the image."""
    before, after = same_padding(size, kernel, stride)
    assert (size + before + after - kernel) // stride + 1 == math.ceil(size / stride)
    assert before <= after <= before + 1


class Harmful:
    """Unpickled, it would call a function."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.getenv, ("HOME",)


def test_a_weights_file_cannot_call_anything(tmp_path: Path) -> None:
    """A weights file that names a function other than the three known ones is refused unread."""
    file = io.BytesIO()
    for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {"weight": Harmful()}):
        pickle.dump(part, file, 2)
    (tmp_path / "weights.pth").write_bytes(file.getvalue())
    with pytest.raises(pickle.UnpicklingError, match="is not on the list"):
        read_legacy_pth(tmp_path / "weights.pth")


def test_another_format_is_refused(tmp_path: Path) -> None:
    """A file that is no legacy .pth file is told so."""
    (tmp_path / "weights.pth").write_bytes(pickle.dumps(42))
    with pytest.raises(ValueError, match="starts with 42"):
        read_legacy_pth(tmp_path / "weights.pth")


def test_photos_are_split_for_good(tmp_path: Path) -> None:
    """Photos to calibrate with and to judge with are disjoint, and the same each time; copies count once."""
    for number in range(20):
        Image.new("RGB", (200, 200), (number * 12, 0, 0)).save(tmp_path / f"{number}.jpg", quality=100)
    (tmp_path / "copies").mkdir()
    shutil.copy(tmp_path / "3.jpg", tmp_path / "copies" / "again.jpg")
    Image.new("RGB", (400, 400)).save(tmp_path / "drawing.png")
    calibration, rest = split_photos([tmp_path], 15)
    assert (len(calibration), len(rest)) == (15, 5)
    assert not set(calibration) & set(rest)
    assert split_photos([tmp_path], 15) == (calibration, rest)


@pytest.mark.slow
def test_a_folder_from_beginning_to_end(tmp_path: Path) -> None:
    """Weights, photos and words become a folder that the tagger loads and that knows a koala."""
    weights = read_legacy_pth(weights_of(LITE0)[0])
    graph = quantize(build_graph(weights, LITE0, from_pixels=False), load_pixels(SAMPLES, LITE0.size))
    labels = read_labels(DEFAULT_ARTIFACT / "labels.txt")
    entries = read_entries(DEFAULT_ARTIFACT / "vocabulary.json", labels)
    write_artifact(tmp_path / "new", LITE0, graph, labels=labels, entries=entries, source="a test")
    tagger = Tagger.load(tmp_path / "new")
    (tags,) = tagger.tag([(HERE / "streams" / "photos" / "koala.jpg").read_bytes()])
    assert (tagger.name, tags[0].name) == ("efficientnet_lite0_int8", "koala")
