"""Log lines: for people on a terminal, JSON elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter
from rich.console import Console
from rich.logging import RichHandler

from schemas.errors import SettingsError
from streams.telemetry.log_context import IN_WORK

_QUIET = {  # what these say below the level given is of use to their authors
    "aiokafka": logging.WARNING,
    "faust": logging.WARNING,
    "faust.tagstream": logging.ERROR,  # warns of a sensor's missing state at each first assignment
    "mode": logging.WARNING,
    "asyncio": logging.WARNING,
    "httpx": logging.WARNING,
    "stamina": logging.ERROR,  # each retry; what comes of it is in the outcome
}

FORMATS = ("auto", "console", "json")
_SELDOM = 60.0  # seconds
_CHATTER = (
    "aiokafka",
    "opentelemetry",
)  # repeat themselves while their server is away, some 100 times per second
_SAID_BY_US = (  # aiokafka's words for what `streams.kafka.watch` says once: Kafka does not answer
    "Unable connect to ",
    "Unable to request metadata from ",
    "Unable to update metadata from ",
    "Failed fetch messages from ",
    "Failed fetch offsets from ",
    "Error sending ",
    "Cannot send ",
    "Group Coordinator Request failed",
    "Heartbeat send request failed",
    "Heartbeat session expired",
    "Heartbeat failed for group %s: coordinator",
    "Marking the coordinator dead",
)


class _Lowered(logging.Filter):
    """Lowers to INFO what a line of ours says as well: whoever is woken by an ERROR shall have a reason."""

    def __init__(self, least: int) -> None:
        super().__init__()
        self._least = least

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record, perhaps lowered, is to be shown."""
        if record.name.startswith("aiokafka") and str(record.msg).startswith(_SAID_BY_US):
            record.levelno, record.levelname = logging.INFO, logging.getLevelName(logging.INFO)
        return record.levelno >= self._least


class _Seldom(logging.Filter):
    """Lets a logger's message pass once in a while, if the logger is one of those that repeat themselves."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be shown."""
        if not record.name.startswith(_CHATTER):
            return True
        message, now = (record.name, str(record.msg)), self._clock()
        if now - self._last.get(message, -_SELDOM) < _SELDOM:
            return False
        self._last[message] = now
        return True


class JsonLines(OrjsonFormatter):
    """One JSON object a line: time (RFC 3339, UTC), level, logger, message.

    A line about a record has its trace_id, topic, partition and offset besides.
    """

    def __init__(self) -> None:
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        super().__init__(["asctime", "levelname", "name", "message"], rename_fields=names)

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802 - its base's
        """The moment in milliseconds, as RFC 3339 writes it."""
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """All fields; what the line itself says of a record comes before what is in work."""
        super().add_fields(log_data, record, message_dict)
        for name, value in (IN_WORK.get() or {}).items():
            log_data.setdefault(name, value)


def set_up_logs(level: str, form: str) -> None:
    """Send log lines to standard error.

    Args:
        level: DEBUG, INFO, WARNING or ERROR.
        form: console, json, or auto: console on a terminal.

    Raises:
        SettingsError: Level or form is none of these.
    """
    if level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR"}:
        raise SettingsError(f"TAGSTREAM_LOG_LEVEL={level!r}: choose DEBUG, INFO, WARNING or ERROR")
    if form not in FORMATS:
        raise SettingsError(f"TAGSTREAM_LOG_FORMAT={form!r}: choose auto, console or json")
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    handler = _console_handler() if console else _json_handler()
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    if level.upper() != "DEBUG":
        for name, quiet in _QUIET.items():
            logging.getLogger(name).setLevel(quiet)
        handler.addFilter(_Lowered(logging.getLevelNamesMapping()[level.upper()]))
        handler.addFilter(_Seldom())


def set_up_first_logs(log_format: str | None = None) -> None:
    """Send log lines to standard error until the settings are read, which may be wrong themselves.

    Args:
        log_format: Their form; None: as the environment says.
    """
    form = log_format or os.environ.get("TAGSTREAM_LOG_FORMAT", "")
    set_up_logs("INFO", form if form in FORMATS else "auto")


def _console_handler() -> logging.Handler:
    handler = RichHandler(console=Console(stderr=True), show_path=False, log_time_format="%H:%M:%S")
    handler.setFormatter(logging.Formatter("%(message)s"))
    return handler


def _json_handler() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    return handler
