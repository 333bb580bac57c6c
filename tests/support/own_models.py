"""Model folders as users bring them, with graphs of a few nodes."""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from model.tagger.manifest import sha256_of

SIZE = 32
LABELS = ("dim", "bright")


def write_model(folder: Path, table: list[list[float]]) -> Path:
    """Write a model that looks its outputs up in a table, in the row of the image's brightest value.

    Where the table has no such row, ONNX Runtime fails: a table of one row serves black images only.
    """
    folder.mkdir()
    rows = numpy_helper.from_array(np.array(table, np.float32), "rows")
    nodes = [
        helper.make_node("Cast", ["pixels"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["numbers"], ["brightest"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Cast", ["brightest"], ["row"], to=TensorProto.INT64),
        helper.make_node("Gather", ["rows", "row"], ["chances"], axis=0),
    ]
    pixels = helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", SIZE, SIZE, 3])
    chances = helper.make_tensor_value_info("chances", TensorProto.FLOAT, ["n", len(LABELS)])
    graph = helper.make_graph(nodes, "look-up", [pixels], [chances], [rows])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", "utf-8")
    manifest = {
        "name": folder.name,
        "version": "1",
        "source": "a test",
        "licence": "none",
        "input": {"size": SIZE},
        "activation": "none",
        "labels": "labels.txt",
        "sha256": {name: sha256_of(folder / name) for name in ("model.onnx", "labels.txt")},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder
