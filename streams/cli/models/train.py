"""`tagstream model train`: tags of one's own, from labelled photos."""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from model import DEFAULT_ARTIFACT
from model.evaluation.labels import check_files, counted, read_rows
from model.tagger.writing import About, check_free
from model.training.features import FeatureNetwork
from model.training.heads import Plan
from model.training.report import TrainingReport
from model.training.training import REPORT, Labelled, look, report_of, trainable, write
from model.training.training import train as train_heads
from streams.cli.models.faults import faults_told

EXIT_UNREADABLE = 1
_COMMAND = "model train"
_PATH = click.Path(path_type=Path)


@click.command(short_help="Train tags on your labelled photos.")
@click.argument("folder", type=_PATH)
@click.argument("labels", type=_PATH, metavar="LABELS.CSV")
@click.option("--out", type=_PATH, required=True, help="The model folder to write.")
@click.option("--model", "base", type=_PATH, help="Folder of the network to build on. [the default model]")
@click.option("--name", help="Of the model, in results. [the folder's]")
@click.option(
    "--model-version", "version", default="1", show_default=True, help="Raise it when you train anew."
)
@click.option(
    "--folds", type=click.IntRange(2, 20), default=5, show_default=True, help="Parts to validate by."
)
@click.option(
    "--precision", type=click.FloatRange(0, 1), help="Give a tag only where so many are right. [best F1]"
)
@click.option(
    "--min-photos", type=click.IntRange(2), default=10, show_default=True, help="Leave out tags with fewer."
)
@click.option("--seed", default=0, show_default=True, help="Of the split into parts.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as one JSON document.")
def train(  # noqa: PLR0917 - click passes each option by name
    folder: Path,
    labels: Path,
    out: Path,
    base: Path | None,
    name: str | None,
    version: str,
    folds: int,
    precision: float | None,
    min_photos: int,
    seed: int,
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Train a head for each tag of labelled photos, and write a model folder.

    LABELS.CSV is as for `tagstream evaluate`: columns file and tag, one row per true tag, files relative to
    FOLDER. A tag that no row gives to a photo is taken to be untrue of it; a row without a tag says that none
    is true. 50 photos with a tag, and as many without, are a good beginning.

    A head is a logistic regression on what the network sees before its last layer. A worker that has the
    same network already runs it once for both. report.md and report.json in the folder tell how well each
    tag is found in photos that its head had not seen. The last line is `tags=… photos=… map=…`.

    Exit codes: 0 when done, 1 when photos could not be decoded (the rest was trained on), 2 when the labels
    are wrong or too few, 78 when the model or the folder cannot be used.
    """
    plan = Plan(folds, precision, seed)
    with faults_told(_COMMAND, out):
        check_free(out)
        rows = read_rows(labels)
        check_files(rows, folder)
        network = FeatureNetwork(base or DEFAULT_ARTIFACT)
        about = About(
            name or out.resolve().name,
            version,
            f"trained on the photos of {labels.name}, on features of {network.name}",
            f"of the network: {network.licence}",
        )
        report = _train(network, folder, rows, out=out, about=about, plan=plan, least=max(min_photos, folds))
    _tell(report, out, as_json=as_json)
    sys.exit(EXIT_UNREADABLE if report.unreadable else 0)


def _train(
    network: FeatureNetwork,
    folder: Path,
    rows: dict[str, list[str]],
    *,
    out: Path,
    about: About,
    plan: Plan,
    least: int,
) -> TrainingReport:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        looking = progress.add_task("looking at photos", total=len(rows))
        photos: Labelled = look(network, folder, rows, lambda count: progress.advance(looking, count))
        tags, left_out = trainable(photos, least)
        training = progress.add_task("training tags", total=len(tags))
        heads = train_heads(photos, tags, plan, lambda: progress.advance(training))
    report = report_of(photos, heads, left_out, about=about, network=network, plan=plan)
    write(out, about, network, heads, report)
    return report


def _tell(report: TrainingReport, out: Path, *, as_json: bool) -> None:
    for file, reason in report.unreadable.items():
        click.echo(f"{file}: {reason}", err=True)
    for tag, count in report.left_out.items():
        click.echo(f"left out: {tag}, with {counted(count, 'photo')}", err=True)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    table = Table("tag")
    for column in ("photos", "precision", "recall", "AP", "threshold"):
        table.add_column(column, justify="right")
    for each in report.tags:
        precision = "-" if each.precision is None else f"{each.precision:.3f}"
        figures = (f"{value:.3f}" for value in (each.recall, each.average_precision, each.threshold))
        table.add_row(each.tag, str(each.photos), precision, *figures)
    Console(soft_wrap=True).print(table)
    click.echo(f"{out} is ready: offer it with TAGSTREAM_ADD_ONS=...,{report.name}={out}; see {out / REPORT}")
    click.echo(report.line())
