"""Log lines: for people on a terminal, JSON elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Callable

from pythonjsonlogger.orjson import OrjsonFormatter
from rich.console import Console
from rich.logging import RichHandler

from schemas.errors import SettingsError

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


class _Seldom(logging.Filter):
    """Lets a logger's message pass once in a while: aiokafka repeats some of them 100 times per second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._last: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be shown."""
        message, now = (record.name, str(record.msg)), self._clock()
        if now - self._last.get(message, -_SELDOM) < _SELDOM:
            return False
        self._last[message] = now
        return True


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
    chatter = _Seldom()
    console = form == "console" or (form == "auto" and sys.stderr.isatty())
    logging.basicConfig(
        level=level.upper(),
        handlers=[_console_handler() if console else _json_handler()],
        force=True,
    )
    if level.upper() != "DEBUG":
        for name, quiet in _QUIET.items():
            logging.getLogger(name).setLevel(quiet)
        for handler in logging.getLogger().handlers:
            handler.addFilter(lambda record: not record.name.startswith("aiokafka") or chatter.filter(record))


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
    handler.setFormatter(
        OrjsonFormatter(
            ["asctime", "levelname", "name", "message"],
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger"},
            defaults=None,
        )
    )
    return handler
