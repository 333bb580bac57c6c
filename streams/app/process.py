"""The worker's process: its log, its event loop, its garbage collector, its exit code."""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from model import ManifestError
from schemas.errors import SettingsError
from streams.app.checks.local import check_machine
from streams.app.exit import EXIT_UNUSABLE, OPERATORS_FAULTS, end_process, tell_unusable
from streams.app.faust.app import Tagstream, create_app
from streams.app.logs import set_up_first_logs, set_up_logs
from streams.app.settings import Settings
from streams.app.tracing import open_tracing
from streams.app.worker import Worker, run_until_signal
from streams.kafka.checks.enforcing import enforce
from streams.kafka.connection import KafkaConnection
from streams.own_files import make_own_folder

log = logging.getLogger(__name__)


def app_of_environment() -> Tagstream:
    """The application as the environment's settings say. A wrong one ends the process."""
    try:
        return create_app(Settings.from_mapping(os.environ), KafkaConnection.from_mapping(os.environ))
    except SettingsError as error:
        set_up_first_logs()
        tell_unusable(str(error))
        sys.exit(EXIT_UNUSABLE)


def run_process(make_app: Callable[[], Tagstream]) -> int:
    """Run a worker until SIGTERM or SIGINT.

    Args:
        make_app: Makes the application; what it refuses ends the process like any other refusal.

    Returns:
        The exit code: 0 after a stop that was asked for, 78 when something must be changed first. A worker in
        doubt ends the process by itself, with 70: see `streams.app.exit`.
    """
    set_up_first_logs()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the event loop has a say
    worker: Worker | None = None
    try:
        app = make_app()
        set_up_logs(app.settings.log_level, app.settings.log_format)
        _check_machine(app.settings)
        _collect_seldom()
        _share_the_interpreter()
        worker = Worker(app, open_tracing(os.environ, app.settings))
        _run(run_until_signal(worker))
    except KeyboardInterrupt:
        return 0
    except (*OPERATORS_FAULTS, ManifestError) as error:
        return _refused(worker, str(error))
    except Exception as error:
        log.exception("the worker cannot go on")
        if worker is not None and not worker.starting:
            end_process(app.connection, worker.journal, worker.status, error)
        # What comes up before Kafka has answered comes up again at the next start.
        return _refused(worker, f"{type(error).__name__}: {error} (the traceback is above)")
    return 0


def _refused(worker: Worker | None, fault: str) -> int:
    """Say what must be changed; return the exit code."""
    tell_unusable(fault)
    if worker is not None:
        worker.journal.end("unusable")
    return EXIT_UNUSABLE


def _check_machine(settings: Settings) -> None:
    """Make the data directory, and refuse what cannot work; models are checked by loading them."""
    with contextlib.suppress(OSError):  # the check says why
        make_own_folder(settings.data_dir)
    enforce(check_machine(settings), lambda finding: SettingsError(finding.sentence))


def _collect_seldom() -> None:
    """Let the garbage collector pass over what stays, and come less often.

    A transaction makes thousands of short-lived objects without cycles. By default each 700 of them start a
    collection, and those took two fifths of the event loop's time. Nor are they many more: a collection looks
    at all objects since the last one, and everything stands meanwhile.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 200)


def _share_the_interpreter() -> None:
    """Let threads that compute in Python give way to the event loop after 1 ms, by default 5."""
    sys.setswitchinterval(0.001)


def _run(main: Coroutine[Any, Any, None]) -> None:
    loop_factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415 - it does not exist on Windows

        loop_factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main)
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        logging.shutdown()  # a thread of Faust's that would not stop must not keep the process
        os._exit(0)
