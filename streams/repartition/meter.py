"""What became of the messages of sources, counted once their copies are committed."""

from collections import Counter

from streams.telemetry.recorder import Recorder


class SourceMeter:
    """Told by the partitions of sources' topics; one for all of a process's."""

    def __init__(self, recorder: Recorder) -> None:
        self._made = recorder.counter("tagstream_source_outcomes_total")

    def note(self, made: Counter[str]) -> None:
        """Take note of what was made of some messages, by outcome."""
        for outcome, number in made.items():
            self._made.add(number, outcome)
