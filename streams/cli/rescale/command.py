"""`tagstream rescale`: the state in more partitions, so that more workers share it."""

import asyncio
import os
import sys

import click
from aiokafka.errors import KafkaError

from schemas.errors import KafkaRefusalError, TopicsError
from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.cli.options import connection_to, give_up, kafka_options
from streams.cli.rendering import counting_progress
from streams.kafka.connection import KafkaConnection
from streams.kafka.faults import lasting_fault
from streams.rescale.job import RescaleJob
from streams.rescale.preview import preview
from streams.rescale.report import Report
from streams.units.faults import innermost, may_be_fenced

_AGAIN = "the same command goes on with it; until then no worker starts"


@click.command(short_help="Move the state to more partitions, while no worker runs.")
@kafka_options
@click.option("--partitions", type=click.IntRange(min=2), required=True, help="How many there are to be.")
@click.option("--dry-run", is_flag=True, help="Only say what would be moved.")
def rescale(
    broker: str | None,
    topic_prefix: str,
    app_id: str,
    partitions: int,
    dry_run: bool,  # noqa: FBT001 - a flag
) -> None:
    """Give the state more partitions, so that more workers can share it.

    Stop all workers first. The topics get the partitions, and each image moves to the one that it belongs to
    now, with its counts, in transactions: nothing is lost or counted twice. Started again after it was cut
    short, it goes on where it was. It holds the whole state in memory.

    Then start the workers, with TAGSTREAM_PARTITIONS at the new number.

    Exit codes: 0, 1 when it was cut short, 78 when it cannot begin.
    """
    try:
        settings = Settings.from_mapping(os.environ, app_id=app_id, topic_prefix=topic_prefix)
        connection, names = connection_to(broker), TopicNames.of(settings)
        if dry_run:
            _tell_plan(asyncio.run(preview(connection, names, partitions)))
            return
    except (ValueError, TopicsError, OSError, KafkaError) as error:
        give_up("rescale", error)
    report, fault = _rescale(connection, names, partitions, settings.uploads_topic_id)
    if fault:
        click.echo(f"tagstream rescale: {fault}", err=True)
        sys.exit(1)
    _tell_plan(report)
    click.echo(f"done; start the workers with TAGSTREAM_PARTITIONS={partitions}")


def _rescale(
    connection: KafkaConnection, names: TopicNames, partitions: int, accepted: str
) -> tuple[Report, str | None]:
    """Do it; return the report, and why it was cut short."""
    with counting_progress() as progress:
        bar = progress.add_task("reading the state", total=None)

        def show(report: Report) -> None:
            progress.update(bar, total=report.total, completed=report.moved, description="moving images")

        job = RescaleJob(connection, names, partitions, accepted=accepted, on_progress=show)
        try:
            asyncio.run(job.run())
        except KeyboardInterrupt:
            return job.report, f"interrupted after {job.report.moved:,} images; {_AGAIN}"
        except (TopicsError, KafkaRefusalError) as error:
            progress.stop()
            give_up("rescale", error)
        except Exception as error:  # noqa: BLE001 - whatever it was, what is committed is whole
            progress.stop()
            return job.report, _cut_short(innermost(error), connection)
    return job.report, None


def _cut_short(error: BaseException, connection: KafkaConnection) -> str:
    if may_be_fenced(error):
        return f"a worker or another rescale has taken a partition over; stop it: {_AGAIN}"
    return f"{lasting_fault(error, connection) or repr(error)}; {_AGAIN}"


def _tell_plan(report: Report) -> None:
    share = f"{report.total:,} of {report.images:,} images belong to another partition"
    click.echo(f"{share} of {report.partitions}; {report.moved:,} moved, {report.waiting:,} uploads wait")
