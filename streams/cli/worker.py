"""`tagstream worker` and `tagstream gateway`: work until told to stop."""

import os
import signal
import sys
from typing import Any, NoReturn

import click

from schemas.errors import SettingsError
from streams.app.exit import EXIT_UNUSABLE, tell_unusable
from streams.app.logs import set_up_first_logs, set_up_logs
from streams.app.roles import Role
from streams.app.settings import Settings, variable
from streams.cli.options import connection_to, settings_options
from streams.kafka.connection import KafkaConnection

_OF_A_GATEWAY = (
    "gateway_host", "gateway_port", "gateway_url", "credentials", "object_store", "max_upload_bytes",
    "sweep_after", "allow_sources", "add_ons", "app_id", "topic_prefix", "partitions", "data_dir", "web_port",
    "metrics_port", "log_level", "log_format",
)  # fmt: skip
_BESIDE_A_WORKER = {"web_port": 0, "metrics_port": 0}


class _WorkerCommand(click.Command):
    """Tells a wrong command line in the last log line, too: whoever reads logs sees nothing else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            error.show()
            set_up_first_logs()
            tell_unusable(f"{error.format_message().rstrip('.')}; see `tagstream worker --help`")
            sys.exit(error.exit_code)


@click.command(cls=_WorkerCommand)
@click.option("--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]")
@settings_options()
def worker(broker: str | None, **overrides: Any) -> None:  # noqa: ANN401 - values of the settings' types
    """Tag uploads until SIGTERM or Ctrl-C.

    Sizes are in bytes, times in seconds, where the meaning does not say otherwise. Each option is a variable,
    too; the option wins.

    Kafka's TLS and SASL settings are read from KAFKA_SECURITY_PROTOCOL, KAFKA_SASL_MECHANISM,
    KAFKA_SASL_USERNAME, KAFKA_SASL_PASSWORD, KAFKA_SSL_CAFILE, KAFKA_SSL_CERTFILE and KAFKA_SSL_KEYFILE.

    Exit codes: 0 after a stop that was asked for; 2 when the command line is wrong; 70 when a restart should
    begin from what was committed; 78 when a setting must be changed first. The last log line tells why.
    """
    _work(broker, overrides)


def _work(broker: str | None, overrides: dict[str, Any]) -> NoReturn:
    """Run a worker with these settings, then end the process with its exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # until the event loop has a say
    try:
        settings, connection = _read(broker, overrides)
        from streams.app.faust.app import create_app  # noqa: PLC0415 - what is wrong so far is told at once
        from streams.app.process import run_process  # noqa: PLC0415 - likewise
    except KeyboardInterrupt:
        sys.exit(0)
    sys.exit(run_process(lambda: create_app(settings, connection)))


def _read(broker: str | None, overrides: dict[str, Any]) -> tuple[Settings, KafkaConnection]:
    set_up_first_logs(overrides["log_format"])
    try:
        settings = Settings.from_mapping(os.environ, **overrides)
        set_up_logs(settings.log_level, settings.log_format)
        return settings, connection_to(broker)
    except SettingsError as error:
        tell_unusable(str(error))
        sys.exit(EXIT_UNUSABLE)


@click.command(cls=_WorkerCommand, short_help="Take calls of Cloudinary's and Imagga's clients.")
@click.option("--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]")
@settings_options(_OF_A_GATEWAY)
def gateway(broker: str | None, **overrides: Any) -> None:  # noqa: ANN401 - values of the settings' types
    """Take calls of Cloudinary's and Imagga's clients until SIGTERM or Ctrl-C.

    A `tagstream worker --roles gateway` that can stand beside a worker on one machine: its health and metrics
    have free ports, unless you name some. Workers tag what it takes: they need the same object store.

    Many gateways may stand behind a balancer, which may send any call to any of them.

    Exit codes: 0 after a stop that was asked for; others as of `tagstream worker`.
    """
    overrides["roles"] = overrides["roles"] or str(Role.GATEWAY)
    for name, value in _BESIDE_A_WORKER.items():
        if overrides[name] is None and variable(name) not in os.environ:
            overrides[name] = value
    _work(broker, overrides)
