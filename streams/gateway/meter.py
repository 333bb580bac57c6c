"""What calls of a gateway are counted and timed as."""

from collections.abc import Iterable

from streams.telemetry.recorder import Recorder


class GatewayMeter:
    """Told of each answer, and of what is swept."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def name(self, kinds: Iterable[str]) -> None:
        """Say what there is to call, before the first answer."""
        self._recorder.name("call", kinds)

    def note(self, kind: str, status: int, seconds: float) -> None:
        """Take note of an answer."""
        self._recorder.counter("tagstream_gateway_requests_total").add(1, kind, str(int(status)))
        self._recorder.histogram("tagstream_gateway_request_duration_seconds").of(kind).observe(seconds)

    def note_swept(self, objects: int) -> None:
        """Take note of objects that were removed."""
        self._recorder.counter("tagstream_gateway_swept_objects_total").add(objects)
