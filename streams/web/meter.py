"""What answers of the query API are counted and timed as."""

import time
from collections.abc import Iterable

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from streams.telemetry.recorder import Counters, Histograms, Recorder


class QueryMeter:
    """Told of each answer of an application."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def around(self, app: ASGIApp, routes: Iterable[str]) -> ASGIApp:
        """An application whose answers are counted and timed.

        Args:
            app: What answers; it says in `scope["path_template"]` by which route.
            routes: The templates of its routes; any other is told as `other`.
        """
        self._recorder.name("route", routes)
        answers = self._recorder.counter("tagstream_http_requests_total")
        seconds = self._recorder.histogram("tagstream_http_request_duration_seconds")
        return _Metered(app, answers, seconds)


class _Metered:
    def __init__(self, app: ASGIApp, answers: Counters, seconds: Histograms) -> None:
        self._app = app
        self._answers = answers
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def note_and_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_and_send)
        finally:
            route = scope.get("path_template") or ""
            self._answers.add(1, route, str(status))
            self._seconds.of(route).observe(time.perf_counter() - started)
