"""A small pair of encoders that truly speak of one space: colours of images, and colour words."""

import io
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from tokenizers import Tokenizer, models, pre_tokenizers

COLOURS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (30, 40, 220)}
SIZE = 32


def save(path: Path, nodes: list, inputs: list, outputs: list, constants: list) -> None:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def constant(name: str, value: object, kind: type = np.float32) -> onnx.TensorProto:
    return numpy_helper.from_array(np.array(value, kind), name)


def write_encoders(folder: Path) -> None:
    """An image's embedding is its mean colour; a text's is the sum of those of its colour words."""
    folder.mkdir()
    pixels = helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    embeds = helper.make_tensor_value_info("image_embeds", TensorProto.FLOAT, ["n", 3])
    patches = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    nodes = [
        helper.make_node("Identity", ["pixel_values"], ["last_hidden_state"]),
        helper.make_node("ReduceMean", ["pixel_values"], ["image_embeds"], axes=[2, 3], keepdims=0),
    ]
    save(folder / "vision_model.onnx", nodes, [pixels], [patches, embeds], [])
    config = {"image_mean": [0.1, 0.1, 0.1], "image_std": [0.5, 0.5, 0.5], "rescale_factor": 1 / 255}
    (folder / "preprocessor_config.json").write_text(json.dumps(config))

    words = ["<pad>", "<unk>", *COLOURS]
    vocabulary = {word: index for index, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))  # noqa: S106 - a word
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    table = np.concatenate([np.zeros((2, 3)), np.array(list(COLOURS.values())) / 255 - 0.1])
    ids = helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["n", "tokens"])
    mask = helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["n", "tokens"])
    text = helper.make_tensor_value_info("text_embeds", TensorProto.FLOAT, ["n", 3])
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["each"], axis=0),
        helper.make_node("Cast", ["attention_mask"], ["counts"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["counts", "last"], ["column"]),
        helper.make_node("Mul", ["each", "column"], ["seen"]),
        helper.make_node("ReduceSum", ["seen", "middle"], ["text_embeds"], keepdims=0),
    ]
    constants = [constant("table", table), constant("last", [2], np.int64), constant("middle", [1], np.int64)]
    save(folder / "text_model.onnx", nodes, [ids, mask], [text], constants)


def photo(colour: tuple[int, ...], seed: int = 0) -> bytes:
    noise = np.random.default_rng(seed).integers(-25, 26, (48, 64, 3))
    target = io.BytesIO()
    Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(target, "PNG")
    return target.getvalue()
