"""Write a model folder: a network of one node that tells which colour prevails, to be offered as an add-on.

Run: python examples/own_add_on/write_model.py /tmp/prevailing_colour
     tagstream worker --add-ons imagga_tagging,prevailing_colour=/tmp/prevailing_colour
Ask: {"public_id": "koala", "url": "...", "categorization": "imagga_tagging,prevailing_colour"}
"""

import hashlib
import json
import sys
from pathlib import Path

import onnx
from onnx import TensorProto, helper

SIZE = 16
LABELS = ("reddish", "greenish", "bluish")


def mean_colour() -> onnx.ModelProto:
    """A graph from pixels (images, SIZE, SIZE, 3) to the mean of each channel (images, 3)."""
    node = helper.make_node("ReduceMean", ["pixels"], ["means"], axes=[1, 2], keepdims=0)
    pixels = helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["n", SIZE, SIZE, 3])
    means = helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", len(LABELS)])
    graph = helper.make_graph([node], "mean_colour", [pixels], [means])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def write(folder: Path) -> None:
    """Write model, labels and the manifest that describes them."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(mean_colour(), folder / "model.onnx")
    (folder / "labels.txt").write_text("\n".join(LABELS) + "\n", "utf-8")
    files = {name: (folder / name).read_bytes() for name in ("model.onnx", "labels.txt")}
    manifest = {
        "name": "prevailing_colour",
        "version": "1",
        "source": "examples/own_add_on/write_model.py",
        "licence": "Apache-2.0",
        "input": {"size": SIZE, "layout": "NHWC", "dtype": "float32", "scale": 1 / 255},
        "activation": "softmax",
        "temperature": 0.05,  # means lie close together: sharpen what little sets them apart
        "labels": "labels.txt",
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2), "utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    write(Path(sys.argv[1]))
    print(f"TAGSTREAM_ADD_ONS=imagga_tagging,prevailing_colour={Path(sys.argv[1]).resolve()}")
