"""What all peers share: where to work, what an event says, what a result looks like."""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import orjson

from model import Tag

BATCH = 8


@dataclass(frozen=True)
class Assignment:
    """What a peer's process is told.

    Attributes:
        bootstrap: The broker.
        uploads: The topic of upload events.
        results: The topic of results.
        model: The model's folder; None: the default model.
        threads: How many threads may decode and infer, where the peer has threads.
        processes: How many processes, where the peer starts them itself.
        port: Of the peer's own server, where it has one.
    """

    bootstrap: str
    uploads: str
    results: str
    model: Path | None
    threads: int
    processes: int
    port: int


def assignment() -> Assignment:
    """Read the command line."""
    parser = argparse.ArgumentParser()
    for name in ("--bootstrap", "--uploads", "--results"):
        parser.add_argument(name, required=True)
    parser.add_argument("--model", type=Path)
    for name in ("--threads", "--processes", "--port"):
        parser.add_argument(name, type=int, default=1)
    return Assignment(**vars(parser.parse_args()))


def result(event: bytes, tags: Iterable[Tag]) -> bytes:
    """A result for an event: every tag with its confidence, those above the threshold assigned."""
    upload = orjson.loads(event)
    found = [{"tag": tag.name, "confidence": round(tag.confidence, 4)} for tag in tags]
    assigned = [each["tag"] for each in found if each["confidence"] > upload["auto_tagging"]]
    info = {"categorization": {"imagga_tagging": {"status": "complete", "data": found}}}
    kept = {name: upload[name] for name in ("public_id", "uploaded_at", "user_id", "url")}
    return orjson.dumps(kept | {"tags": assigned, "info": info})


def url_of(event: bytes) -> str:
    """The image's URL."""
    url: str = orjson.loads(event)["url"]
    return url
