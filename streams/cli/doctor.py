"""`tagstream doctor`: what a worker would miss, before one is started."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

import click
import orjson
from rich.console import Console
from rich.text import Text

from schemas.errors import SettingsError
from streams.app.exit import EXIT_UNUSABLE
from streams.app.settings import Settings
from streams.cli.charts import printable, table
from streams.cli.options import connection_to, settings_options
from streams.kafka.checks.findings import Finding, worst

_STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@click.command(short_help="Check all that a worker needs, before one is started.")
@click.option("--broker", help="Bootstrap servers. [KAFKA_BOOTSTRAP_SERVERS; default: localhost:9092]")
@settings_options()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(broker: str | None, *, as_json: bool, **overrides: object) -> None:
    """Check all that a worker with these settings needs, and start and change nothing.

    Settings are those of `tagstream worker`: environment and flags. What is looked at: this machine's
    directory, disk, models, rules, sources and tokens; the brokers' version and clock; topics, their
    partitions and configuration; permissions. A worker makes the same checks when it starts.

    Exit codes: 0 if a worker could start, warnings or not; 78 if something must be changed first.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it says of brokers, findings say better
    findings = _findings(broker, overrides)
    status = worst(findings)
    if as_json:
        answer = {"status": status, "checks": [finding.as_json() for finding in findings]}
        click.echo(orjson.dumps(answer).decode())
    else:
        _show(findings)
    sys.exit(EXIT_UNUSABLE if status == "fail" else 0)


def _findings(broker: str | None, overrides: dict[str, object]) -> list[Finding]:
    from streams.app.checks.kafka import check_kafka  # noqa: PLC0415 - for a quick `--help`
    from streams.app.checks.local import check_machine  # noqa: PLC0415 - likewise
    from streams.app.checks.models import check_models  # noqa: PLC0415 - likewise
    from streams.app.checks.refusals import refused  # noqa: PLC0415 - likewise

    try:
        settings, connection = Settings.from_mapping(os.environ, **overrides), connection_to(broker)
    except SettingsError as error:
        cure = "correct the setting; `tagstream worker --help` lists all"
        return [refused("settings", "environment and flags", error, cure)]
    cluster = asyncio.run(check_kafka(connection, settings))
    models = [check_models(settings)] if settings.tags else []
    return [*check_machine(settings), *models, *cluster]


def _show(findings: Sequence[Finding]) -> None:
    """A table of all, and below it each cure in a line that no table breaks: commands can be copied."""
    shown = table("check", "status", "found, and the rule", whole=("check", "status"))
    for finding in findings:
        found = Text(printable(finding.value)).append(f"\n{printable(finding.rule)}", style="dim")
        shown.add_row(finding.check, Text(finding.status, style=_STYLES[finding.status]), found)
    Console().print(shown)
    for finding in findings:
        if finding.status != "ok":
            click.echo(f"\n{finding.status}: {finding.check}: {printable(finding.value)}")
            click.echo(f"  {printable(finding.cure)}")
