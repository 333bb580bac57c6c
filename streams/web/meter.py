"""What answers of the query API are counted and timed as."""

import time

from litestar.types import ASGIApp, Message, Receive, Scope, Send

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


class Metered:
    """A layer of the application: the time from a request's head to the end of its answer."""

    def __init__(self, app: ASGIApp, meter: QueryMeter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand a request on, and tell of its answer."""
        started, status = time.perf_counter(), 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        await self._app(scope, receive, answer)
        if status:
            self._meter.note_answer(scope.get("path_template", ""), status, time.perf_counter() - started)
