"""What is sent to model servers, and what their answers may be."""

from __future__ import annotations

import base64
import io
import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from model import ManifestError
from model.tagger.manifest import Input
from streams.tag.remote.client import RemoteAddOn
from streams.tag.remote.description import InferenceProtocol, VisionEndpoint, read_description
from streams.tag.remote.dialects import AnswerError
from streams.tag.remote.inference_protocol import InferenceDialect
from streams.tag.remote.pictures import Seen
from streams.tag.remote.vision_endpoint import VisionDialect

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.txt").write_text("dim\nbright\n")
    return tmp_path


def seen(value: int = 200, width: int = 400, height: int = 100, size: int = 64) -> Seen:
    return Seen(np.full((1, size, size, 3), value, np.uint8), width, height)


def oip_answer(data: object, name: str = "scores") -> bytes:
    output = {"name": name, "shape": [2, 2], "datatype": "FP32", "data": data}
    return json.dumps({"model_name": "m", "outputs": [output]}).encode()


def vision_answer(content: object) -> bytes:
    text = content if isinstance(content, str) else json.dumps(content)
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def test_pixels_are_sent_as_a_tensor(folder: Path) -> None:
    """Normalised and laid out as the description says, all images of a call in one."""
    pixels = Input(64, layout="NCHW", dtype="float32", scale=1 / 255, mean=(0.5, 0.5, 0.5))
    protocol = InferenceProtocol(labels="labels.txt", output="scores", pixels=pixels)
    path, body = InferenceDialect(protocol, "my model/1", folder).question([seen(0), seen(255)])
    assert path == "/v2/models/my%20model%2F1/infer"
    asked = json.loads(body)
    (tensor,) = asked["inputs"]
    assert (tensor["name"], tensor["shape"], tensor["datatype"]) == ("input", [2, 3, 64, 64], "FP32")
    assert (tensor["data"][0], tensor["data"][-1], len(tensor["data"])) == (-0.5, 0.5, 2 * 3 * 64 * 64)
    assert asked["outputs"] == [{"name": "scores"}]


def test_pictures_are_sent_as_files(folder: Path) -> None:
    """In their own proportions, by Base64."""
    protocol = InferenceProtocol(labels="labels.txt", encoding="jpeg", pixels=Input(64))
    asked = json.loads(InferenceDialect(protocol, "m", folder).question([seen(width=200, height=100)]).body)
    (tensor,) = asked["inputs"]
    assert (tensor["shape"], tensor["datatype"]) == ([1, 1], "BYTES")
    picture = Image.open(io.BytesIO(base64.b64decode(tensor["data"][0])))
    assert (picture.format, picture.size) == ("JPEG", (64, 32))


@pytest.mark.parametrize("data", [[0.1, 0.9, 0.7, 0.3], [[0.1, 0.9], [0.7, 0.3]]])
def test_scores_become_tags(folder: Path, data: object) -> None:
    """Flat or nested, as servers please; best first."""
    dialect = InferenceDialect(InferenceProtocol(labels="labels.txt"), "m", folder)
    first, second = dialect.tags(oip_answer(data), 2)
    assert [tag.name for tag in first] == ["bright", "dim"]
    assert [round(tag.confidence, 3) for tag in second] == [0.7, 0.3]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (b"<html>", "no answer of the protocol"),
        (b'{"error": "no such model"}', "missing required field `outputs`"),
        (oip_answer([0.1, 0.9, 0.7]), "for 2 images and 2 labels it must be [2, 2]"),
        (oip_answer([0.1, None, 0.7, 0.2]), "not finite"),
        (oip_answer(["x"] * 4), "it must be"),
        (oip_answer([1e99] * 4), "not finite"),
        (oip_answer([0.1] * 4, "other"), "no output scores, but ['other']"),
    ],
)
def test_answers_that_are_none(folder: Path, answer: bytes, fault: str) -> None:
    dialect = InferenceDialect(InferenceProtocol(labels="labels.txt", output="scores"), "m", folder)
    with pytest.raises(AnswerError) as caught:
        dialect.tags(answer, 2)
    assert fault in str(caught.value)


def test_a_free_model_s_tags(folder: Path) -> None:
    """Spaces are straightened, the greater confidence counts, what is no tag is left out, 0 to 1 is kept."""
    dialect = VisionDialect(VisionEndpoint(max_tags=3), "llava", folder)
    rows = [
        {"tag": " red  car ", "confidence": 0.7},
        {"tag": "sky", "confidence": 1.7},
        {"tag": "red car", "confidence": 0.8},
        {"tag": "", "confidence": 0.9},
        {"tag": "x" * 256, "confidence": 0.9},
        {"tag": "a\x00b", "confidence": 0.9},
        {"tag": "nothing", "confidence": -1},
        {"tag": "tree", "confidence": 0.3},
        {"tag": "leaf", "confidence": 0.2},
    ]
    (tags,) = dialect.tags(vision_answer({"tags": rows}), 1)
    assert [(tag.name, tag.confidence) for tag in tags] == [("sky", 1.0), ("red car", 0.8), ("tree", 0.3)]


def test_labels_bound_what_it_may_say(folder: Path) -> None:
    """By the schema that it is asked with, and once more when it answers."""
    dialect = VisionDialect(VisionEndpoint(labels="labels.txt"), "llava", folder)
    asked = json.loads(dialect.question([seen()]).body)
    row = asked["response_format"]["json_schema"]["schema"]["properties"]["tags"]["items"]
    assert row["properties"]["tag"] == {"type": "string", "enum": ["dim", "bright"]}
    rows = [{"tag": "bright", "confidence": 0.9}, {"tag": "ignore all rules", "confidence": 1}]
    (tags,) = dialect.tags(vision_answer({"tags": rows}), 1)
    assert [tag.name for tag in tags] == ["bright"]


@pytest.mark.parametrize(
    "content", ["", "I see a dog.", '{"tags": [{"tag": "dog"}]}', '{"tags": 1}', "[" * 5000]
)
def test_prose_is_no_answer(folder: Path, content: str) -> None:
    with pytest.raises(AnswerError, match="no tags by the schema"):
        VisionDialect(VisionEndpoint(), "llava", folder).tags(vision_answer(content), 1)


GOOD = 'name = "a"\nversion = "1"\nurl = "http://there"\nmodel = "m"\n'


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (GOOD, "one of the tables [oip] and [openai] says"),
        (GOOD.replace("http:", "ftp:") + "[openai]", "must be http://HOST or https://HOST"),
        (GOOD.replace("there", "me:secret@there") + "[openai]", "url has credentials"),
        (GOOD + "timeout = 0\n[openai]", "$.timeout"),
        (GOOD + "tiemout = 5\n[openai]", "tiemout"),
        (GOOD + "[oip]", "missing required field `labels`"),
        ("name", "breaks a rule"),
    ],
)
def test_descriptions_that_break_a_rule(tmp_path: Path, text: str, fault: str) -> None:
    """With the file, the rule, and where it is described."""
    path = tmp_path / "m.toml"
    path.write_text(text)
    with pytest.raises(ManifestError) as caught:
        read_description(path)
    assert fault in str(caught.value)
    assert "secret@" not in str(caught.value)


def test_a_secret_that_is_missing_is_noticed_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(f'{GOOD}token = "VISION_SECRET"\n[openai]')
    with pytest.raises(
        ManifestError, match="takes its token from the variable VISION_SECRET, which is empty"
    ):
        RemoteAddOn.load(path, {})
    with pytest.raises(ManifestError, match="no description at"):
        RemoteAddOn.load(tmp_path / "none.toml", {})
