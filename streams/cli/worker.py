"""`tagstream worker`: tag uploads until told to stop."""

import asyncio
import gc
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import click

from model import ManifestError
from schemas.errors import KafkaRefusalError, SettingsError, TopicsError
from streams.app.logs import set_up_logs
from streams.app.settings import Settings, variable
from streams.cli.options import connection_to, give_up, settings_options


@click.command()
@click.option("--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]")
@settings_options()
def worker(broker: str | None, **overrides: object) -> None:
    """Tag uploads until SIGTERM or Ctrl-C.

    Kafka's TLS and SASL settings are read from KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM,
    KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE.

    Exit codes: 0 after a stop that was asked for; 70 when a restart should begin from what was committed;
    78 when a setting must be changed first.
    """
    from streams.app.worker import Worker, run_until_signal  # noqa: PLC0415 - for a quick `--help`

    try:
        settings = Settings.from_mapping(os.environ, **overrides)
        set_up_logs(settings.log_level, settings.log_format)
        connection = connection_to(broker)
        _make_usable(settings.data_dir)
        _collect_seldom()
        _run(run_until_signal(Worker(settings, connection)))
    except (SettingsError, TopicsError, KafkaRefusalError, ManifestError, ValueError, OSError) as error:
        give_up("worker", error)


def _make_usable(data_dir: Path) -> None:
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data_dir):
            pass
    except OSError as error:
        cure = "name a directory that the worker may write to"
        name = variable("data_dir")
        raise SettingsError(f"{name}={str(data_dir)!r}: {error.strerror}; {cure}") from error


def _collect_seldom() -> None:
    """Let the garbage collector pass over what stays, and come less often.

    A transaction makes thousands of short-lived objects without cycles. By default each 700 of them start a
    collection, and those took two fifths of the event loop's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


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
