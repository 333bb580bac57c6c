"""Heads behind a network, tensors inside a graph as outputs, and folders that share a network."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.own.heads import write_head

from model import DEFAULT_ARTIFACT, ManifestError, Tagger
from model.tagger.head import LinearHead, read_head, table_of
from model.tagger.manifest import Head
from streams.tag.inference import Request, infer

PHOTOS = sorted((Path(__file__).parents[2] / "streams" / "photos").glob("*.jpg"))


def pixels(count: int) -> np.ndarray:
    """Coarse patches: fine noise is no picture to the default network."""
    patches = np.random.default_rng(1).integers(0, 256, (count, 13, 13, 3), np.uint8)
    return patches.repeat(20, axis=1).repeat(20, axis=2)


def refusal(folder: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        Tagger.load(folder)
    return str(caught.value)


def change(folder: Path, **fields: object) -> None:
    manifest = json.loads((folder / "manifest.json").read_bytes()) | fields
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_head_takes_a_tensor_from_inside_the_graph(tmp_path: Path) -> None:
    """Its probabilities are the sigmoid of weights times that tensor plus bias, and its tags follow."""
    tagger = Tagger.load(write_head(tmp_path / "own"))
    images = pixels(3)
    features = tagger.outputs([image[None] for image in images])
    assert features.shape == (3, tagger.width) == (3, 1280)
    table = np.load(tmp_path / "own" / "head.npy")
    expected = 1 / (1 + np.exp(-(features @ table[:, :-1].T + table[:, -1])))
    assert tagger.probabilities(images) == pytest.approx(expected, abs=1e-5)
    assert {tag.name for tag in tagger.tag_pixels(images)[0]} <= {"one", "two"}


def test_folders_of_one_graph_run_it_once(tmp_path: Path) -> None:
    """Whatever they take of it, each gets what it gets alone, to the bit."""
    own, other = write_head(tmp_path / "own"), write_head(tmp_path / "other", None)
    default, features, logits = Tagger.load_all([DEFAULT_ARTIFACT, own, other])
    assert default.source is features.source is logits.source
    requests = [Request(["d", "f", "l"], {default.source.view: image[None]}) for image in pixels(2)]
    together = infer({"d": default, "f": features, "l": logits}, requests)
    alone = {"d": Tagger.load(), "f": Tagger.load(own), "l": Tagger.load(other)}
    assert len({tagger.source for tagger in alone.values()}) == 3
    assert together == infer(alone, requests)


def test_other_pixels_are_another_run(tmp_path: Path) -> None:
    """A folder with the same graph that looks at images otherwise does not share it."""
    folder = write_head(tmp_path / "own")
    change(folder, input={"size": 260, "crops": 3})
    default, own = Tagger.load_all([DEFAULT_ARTIFACT, folder])
    assert default.source is not own.source


def test_embeddings_are_compared_by_their_angle() -> None:
    """With `normalize` the length of what the network gives has no say; scale and bias come after."""
    head = Head("head.npy", normalize=True, scale=10, bias=-5)
    layer = LinearHead(table_of(np.eye(2), np.zeros(2)), head)
    found = layer.apply(np.array([[3.0, 4.0], [0.3, 0.4], [0.0, 0.0]], np.float32))
    assert found == pytest.approx(np.array([[1.0, 3.0], [1.0, 3.0], [-5.0, -5.0]]), abs=1e-5)


def test_an_unknown_tensor_is_refused(tmp_path: Path) -> None:
    folder = write_head(tmp_path / "own")
    change(folder, output="fetures")
    assert "does not give fetures" in refusal(folder)
    assert "name a tensor that the graph has" in refusal(folder)


def test_a_head_of_another_network_is_refused(tmp_path: Path) -> None:
    """Its weights are for 1,280 features; the graph's output has 1,000 numbers."""
    folder = write_head(tmp_path / "own")
    change(folder, output=None)
    assert "it must be [images, 1280]" in refusal(folder)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        (np.zeros((3, 5), np.float32), "with 2 labels it must be float32"),
        (np.zeros((2, 5), np.float64), "float64 [2, 5]"),
        (np.zeros((2, 1), np.float32), "float32 [2, 1]"),
        (np.full((2, 5), np.nan, np.float32), "not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, table: np.ndarray, fault: str) -> None:
    np.save(tmp_path / "head.npy", table)
    with pytest.raises(ManifestError) as caught:
        read_head(tmp_path / "head.npy", Head("head.npy"), 2)
    assert fault in str(caught.value)
    assert "build it anew" in str(caught.value)


def test_weights_are_no_program(tmp_path: Path) -> None:
    """A file of pickled objects is refused unread."""
    np.save(tmp_path / "head.npy", np.array([msgspec.Struct], object), allow_pickle=True)
    with pytest.raises(ManifestError, match=r"write it with numpy\.save"):
        read_head(tmp_path / "head.npy", Head("head.npy"), 2)
