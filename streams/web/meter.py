"""What answers of the query API are counted and timed as."""

from streams.telemetry.recorder import Recorder


class QueryMeter:
    """Told by the server of each answer."""

    def __init__(self, recorder: Recorder) -> None:
        self._answers = recorder.counter("tagstream_http_requests_total")
        self._seconds = recorder.histogram("tagstream_http_request_duration_seconds")

    def note_answer(self, route: str, status: int, seconds: float) -> None:
        """Take note of an answer.

        Args:
            route: The template of its route; whatever else: it is told as `other`.
            status: Its HTTP status.
            seconds: What it took.
        """
        self._answers.add(1, route, str(status))
        self._seconds.of(route).observe(seconds)
