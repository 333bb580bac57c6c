"""mosec: workers that decode and infer a batch, behind its HTTP server; `mosec_consumer` sends images."""

import os
from pathlib import Path

import orjson
from mosec import Server, Worker

from benchmarks.peers.work import BATCH
from model import Tagger

_MODEL = os.environ.get("PEER_MODEL")
_LONGEST_WAIT = 10  # milliseconds for a batch to fill; mosec's own default


class Tagging(Worker):
    """Images in, tags out."""

    def __init__(self) -> None:
        super().__init__()
        self._tagger = Tagger.load(Path(_MODEL) if _MODEL else None)

    def deserialize(self, data: bytes) -> bytes:
        """Take the body as it is."""
        return data

    def serialize(self, data: list[tuple[str, float]]) -> bytes:
        """Encode the tags as JSON."""
        return orjson.dumps(data)

    def forward(self, data: list[bytes]) -> list[list[tuple[str, float]]]:
        """Tag a batch."""
        return [[(tag.name, tag.confidence) for tag in tags] for tags in self._tagger.tag(data)]


if __name__ == "__main__":
    server = Server()
    server.append_worker(
        Tagging,
        num=int(os.environ["PEER_PROCESSES"]),
        max_batch_size=BATCH,
        max_wait_time=_LONGEST_WAIT,
    )
    server.run()
