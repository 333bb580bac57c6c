"""Samples of sources' messages, from `tests/sources/samples`."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import orjson

from schemas.sources.mapping import TopicMapping
from schemas.uploads import Record

FOLDER = Path(__file__).parents[2] / "sources" / "samples"
NOW = 1_770_000_000_000  # 2026-02-02T02:40:00Z


def topic_mapping(content: dict[str, Any]) -> TopicMapping:
    return msgspec.convert(content, TopicMapping)


@dataclass(frozen=True)
class Sample:
    """A message with the mapping that reads it, and what it becomes."""

    path: Path

    def __str__(self) -> str:
        return self.name

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def said(self) -> dict[str, Any]:
        return dict(orjson.loads(self.path.read_bytes()))

    @property
    def mapping(self) -> TopicMapping:
        return topic_mapping(self.said["mapping"])

    @property
    def becomes(self) -> list[dict[str, Any]]:
        return list(self.said["becomes"])

    @property
    def content(self) -> Any:  # noqa: ANN401 - JSON
        """Its JSON; None: it is none."""
        return self.said.get("value")

    @property
    def value(self) -> bytes | None:
        if "hex" in self.said:
            return bytes.fromhex(self.said["hex"])
        if "text" in self.said:
            return str(self.said["text"]).encode()
        return None if self.content is None else orjson.dumps(self.content)

    def record(self, **changed: object) -> Record:
        key = self.said.get("key")
        fields = {
            "topic": "events",
            "partition": 0,
            "offset": 7,
            "timestamp": NOW,
            "key": None if key is None else key.encode(),
            "value": self.value,
            "headers": [(name, text.encode()) for name, text in self.said.get("headers", ())],
        }
        return Record(**{**fields, **changed})  # type: ignore[arg-type]


SAMPLES = [Sample(path) for path in sorted(FOLDER.glob("*.json"))]
