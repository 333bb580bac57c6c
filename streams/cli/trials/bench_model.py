"""`tagstream bench-model`: find the settings that suit this machine."""

import asyncio
import json
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from model import DEFAULT_ARTIFACT, ManifestError, Tagger
from streams.app.cores import available_cores
from streams.app.profiles import write_profile
from streams.app.settings import variable
from streams.cli.options import give_up
from streams.cli.trials.calibration import CPU, Plan, Trial, best, measure, plans

_PHOTOS = Path(__file__).parents[2] / "photos"


@click.command("bench-model", short_help="Find threads and batches that suit this machine.")
@click.option(
    "--model",
    type=click.Path(path_type=Path),
    default=DEFAULT_ARTIFACT,
    help="Folder of a model. [the default]",
)
@click.option(
    "--photos",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=_PHOTOS,
    help="Folder of photos like yours: their size decides what decoding costs. [ten samples]",
)
@click.option("--providers", default=CPU, show_default=True, help="Execution providers to try, with commas.")
@click.option(
    "--seconds",
    type=click.FloatRange(0.1, 60),
    default=2.0,
    show_default=True,
    help="Seconds for each trial.",
)
@click.option(
    "--write", "profile", type=click.Path(path_type=Path), help="Write the best as a profile there."
)
@click.option("--json", "as_json", is_flag=True, help="Print the trials as JSON.")
def bench_model(
    *, model: Path, photos: Path, providers: str, seconds: float, profile: Path | None, as_json: bool
) -> None:
    """Measure which threads, batches and provider suit this machine, with the worker's own threads.

    `tagstream worker --profile FILE` reads what --write writes; so does env_file of Docker Compose.

    Exit codes: 0, 78 when the model, the photos, a provider or the profile's path must be changed first.
    """
    try:
        files = _read(photos)
        names = [name.strip() for name in providers.split(",") if name.strip()]
        trials = asyncio.run(_trials(model, files, names, seconds, quiet=as_json))
        chosen = best(trials)
        if profile is not None:
            write_profile(profile, _remark(chosen, model), _settings(chosen.plan))
    except (ManifestError, OSError, ValueError) as error:
        give_up("bench-model", error)
    if as_json:
        click.echo(json.dumps({"best": asdict(chosen), "trials": [asdict(trial) for trial in trials]}))
    else:
        _show(trials, chosen)


def _read(folder: Path) -> list[bytes]:
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in {".jpg", ".jpeg"}]
    if not files:
        raise ValueError(f"--photos {folder} has no .jpg file: name a folder that has some")
    return [path.read_bytes() for path in files]


async def _trials(
    model: Path, photos: Sequence[bytes], providers: Sequence[str], seconds: float, *, quiet: bool
) -> list[Trial]:
    def load(plan: Plan) -> Tagger:
        chain = [plan.provider] if plan.provider == CPU else [plan.provider, CPU]
        return Tagger.load(model, intra_op_threads=plan.intra_op_threads, providers=chain)

    todo = list(plans(providers, available_cores()))
    trials = []
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        bar = progress.add_task("measuring", total=len(todo))
        for plan in todo:
            trials.append(await measure(plan, load, photos, seconds))
            progress.advance(bar)
    return trials


def _settings(plan: Plan) -> dict[str, str]:
    values = {
        "providers": plan.provider if plan.provider == CPU else f"{plan.provider},{CPU}",
        "threads": str(plan.threads),
        "intra_op_threads": str(plan.intra_op_threads),
        "max_batch": str(plan.max_batch),
    }
    return {variable(name): value for name, value in values.items()}


def _remark(chosen: Trial, model: Path) -> str:
    machine = f"{available_cores()} cores, {platform.machine()}, ONNX Runtime {version('onnxruntime')}"
    return f"{model.name} on {machine}:\n{chosen.images_per_second:.0f} images/s, decoded and tagged"


def _show(trials: Sequence[Trial], chosen: Trial) -> None:
    table = Table("provider", "threads", "intra-op", "batch", "images/s", "lone image, ms", box=None)
    for trial in trials:
        plan = trial.plan
        cells = (plan.provider, plan.threads, plan.intra_op_threads, plan.max_batch)
        measured = (f"{trial.images_per_second:.0f}", f"{trial.lone_ms:.1f}")
        table.add_row(*map(str, cells), *measured, style="bold" if trial is chosen else None)
    Console().print(table)
    for name, value in _settings(chosen.plan).items():
        click.echo(f"{name}={value}")
