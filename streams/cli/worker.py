"""`tagstream worker`: tag uploads until told to stop."""

import os
import sys
from collections.abc import Callable
from dataclasses import fields

import click

from streams.app.settings import Settings, kind_of, variable
from streams.cli.options import connection_to


def worker_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add a flag for the broker, and one for each setting of a worker."""
    for item in reversed(fields(Settings)):
        flag = f"--{item.name.replace('_', '-')}"
        default = "empty" if item.default in {"", None} else item.default
        text = f"{item.metadata['help']} [{variable(item.name)}; default: {default}]"
        command = click.option(flag, item.name, type=kind_of(item.name), default=None, help=text)(command)
    text = "Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]"
    return click.option("--broker", help=text)(command)


@click.command()
@worker_options
def worker(broker: str | None, **overrides: object) -> None:
    """Tag uploads until SIGTERM or Ctrl-C.

    Kafka's TLS and SASL settings are read from KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM,
    KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE.

    Exit codes: 0 after a stop that was asked for; 70 when a restart should begin from what was committed;
    78 when a setting must be changed first.
    """
    from streams.app.faust.app import create_app  # noqa: PLC0415 - for a quick `--help`
    from streams.app.process import run_process  # noqa: PLC0415 - likewise

    sys.exit(
        run_process(lambda: create_app(Settings.from_mapping(os.environ, **overrides), connection_to(broker)))
    )
