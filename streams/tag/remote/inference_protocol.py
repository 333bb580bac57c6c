"""The Open Inference Protocol, version 2, over REST: KServe, Triton, MLServer and others."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import numpy as np
import orjson
from numpy.typing import NDArray

from model import Tag, View
from model.tagger.activation import activate
from model.tagger.manifest import read_labels
from model.tagger.network import prepared
from model.tagger.vocabulary import Vocabulary, read_entries
from streams.tag.remote.description import InferenceProtocol
from streams.tag.remote.dialects import AnswerError, Question
from streams.tag.remote.pictures import Seen, jpeg_of

_DATATYPES = {"uint8": "UINT8", "float32": "FP32"}


class _Output(msgspec.Struct):
    name: str
    shape: list[int]
    data: list[Any]


class _Answer(msgspec.Struct):
    outputs: list[_Output]


class InferenceDialect:
    """Images in a tensor, a number for each label back; see :class:`Dialect`."""

    def __init__(self, protocol: InferenceProtocol, model: str, folder: Path) -> None:
        """Read the labels.

        Raises:
            ManifestError: They cannot be read, or do not fit.
        """
        labels = read_labels(folder / protocol.labels)
        vocabulary = folder / protocol.vocabulary if protocol.vocabulary else None
        self._vocabulary = Vocabulary(
            read_entries(vocabulary, labels),
            len(labels),
            sums=protocol.activation == "softmax",
            leaf_floor=0.0,
            floor=protocol.floor,
        )
        self.view = View(protocol.pixels.size)
        self.max_batch = protocol.max_batch
        self.tag_names = tuple(self._vocabulary.names)
        self._labels = len(labels)
        self._protocol = protocol
        self._path = f"/v2/models/{quote(model, safe='')}/infer"

    def question(self, images: Sequence[Seen]) -> Question:
        """What to post for some images."""
        outputs = [{"name": self._protocol.output}] if self._protocol.output else None
        body = {"inputs": [self._input(images)]} | ({"outputs": outputs} if outputs else {})
        return Question(self._path, orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY))

    def tags(self, answer: bytes, images: int) -> list[list[Tag]]:
        """One list per image, best first."""
        scores = self._scores(answer, images)
        return self._vocabulary.tags(activate(scores, self._protocol.activation, self._protocol.temperature))

    def _input(self, images: Sequence[Seen]) -> dict[str, object]:
        if self._protocol.encoding == "jpeg":
            files = [base64.b64encode(jpeg_of(image)).decode("ascii") for image in images]
            about = {"name": self._protocol.input, "shape": [len(files), 1], "datatype": "BYTES"}
            return about | {"parameters": {"content_type": "base64"}, "data": files}
        pixels = self._protocol.pixels
        tensor = prepared(np.concatenate([image.squares for image in images]), pixels)
        return {
            "name": self._protocol.input,
            "shape": list(tensor.shape),
            "datatype": _DATATYPES[pixels.dtype],
            "data": tensor.ravel(),
        }

    def _scores(self, answer: bytes, images: int) -> NDArray[np.float32]:
        try:
            outputs = msgspec.json.decode(answer, type=_Answer).outputs
        except msgspec.DecodeError as error:
            raise AnswerError(f"no answer of the protocol: {error}") from error
        named = [output for output in outputs if self._protocol.output in {None, output.name}]
        if not named:
            raise AnswerError(f"no output {self._protocol.output}, but {[each.name for each in outputs][:5]}")
        try:
            with np.errstate(over="ignore"):
                scores = np.array(named[0].data, np.float32).reshape(images, self._labels)
        except (ValueError, TypeError) as error:
            rule = f"for {images} images and {self._labels} labels it must be [{images}, {self._labels}]"
            raise AnswerError(f"output {named[0].name} of shape {named[0].shape[:8]}: {rule}") from error
        if not np.isfinite(scores).all():
            raise AnswerError(f"output {named[0].name} holds numbers that are not finite")
        return scores
