"""What attempts to deliver notifications are counted and timed as."""

from streams.telemetry.recorder import Recorder


class WebhookMeter:
    """Told by senders; one for all of a process's."""

    def __init__(self, recorder: Recorder) -> None:
        self._attempts = recorder.counter("tagstream_webhook_attempts_total")
        self._duration = recorder.histogram("tagstream_webhook_duration_seconds").of()

    def note_attempt(self, result: str, seconds: float) -> None:
        """Take note of what became of an attempt, and of its time if the receiver was asked."""
        self._attempts.add(1, str(result))
        if result != "postponed":
            self._duration.observe(seconds)
