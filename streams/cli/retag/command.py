"""`tagstream retag`: the tags of known images anew, by other rules or another model."""

import asyncio
import os
import re
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from aiokafka.errors import KafkaError

from model import ManifestError
from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.cli.options import connection_to, give_up, kafka_options, require_topics
from streams.cli.rendering import counting_progress
from streams.cli.retag.job import Report, RetagJob, RetagOptions
from streams.cli.retag.plan import Mode
from streams.cli.retag.views import as_json, report_view
from streams.cli.terminal import console
from streams.kafka.connection import KafkaConnection

_RUN = re.compile(r"[A-Za-z0-9._:-]{1,64}")


def _checked_run(_context: click.Context, _option: click.Parameter, name: str | None) -> str:
    if name is None:
        return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"
    if not _RUN.fullmatch(name):
        raise click.BadParameter(f"{name!r}: use 1 to 64 of the letters, digits and . _ : -")
    return name


def _mode(rules_only: bool, every: bool) -> Mode:  # noqa: FBT001 - flags
    if rules_only and every:
        raise click.UsageError("--rules-only is about every image anyway: leave out --every")
    if rules_only:
        return "rules"
    return "image" if every else "model"


@click.command(short_help="Tag known images anew, by other rules or another model.")
@kafka_options
@click.option("--rules-only", is_flag=True, help="Apply the rules to what taggers said before.")
@click.option("--every", is_flag=True, help="Also the images that the present models have tagged.")
@click.option("--tenant", help="Only this tenant's images.")
@click.option("--tag", "tags", multiple=True, help="Only images that have this tag; of several, all of them.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many images.")
@click.option("--rate", type=click.FloatRange(0, min_open=True), help="At most so many images per second.")
@click.option("--dry-run", is_flag=True, help="Only say which tags would change how often.")
@click.option(
    "--run", "name", callback=_checked_run, help="Name of the run; that of an earlier one goes on with it."
)
@click.option(
    "--timeout", default=60.0, show_default=True, help="Seconds without progress after which it is given up."
)
@click.option("--add-ons", help="The present models. [TAGSTREAM_ADD_ONS]")
@click.option("--rules", type=click.Path(path_type=Path), help="Rules of a dry run. [TAGSTREAM_RULES]")
@click.option(
    "--auto-tagging", type=click.FloatRange(0, 1), help="Threshold of a dry run. [TAGSTREAM_AUTO_TAGGING]"
)
@click.option("--json", "as_line", is_flag=True, help="The report as one line of JSON.")
def retag(  # noqa: PLR0917 - click passes each option by name
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    rules_only: bool,  # noqa: FBT001 - a flag
    name: str,
    timeout: float,
    add_ons: str | None,
    rules: Path | None,
    auto_tagging: float | None,
    as_line: bool,  # noqa: FBT001 - a flag
    **which: Any,  # noqa: ANN401 - the other fields of RetagOptions
) -> None:
    """Tag known images anew: by changed rules, or those that another model has tagged.

    The workers do it. Each image is an event that takes the usual way, exactly once: its time, version and
    owner stay, people's edits stay, counts follow, and a newer upload wins. Without --rules-only the images
    are fetched again.

    A dry run does the same work in this process and writes nothing. It reads the settings that workers
    read, so give it the same environment.

    Exit codes: 0, 1 when images failed or the run was cut short, 78 when nothing can be read.
    """
    options = RetagOptions(name, _mode(rules_only, which.pop("every")), patience=timeout, **which)
    settings = {"rules": rules, "auto_tagging": auto_tagging, "add_ons": add_ons}
    try:
        read = Settings.from_mapping(os.environ, app_id=app_id, topic_prefix=topic_prefix, **settings)
        report, fault = _retag(connection_to(broker), read, options)
    except (ManifestError, ValueError, OSError, KafkaError) as error:
        give_up("retag", error)
    if as_line:
        click.echo(as_json(report))
    else:
        console().print(report_view(report))
    if fault:
        cure = "" if options.dry_run else f"; the same with --run {options.run} goes on with it"
        click.echo(f"tagstream retag: {fault}{cure}", err=True)
    sys.exit(1 if fault or report.differences.failed else 0)


def _retag(
    connection: KafkaConnection, settings: Settings, options: RetagOptions
) -> tuple[Report, str | None]:
    """Do it; return the report, and why it was cut short."""
    asyncio.run(require_topics(connection, TopicNames.of(settings)))
    if not options.dry_run:
        click.echo(f"run {options.run}", err=True)
    with counting_progress() as progress:
        bar = progress.add_task("reading", total=None)

        def show(report: Report) -> None:
            what = "trying" if options.dry_run else "re-tagging"
            progress.update(bar, total=report.total, completed=report.done, description=what)

        job = RetagJob(connection, settings, options, show)
        try:
            asyncio.run(job.run())
        except TimeoutError as error:
            return job.report, str(error)
        except KafkaError as error:
            return job.report, f"{type(error).__name__}: {error}"
        except KeyboardInterrupt:
            return job.report, f"interrupted after {job.report.done:,} of {job.report.total:,} images"
    return job.report, None
