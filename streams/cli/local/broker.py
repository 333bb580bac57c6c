"""`tagstream broker`: an Apache Kafka broker on this machine, for as long as the command runs."""

import signal
import sys
import time
from pathlib import Path
from types import FrameType

import click

from streams.app.logs import set_up_logs
from streams.cli.local.embedded_broker import DEFAULT_DATA_DIR, DEFAULT_PORT, BrokerError, EmbeddedBroker
from streams.cli.options import PORT

_NEXT = """\
Kafka is ready at {servers} (data in {data_dir}). Ctrl-C stops it.

Next, in another terminal:
  tagstream worker{flag}
  tagstream publish{flag} PHOTO.jpg
  tagstream tail{flag}
"""


class _StopRequested(BaseException):
    """SIGINT or SIGTERM; no `Exception`, so that nothing on the way takes it for a fault."""


@click.command(short_help="Run Apache Kafka on this machine, to try things.")
@click.option(
    "--port",
    type=PORT,
    default=DEFAULT_PORT,
    show_default=True,
    help="Port; another one where it is taken. 0: any free one.",
)
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_DATA_DIR,
    show_default=True,
    help="Directory of the broker's data; it survives a restart.",
)
@click.option(
    "--cache-dir",
    type=click.Path(path_type=Path),
    envvar="TAGSTREAM_CACHE_DIR",
    help="Directory where Kafka's jars are kept. [TAGSTREAM_CACHE_DIR; default: ~/.cache/tagstream]",
)
def broker(port: int, data_dir: Path, cache_dir: Path | None) -> None:
    """Run Apache Kafka on this machine, without Docker or an installed Java.

    It listens on 127.0.0.1 only. Ctrl-C and SIGTERM stop it cleanly.

    Exit codes: 0 after a stop that was asked for, 1 when it cannot run.
    """
    set_up_logs("INFO", "auto")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _request_stop)
    kafka = EmbeddedBroker(data_dir, port, cache_dir)
    try:
        with kafka:
            flag = "" if kafka.port == DEFAULT_PORT else f" --broker {kafka.bootstrap_servers}"
            click.echo(_NEXT.format(servers=kafka.bootstrap_servers, data_dir=kafka.data_dir, flag=flag))
            _wait(kafka)
    except _StopRequested:
        click.echo("Kafka stopped.")
    except BrokerError as error:
        click.echo(f"tagstream broker: {error}", err=True)
        sys.exit(1)


def _wait(kafka: EmbeddedBroker) -> None:
    while kafka.running:
        time.sleep(0.2)
    raise BrokerError(f"the broker stopped by itself; {kafka.log_file} says why. Start it again")


def _request_stop(_number: int, _frame: FrameType | None) -> None:
    # A second signal, for whoever cannot wait: the broker dies with this process.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    raise _StopRequested
