"""Model folders: what is refused, and that the message names the value, the rule and the cure."""

from __future__ import annotations

import io
import json
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from PIL import Image

from model import DEFAULT_ARTIFACT, ManifestError, Tagger
from model.tagger.manifest import Input, Manifest, read_manifest, sha256_of

if TYPE_CHECKING:
    from pathlib import Path

FAST_ARTIFACT = DEFAULT_ARTIFACT.with_name("efficientnet_lite0_int8")
LABELS = ["red", "green", "blue"]


def write_graph(path: Path, shape: list[str | int], kind: int = TensorProto.FLOAT) -> None:
    """A classifier whose three outputs are the means of the three colour channels."""
    channels_last = shape[-1] == 3
    nodes = [
        helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node(
            "ReduceMean", ["floats"], ["y"], axes=[1, 2] if channels_last else [2, 3], keepdims=0
        ),
    ]
    entry = helper.make_tensor_value_info("x", kind, shape)
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [shape[0], 3])
    graph = helper.make_graph(nodes, "means", [entry], [result])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def write_folder(
    folder: Path, shape: list[str | int], changes: dict[str, Any] | None = None, kind: int = TensorProto.FLOAT
) -> Path:
    """A user's own model; ``changes`` replace fields of its manifest, None removes one."""
    folder.mkdir(exist_ok=True)
    write_graph(folder / "model.onnx", shape, kind)
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", encoding="utf-8")
    manifest: dict[str, Any] = {
        "name": "means",
        "version": "7",
        "source": "a test",
        "licence": "none",
        "input": {"size": 16, "layout": "NCHW", "dtype": "float32", "scale": 1 / 255},
        "activation": "none",
        "labels": "labels.txt",
        "sha256": {name: sha256_of(folder / name) for name in ("model.onnx", "labels.txt")},
    }
    manifest.update(changes or {})
    kept = {key: value for key, value in manifest.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        Tagger.load(folder)
    return str(caught.value)


@pytest.mark.parametrize("folder", [DEFAULT_ARTIFACT, FAST_ARTIFACT])
def test_shipped_folders_are_whole(folder: Path) -> None:
    """Each file of a shipped model has the checksum of its manifest, and nothing else lies there."""
    manifest = read_manifest(folder)
    assert manifest.name == folder.name
    assert {path.name for path in folder.iterdir()} == {*manifest.files(), "manifest.json"}
    assert sum(path.stat().st_size for path in folder.iterdir()) < 8_000_000


@pytest.mark.parametrize("name", ["model.onnx", "labels.txt", "vocabulary.json"])
def test_a_changed_file_is_refused(tmp_path: Path, name: str) -> None:
    """A file that was changed after its manifest was written is not loaded."""
    folder = tmp_path / "copy"
    shutil.copytree(FAST_ARTIFACT, folder)
    with (folder / name).open("ab") as file:
        file.write(b"\n")
    message = refusal(folder)
    assert f"{name} has SHA-256" in message
    assert "restore the file" in message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """A file that the manifest names and that is not there is named, with what to do."""
    folder = write_folder(tmp_path / "own", ["n", 3, 16, 16])
    (folder / "labels.txt").unlink()
    assert "labels.txt is missing" in refusal(folder)


def test_a_folder_without_manifest(tmp_path: Path) -> None:
    """A folder that is no model folder is told so."""
    assert "no manifest at" in refusal(tmp_path / "nowhere")


def test_a_manifest_that_is_no_json(tmp_path: Path) -> None:
    """Invalid JSON is refused with the place of the fault."""
    (tmp_path / "manifest.json").write_text('{"name": ', encoding="utf-8")
    assert "breaks a rule" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "relu"}, "Invalid enum value 'relu' - at `$.activation`"),
        ({"name": None}, "missing required field `name`"),
        ({"colour": "grey"}, "unknown field `colour`"),
        ({"temperature": 0}, "`float` > 0.0 - at `$.temperature`"),
        ({"floor": 1.5}, "`float` < 1.0 - at `$.floor`"),
        ({"input": {"size": 4}}, ">= 16 - at `$.input.size`"),
        ({"input": {"size": 16, "dtype": "float32", "std": [1, 0, 1]}}, "no channel's deviation may be 0"),
        ({"input": {"size": 16, "mean": [1, 2, 3]}}, "need dtype float32"),
        ({"sha256": {"model.onnx": "beef"}}, "at `$.sha256[...]`"),
        ({"sha256": {}}, "has no checksum of model.onnx"),
        ({"labels": "../labels.txt"}, "lie beside their manifest.json"),
        ({"input": {"size": 32, "layout": "NCHW", "dtype": "float32"}}, "change input.size or input.layout"),
        ({"input": {"size": 16, "layout": "NHWC", "dtype": "float32"}}, "change input.size or input.layout"),
        ({"input": {"size": 16, "layout": "NCHW", "dtype": "uint8"}}, "takes tensor(float), but"),
    ],
)
def test_a_wrong_field_is_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    """A manifest with a field that breaks its rule, or that does not fit its graph, is refused by name."""
    assert message in refusal(write_folder(tmp_path / "own", ["n", 3, 16, 16], changes))


def test_a_wrong_number_of_labels(tmp_path: Path) -> None:
    """A labels file of another graph is noticed by its length."""
    folder = write_folder(tmp_path / "own", ["n", 3, 16, 16])
    (folder / "labels.txt").write_text("red\ngreen\n", encoding="utf-8")
    changes = {"sha256": {name: sha256_of(folder / name) for name in ("model.onnx", "labels.txt")}}
    manifest = json.loads((folder / "manifest.json").read_bytes()) | changes
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "with 2 labels, or features of a head, it must be [images, 2]" in refusal(folder)


def test_a_graph_that_is_no_graph(tmp_path: Path) -> None:
    """A file that ONNX Runtime cannot load is refused with its reason."""
    folder = write_folder(tmp_path / "own", ["n", 3, 16, 16])
    (folder / "model.onnx").write_bytes(b"not a graph")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["sha256"]["model.onnx"] = sha256_of(folder / "model.onnx")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert "cannot be loaded" in refusal(folder)


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ([{"name": "warm", "classes": [0, 3]}], "tag 'warm', class 3: the labels file has 3 classes"),
        ([{"name": "warm", "classes": [0]}, {"name": "warm", "classes": [1]}], "names the tag 'warm' twice"),
        ([{"name": "w" * 256, "classes": [0]}], "length <= 255"),
        ([{"name": "warm", "classes": []}], "length >= 1"),
        ([{"name": "warm", "classes": [0], "discount": 2}], "<= 1.0"),
        ([], "length >= 1"),
    ],
)
def test_a_wrong_vocabulary(tmp_path: Path, tags: list[dict[str, Any]], message: str) -> None:
    """A vocabulary that breaks a rule is refused with the tag and the rule."""
    folder = write_folder(tmp_path / "own", ["n", 3, 16, 16], {"vocabulary": "words.json"})
    (folder / "words.json").write_text(json.dumps({"tags": tags}), encoding="utf-8")
    manifest = json.loads((folder / "manifest.json").read_bytes())
    manifest["sha256"]["words.json"] = sha256_of(folder / "words.json")
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    assert message in refusal(folder)


def test_an_unknown_provider() -> None:
    """An execution provider that is not installed is refused with those that are."""
    with pytest.raises(ManifestError, match=r"choose from .*CPUExecutionProvider"):
        Tagger.load(FAST_ARTIFACT, providers=["AbacusExecutionProvider"])


@pytest.mark.parametrize(
    ("shape", "entry", "kind"),
    [
        (["n", 3, 16, 16], {"layout": "NCHW", "dtype": "float32", "scale": 1 / 255}, TensorProto.FLOAT),
        (["n", 16, 16, 3], {"layout": "NHWC", "dtype": "float32", "std": [255, 255, 255]}, TensorProto.FLOAT),
        ([1, 16, 16, 3], {"layout": "NHWC", "dtype": "float32", "scale": 1 / 255}, TensorProto.FLOAT),
        ([2, "c", "h", "w"], {"layout": "NCHW", "dtype": "float32", "scale": 1 / 255}, TensorProto.FLOAT),
        (["n", 3, 16, 16], {"layout": "NCHW", "dtype": "uint8"}, TensorProto.UINT8),
    ],
)
def test_own_models(tmp_path: Path, shape: list[str | int], entry: dict[str, Any], kind: int) -> None:
    """Own models of either layout and type work, also with a batch size that is fixed in the graph."""
    tagger = Tagger.load(write_folder(tmp_path / "own", shape, {"input": {"size": 16, **entry}}, kind))
    batch = np.zeros((3, 16, 16, 3), np.uint8)
    for image in range(3):
        batch[image, :, :, image] = 255
    found = tagger.tag_pixels(batch)
    assert [[tag.name for tag in tags] for tags in found] == [["red"], ["green"], ["blue"]]
    assert (tagger.name, tagger.version, tagger.tag_names) == ("means", "7", tuple(LABELS))


def test_bgr(tmp_path: Path) -> None:
    """A model that was trained on BGR gets its channels in that order."""
    entry = {"size": 16, "layout": "NCHW", "dtype": "float32", "scale": 1 / 255, "channels": "bgr"}
    tagger = Tagger.load(write_folder(tmp_path / "own", ["n", 3, 16, 16], {"input": entry}))
    red = np.zeros((1, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    assert [tag.name for tag in tagger.tag_pixels(red)[0]] == ["blue"]


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def test_three_crops(tmp_path: Path) -> None:
    """A model that asks for crops gets three squares of a long image, and their outputs are averaged."""
    entry = {"size": 16, "layout": "NCHW", "dtype": "float32", "scale": 1 / 255, "crops": 3}
    tagger = Tagger.load(write_folder(tmp_path / "own", ["n", 3, 16, 16], {"input": entry}))
    image = Image.new("RGB", (160, 40), (255, 0, 0))
    image.paste((0, 255, 0), (120, 0, 160, 40))
    squares = [png(image), png(Image.new("RGB", (40, 40), (0, 0, 255)))]
    long, square = ({tag.name: tag.confidence for tag in tags} for tags in tagger.tag(squares))
    assert long == pytest.approx({"red": 2 / 3, "green": 1 / 3}, abs=0.02)
    assert square == pytest.approx({"blue": 1.0}, abs=0.02)
    (alone,) = tagger.tag(squares[:1])
    assert {tag.name: tag.confidence for tag in alone} == pytest.approx(long)


def test_multi_label(tmp_path: Path) -> None:
    """A multi-label tagger's probabilities stand side by side instead of sharing a sum of 1."""
    entry = {"size": 16, "layout": "NCHW", "dtype": "float32", "scale": 1 / 255, "mean": [0.5, 0.5, 0.5]}
    changes = {"input": entry, "activation": "sigmoid", "temperature": 0.1}
    tagger = Tagger.load(write_folder(tmp_path / "own", ["n", 3, 16, 16], changes))
    yellow = np.zeros((1, 16, 16, 3), np.uint8)
    yellow[..., :2] = 255
    tags = {tag.name: tag.probability for tag in tagger.tag_pixels(yellow)[0]}
    assert tags["red"] > 0.99
    assert tags["green"] > 0.99
    assert "blue" not in tags


def test_the_readme_documents_every_field() -> None:
    """Each field of a manifest, and each code of a refused image, stands in the package's README."""
    readme = DEFAULT_ARTIFACT.with_name("README.md").read_text(encoding="utf-8")
    fields = {*Manifest.__struct_fields__, *Input.__struct_fields__} - {"input"}
    codes = {"not_an_image", "unsupported_format", "truncated", "too_many_pixels", "corrupt"}
    assert [
        name for name in fields | codes if f"`{name}`" not in readme and f"`input.{name}`" not in readme
    ] == []


def test_the_model_card_counts_the_tags() -> None:
    """The number of tags in the model card is that of the shipped vocabulary."""
    card = DEFAULT_ARTIFACT.with_name("MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{len(Tagger.load().tag_names):,} in all" in card
