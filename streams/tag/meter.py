"""What batches of the tagger's threads are timed as."""

from collections.abc import Iterable
from typing import NamedTuple

from streams.telemetry.recorder import Recorder


class Spent(NamedTuple):
    """What one add-on cost in a batch: its network's run and its own work, in seconds per image."""

    add_on: str
    seconds: float
    images: int


class InferenceMeter:
    """Told by the pool, in the event loop's thread."""

    def __init__(self, recorder: Recorder) -> None:
        self._batches = recorder.histogram("tagstream_batch_images").of()
        self._seconds = recorder.histogram("tagstream_model_seconds")

    def note_batch(self, images: int, spent: Iterable[Spent]) -> None:
        """Take note of one inference."""
        self._batches.observe(images)
        self.note_spent(spent)

    def note_spent(self, spent: Iterable[Spent]) -> None:
        """Take note of what add-ons took."""
        for add_on, seconds, number in spent:
            self._seconds.of(add_on).observe(seconds, times=number)
