"""`tagstream evaluate`: how good a tagger is on labelled photos."""

import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from model import ManifestError, Tagger
from model.evaluation import temperature as fit
from model.evaluation.labels import LabelsError, check_files, counted, indexes_of, read_rows
from model.evaluation.metrics import Quality, Scores, TagQuality, quality_of
from model.evaluation.reliability import diagram
from model.evaluation.report import report, worst_errors
from model.evaluation.running import Run, run_tagger
from model.evaluation.truth import Truth, implied_tags, truth_of
from streams.cli.options import give_up

EXIT_UNREADABLE, EXIT_LABELS = 1, 2


@dataclass(frozen=True)
class _Photos:
    """The photos to judge by: their folder, their tags as indexes, and which tags to judge."""

    folder: Path
    named: dict[str, list[int]]
    only: Collection[int]
    every_tag: bool

    def truth(self, tagger: Tagger, files: Sequence[str]) -> Truth:
        """What is true of some of them."""
        implied = implied_tags(tagger.vocabulary.entries, tagger.vocabulary.classes)
        named = [self.named[file] for file in files]
        return truth_of(named, implied, every_tag=self.every_tag, only=self.only)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("labels", type=click.Path(path_type=Path), metavar="LABELS.CSV")
@click.option(
    "--model", "artifact", type=click.Path(path_type=Path), help="A model folder. [the default model]"
)
@click.option("--threshold", type=click.FloatRange(0, 1), help="Predicted above this. [as the model says]")
@click.option(
    "--decrease-parents", type=click.FloatRange(0, 1), help="As in the settings. [as the model says]"
)
@click.option("--tag", "only", multiple=True, help="Judge this tag; may be said several times. [all]")
@click.option("--every-tag", is_flag=True, help="Judge tags that no row names as well: then they are wrong.")
@click.option("--ignore-unknown", is_flag=True, help="Leave out rows whose tags the model does not know.")
@click.option("--report", "report_file", type=click.Path(path_type=Path, dir_okay=False), help="Write HTML.")
@click.option(
    "--worst", default=40, show_default=True, type=click.IntRange(min=0), help="Photos shown there."
)
@click.option(
    "--diagram", "svg_file", type=click.Path(path_type=Path, dir_okay=False), help="Reliability, SVG."
)
@click.option(
    "--fit-temperature", is_flag=True, help="Also tell the temperature that suits these photos best."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document instead of table and last line.")
def evaluate(  # noqa: PLR0917 - click passes each option by name
    folder: Path,
    labels: Path,
    artifact: Path | None,
    threshold: float | None,
    decrease_parents: float | None,
    only: tuple[str, ...],
    every_tag: bool,  # noqa: FBT001 - a flag
    ignore_unknown: bool,  # noqa: FBT001 - a flag
    report_file: Path | None,
    worst: int,
    svg_file: Path | None,
    fit_temperature: bool,  # noqa: FBT001 - a flag
    as_json: bool,  # noqa: FBT001 - a flag
) -> None:
    """Compare a tagger with labelled photos.

    LABELS.CSV has the columns file and tag, one row per true tag; files are relative to FOLDER. A row without
    a tag says that none is true.

    True are the tags of the rows and all more general ones: koala makes marsupial, mammal and animal true.
    Judged are the tags that some row names or implies, but none that is finer than what is known of a photo:
    where a row says dog, no breed is right or wrong. Predicted are tags with a confidence strictly above the
    threshold, as with an upload's auto_tagging.

    The last line is `precision=… recall=… map=… ece=…`. precision: predictions that are true; recall: true
    tags that are predicted; both over all photos and tags. map: mean over the tags of the area under
    precision over recall. ece: expected calibration error, ten bins, over all reported tags' probabilities.

    Exit codes: 0 when done, 1 when photos could not be decoded (the figures are those of the others), 2 when
    the labels are wrong, 78 when the model cannot be used.
    """
    tagger = _load(artifact, decrease_parents)
    photos = _photos(tagger, folder, labels, only, every_tag=every_tag, ignore_unknown=ignore_unknown)
    run = _run(tagger, photos)
    truth = photos.truth(tagger, run.files)
    scores = Scores(*tagger.vocabulary.scores(tagger.activated(run.outputs)))
    limit = tagger.threshold if threshold is None else threshold
    quality = quality_of(scores, truth, tagger.tag_names, limit)
    if svg_file is not None:
        _write(svg_file, diagram(quality.reliability))
    if report_file is not None:
        errors = worst_errors(run.files, scores, truth, names=tagger.tag_names, threshold=limit, most=worst)
        _write(report_file, report(quality, errors, folder, _title(tagger), labels.name))
    if fit_temperature:
        _tell_temperature(tagger, run.outputs, truth)
    _print_json(tagger, quality, run) if as_json else _print(quality)
    sys.exit(EXIT_UNREADABLE if run.unreadable else 0)


def _load(artifact: Path | None, decrease_parents: float | None) -> Tagger:
    try:
        return Tagger.load(artifact, decrease_parents=decrease_parents)
    except ManifestError as error:
        give_up("evaluate", error)


def _photos(
    tagger: Tagger, folder: Path, labels: Path, only: Sequence[str], *, every_tag: bool, ignore_unknown: bool
) -> _Photos:
    """Read the labels and make sure that all photos are there; end the process where something is wrong."""
    try:
        rows = read_rows(labels)
        check_files(rows, folder)
        tags = (tag for tags in rows.values() for tag in tags)
        known = indexes_of(tags, tagger.tag_names, ignore_unknown=ignore_unknown)
        wanted = indexes_of(only, tagger.tag_names, ignore_unknown=False)
    except LabelsError as error:
        click.echo(f"tagstream evaluate: {error}", err=True)
        sys.exit(EXIT_LABELS)
    named = {file: [known[tag] for tag in tags if tag in known] for file, tags in rows.items()}
    left_out = sorted({tag for tags in rows.values() for tag in tags} - known.keys())
    if left_out:
        click.echo(f"left out, as the model does not know them: {', '.join(left_out)}", err=True)
    return _Photos(folder, named, wanted.values(), every_tag)


def _run(tagger: Tagger, photos: _Photos) -> Run:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("tagging", total=len(photos.named))
        run = run_tagger(
            tagger, photos.folder, list(photos.named), lambda count: progress.advance(task, count)
        )
    for file, reason in run.unreadable.items():
        click.echo(f"{file}: {reason}", err=True)
    return run


def _tell_temperature(tagger: Tagger, outputs: NDArray[np.float32], truth: Truth) -> None:
    if tagger.temperature is None:
        click.echo("no temperature applies: this model's graph gives probabilities", err=True)
        return
    best = fit.fit_temperature(tagger, outputs, truth)
    click.echo(
        f"temperature: {tagger.temperature:g} in the manifest, {best:g} suits these photos best", err=True
    )


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        give_up("evaluate", f"cannot write {path} ({error.strerror}): name a file in a folder that exists")


def _title(tagger: Tagger) -> str:
    return f"{tagger.name} {tagger.version}"


def _print_json(tagger: Tagger, quality: Quality, run: Run) -> None:
    document = {
        "model": {"name": tagger.name, "version": tagger.version},
        **msgspec.to_builtins(quality),
        "unreadable": run.unreadable,
    }
    click.echo(msgspec.json.encode(document).decode())


def _print(quality: Quality) -> None:
    table = Table("tag")
    for name in ("true", "predicted", "right", "precision", "recall", "AP", "ECE"):
        table.add_column(name, justify="right")
    for tag in quality.tags:
        table.add_row(*_cells(tag))
    Console(soft_wrap=True).print(table)
    click.echo(
        f"{counted(quality.photos, 'photo')}, {counted(len(quality.tags), 'tag')} judged at a threshold of "
        f"{quality.threshold:g}; "
        f"{quality.not_judged} predictions of other tags not judged"
    )
    click.echo(quality.line())


def _cells(tag: TagQuality) -> list[str]:
    shares = (tag.precision, tag.recall, tag.average_precision, tag.calibration_error)
    counts = map(str, (tag.true, tag.predicted, tag.right))
    return [tag.tag, *counts, *("-" if value is None else f"{value:.3f}" for value in shares)]
