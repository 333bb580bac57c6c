"""Endpoints like OpenAI's chat completions that take pictures: Ollama, vLLM, llama.cpp and others."""

import base64
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import orjson

from model import Tag, View
from model.tagger.manifest import read_labels
from streams.tag.remote.description import VisionEndpoint
from streams.tag.remote.dialects import AnswerError, Question
from streams.tag.remote.pictures import Seen, jpeg_of

_PATH = "/chat/completions"
_LONGEST = 255  # characters of a tag
_MOST_ROWS = 1000  # of an answer that are looked at


class _Row(msgspec.Struct):
    tag: str
    confidence: float


class _Rows(msgspec.Struct):
    tags: list[_Row]


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Completion(msgspec.Struct):
    choices: Annotated[list[_Choice], msgspec.Meta(min_length=1)]


class VisionDialect:
    """A picture and a prompt, JSON by a schema back; see :class:`Dialect`."""

    def __init__(self, endpoint: VisionEndpoint, model: str, folder: Path) -> None:
        """Read the labels, if it may give no others.

        Raises:
            ManifestError: They cannot be read.
        """
        labels = read_labels(folder / endpoint.labels) if endpoint.labels else []
        self.view = View(endpoint.size)
        self.max_batch = 1
        self.tag_names = tuple(labels)
        self._endpoint = endpoint
        self._model = model
        self._schema = _schema(labels)

    def question(self, images: Sequence[Seen]) -> Question:
        """What to post for an image."""
        (image,) = images
        picture = base64.b64encode(jpeg_of(image)).decode("ascii")
        content = [
            {"type": "text", "text": self._endpoint.prompt},
            {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{picture}"}},
        ]
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": content}],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "tags", "strict": True, "schema": self._schema},
            },
            "temperature": 0,
            "max_tokens": self._endpoint.max_tokens,
        }
        return Question(_PATH, orjson.dumps(body))

    def tags(self, answer: bytes, images: int) -> list[list[Tag]]:  # noqa: ARG002 - it is one
        """One list, best first; names that are no tags, or none of the labels, are left out."""
        try:
            content = msgspec.json.decode(answer, type=_Completion).choices[0].message.content
            rows = msgspec.json.decode(content or "", type=_Rows).tags
        except msgspec.DecodeError as error:
            raise AnswerError(f"no tags by the schema: {error}") from error
        found: dict[str, float] = {}
        for row in rows[:_MOST_ROWS]:
            name = " ".join(row.tag.split())
            confidence = min(max(row.confidence, 0.0), 1.0)
            if _may_be(name, self.tag_names) and confidence > found.get(name, 0.0):
                found[name] = confidence
        best = sorted(found.items(), key=lambda pair: -pair[1])[: self._endpoint.max_tags]
        return [[Tag(name, confidence, confidence) for name, confidence in best]]


def _may_be(name: str, labels: Collection[str]) -> bool:
    return 1 <= len(name) <= _LONGEST and name.isprintable() and (not labels or name in labels)


def _schema(labels: Sequence[str]) -> dict[str, Any]:
    tag: dict[str, Any] = {"type": "string"} | ({"enum": list(labels)} if labels else {})
    row = {
        "type": "object",
        "properties": {"tag": tag, "confidence": {"type": "number"}},
        "required": ["tag", "confidence"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": row}},
        "required": ["tags"],
        "additionalProperties": False,
    }
