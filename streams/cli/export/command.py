"""`tagstream export`: options and output."""

import asyncio
import sys
from pathlib import Path

import click
from aiokafka.errors import KafkaError

from schemas.errors import SettingsError
from schemas.topics import TABLES
from streams.cli.options import connection_to, give_up, kafka_options, require, topic_names
from streams.cli.rendering import counting_progress
from streams.export.files import check_format
from streams.export.job import ExportJob, Report


@click.command(short_help="Write images, tags and counts as Parquet or CSV.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    show_default=True,
    help="Of the files; parquet needs the extra `export`.",
)
@kafka_options
def export(folder: Path, format_: str, broker: str | None, topic_prefix: str, app_id: str) -> None:
    """Write the state into FOLDER: images, tags, counts and add_on_counts, and manifest.json.

    Of each partition it is that of one moment between two transactions; the manifest names its offsets.
    Workers may run meanwhile. FOLDER must not be there: it appears when all is in it and on disk, so that
    nobody reads half an export. Rows wait on that disk, not in memory.

    Exit codes: 0, 1 when it was cut short, 78 when it cannot begin.
    """
    try:
        check_format(format_)
        connection, names = connection_to(broker), topic_names(app_id, topic_prefix)
        changelogs = [names.changelog(table) for table in TABLES]
        asyncio.run(require(connection, changelogs, "start `tagstream worker`, which creates it"))
        job = ExportJob(connection, names, folder, format_)
    except (ValueError, OSError, KafkaError) as error:
        give_up("export", error)
    fault = _run(job)
    if fault:
        click.echo(f"tagstream export: {fault}; nothing is left in {folder}", err=True)
        sys.exit(1)
    written = ", ".join(f"{rows:,} {name}" for name, rows in job.report.rows.items())
    click.echo(f"{folder}: {written}, of {job.report.partitions} partitions")


def _run(job: ExportJob) -> str | None:
    """Do it; return why it was cut short."""
    with counting_progress() as progress:
        bar = progress.add_task("reading", total=None)

        def show(report: Report) -> None:
            told = f"partition {report.partition}"
            progress.update(bar, total=report.total, completed=report.read, description=told)

        job.on_progress = show
        try:
            asyncio.run(job.run())
        except KeyboardInterrupt:
            return f"interrupted after {job.report.read:,} records"
        except SettingsError as error:
            progress.stop()
            give_up("export", error)
        except (KafkaError, OSError) as error:
            progress.stop()
            return f"{error or type(error).__name__}"
    return None
