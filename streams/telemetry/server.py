"""`/metrics` over HTTP, in threads of its own: it answers also while the event loop is stuck."""

import contextlib
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

log = logging.getLogger(__name__)

PATH = "/metrics"
_MOST_AT_ONCE = 8  # answers in work; Prometheus needs one
_PATIENCE = 10.0  # seconds for a request's head, and for each part of an answer that is sent
_Start = Callable[..., Any]


class _Handler(WSGIRequestHandler):
    timeout = _PATIENCE

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as its base
        log.debug(format, *args)


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        self._places = threading.Semaphore(_MOST_AT_ONCE)
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - as its base
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - likewise
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - likewise
        del request
        log.debug("metrics for %s were not taken", client_address)


class MetricsServer:
    """Answers GET /metrics, in the text format or OpenMetrics as is asked for. Nobody needs a token."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._app = make_wsgi_app(registry)
        self._server: _Server | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; return the port.

        Raises:
            OSError: The address cannot be listened on.
        """
        self._server = _Server(host, port)
        self._server.set_app(self._answer)
        threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening. It takes up to half a second: call it in a thread."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def _answer(self, environ: dict[str, Any], start: _Start) -> Iterable[bytes]:
        if environ["PATH_INFO"] != PATH:
            start("404 Not Found", [("Content-Type", "text/plain; charset=utf-8")])
            return [f"metrics are at {PATH}\n".encode()]
        try:
            found: Iterable[bytes] = self._app(environ, start)
        except Exception:
            log.exception("metrics could not be told")
            with contextlib.suppress(AssertionError):
                start("500 Internal Server Error", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"see the worker's log\n"]
        return found
