"""`tagstream worker`: tag uploads until told to stop."""

import os
import sys
from typing import Any

import click

from streams.app.exit import tell_unusable
from streams.app.settings import Settings
from streams.cli.options import connection_to, settings_options


class _WorkerCommand(click.Command):
    """Tells a wrong command line in the last log line, too: whoever reads logs sees nothing else."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            from streams.app.process import set_up_first_logs  # noqa: PLC0415 - for a quick `--help`

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
    from streams.app.faust.app import create_app  # noqa: PLC0415 - for a quick `--help`
    from streams.app.process import run_process  # noqa: PLC0415 - likewise

    sys.exit(
        run_process(
            lambda: create_app(Settings.from_mapping(os.environ, **overrides), connection_to(broker)),
            overrides["log_format"],
        )
    )
