"""A worker whose tagger takes as long as the real one, and computes nothing: `benchmarks.saturation` runs it.

An image waits for one of TIMED_THREADS threads, and there for TIMED_MS milliseconds, as if it were decoded
and inferred; then it has eight of 1,000 tags. All else is the real worker's.
"""

import asyncio
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from model import Tag
from streams.app import assembly
from streams.cli.main import main
from streams.tag.fair_queue import NOBODY, Share
from streams.tag.jobs import TaggedImage
from streams.tag.known_images import digest_of
from streams.tag.stub import StubTagger

_TAGS, _PER_IMAGE = 1000, 8


class TimedTagger(StubTagger):
    """Threads that sleep."""

    def __init__(self) -> None:
        self._seconds = float(os.environ["TIMED_MS"]) / 1000
        self._threads = ThreadPoolExecutor(int(os.environ["TIMED_THREADS"]))

    async def tag(
        self,
        data: bytes,
        add_ons: Sequence[str],
        decoded: Callable[[], None] | None = None,
        *,
        share: Share = NOBODY,  # noqa: ARG002 - all are alike
        aside: Callable[[], None] | None = None,  # noqa: ARG002 - none is dear
    ) -> TaggedImage:
        """Wait for a thread, and as long as it takes there."""
        digest = await asyncio.get_running_loop().run_in_executor(self._threads, self._look, data)
        if decoded is not None:
            decoded()
        first = int(digest[:8], 16)
        names = {f"tag{(first >> (3 * place)) % _TAGS}": 0.9 for place in range(_PER_IMAGE)}
        tags = [Tag(name, confidence, confidence) for name, confidence in names.items()]
        return TaggedImage(digest, 1, 1, "jpg", dict.fromkeys(add_ons, tags), 0.0, 0.0)

    def _look(self, data: bytes) -> str:
        time.sleep(self._seconds)
        return digest_of(data)


if __name__ == "__main__":
    assembly.StubTagger = TimedTagger  # type: ignore[misc]
    sys.argv = ["tagstream", "worker"]
    main()
