"""`tagstream rules`: try the rules for tags before a worker has them."""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import click
import orjson
from rich.console import Console

from model import BadImageError, ManifestError
from schemas.errors import SettingsError
from streams.app.assembly import build_tagger, readers_of
from streams.app.settings import Settings
from streams.cli.charts import counted
from streams.cli.options import give_up
from streams.cli.terminal import console
from streams.cli.trials.rule_views import as_json, verdicts_table
from streams.fold.rules.advice import advice
from streams.fold.rules.applying import Rules, Ruling
from streams.fold.rules.content import RulesFile, parse_rules, rules_bytes
from streams.tag.categorizer import candidates
from streams.tag.jobs import TaggedImage
from streams.tag.pool import TaggerPool
from streams.tag.remote.pool import RemotePool
from streams.tag.stub import StubTagger
from streams.tag.words import split

Pool = TaggerPool | StubTagger
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(short_help="Check a rules file, and see on photos what it does.")
def rules() -> None:
    """Check a rules file for tags, and see on photos what each rule does.

    Add-ons and thresholds are those of the environment, as for `tagstream worker`.
    """


@rules.command(short_help="Say whether a worker would take a rules file.")
@click.argument("file", type=_FILE)
@click.option("--strict", is_flag=True, help="End with 1 where a name is known to no tagger.")
def validate(file: Path, *, strict: bool) -> None:
    """Check whether a worker would take a rules FILE, and which of its names no tagger knows.

    Exit codes: 0 if it can be used; 1 with --strict if a name is unknown; 78 if the file, a setting or a
    model must be changed first.
    """
    try:
        settings = Settings.from_mapping(os.environ)
        content = _read(file)
        warnings = advice(content, _started(settings, start=False).tag_names)
    except (SettingsError, ManifestError) as error:
        give_up("rules validate", error)
    for warning in warnings:
        click.echo(f"{file}: {warning}", err=True)
    found = f" with {counted(len(warnings), 'warning')}" if warnings else ""
    click.echo(f"{file}: rules {Rules(content, settings.auto_tagging).hash} can be used{found}")
    sys.exit(1 if strict and warnings else 0)


@rules.command()
@click.argument("photos", type=_FILE, nargs=-1, required=True, metavar="PHOTO...")
@click.option("--rules", "file", type=_FILE, envvar="TAGSTREAM_RULES", help="A rules file. [TAGSTREAM_RULES]")
@click.option(
    "--add-on",
    "add_ons",
    multiple=True,
    help="May be said several times. [as TAGSTREAM_CATEGORIZATION says]",
)
@click.option(
    "--auto-tagging", type=click.FloatRange(0, 1), help="Threshold, as an event may name one. [none named]"
)
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object per photo and line.")
def check(
    photos: Sequence[Path],
    *,
    file: Path | None,
    add_ons: Sequence[str],
    auto_tagging: float | None,
    wants_json: bool,
) -> None:
    """Tag photos and show what each rule does with each tag.

    Exit codes: 0 if every photo was tagged, 1 if one was not, 78 if the rules, a setting or a model must be
    changed first.
    """
    try:
        settings = Settings.from_mapping(os.environ)
        wanted = _offered(add_ons, settings)
        held = Rules(RulesFile() if file is None else _read(file), settings.auto_tagging)
        pool = _started(settings)
    except (SettingsError, ManifestError) as error:
        give_up("rules check", error)
    out = console()

    def show(photo: Path, image: TaggedImage) -> None:
        tags, _ = split(candidates(image, wanted), readers_of(settings), as_tags=settings.text_tags)
        ruling = held.apply(tags, auto_tagging)
        _show(out, photo, held, ruling, image.failed, wants_json=wants_json)

    sys.exit(0 if asyncio.run(_check_all(pool, photos, wanted, show)) else 1)


def _read(file: Path) -> RulesFile:
    return parse_rules(rules_bytes(file), file)


def _offered(add_ons: Sequence[str], settings: Settings) -> tuple[str, ...]:
    for name in add_ons:
        if name not in settings.model_folders:
            offered = ", ".join(settings.model_folders)
            raise SettingsError(f"--add-on {name!r} is not offered; TAGSTREAM_ADD_ONS offers {offered}")
    return tuple(dict.fromkeys(add_ons)) or settings.default_add_ons


def _started(settings: Settings, *, start: bool = True) -> Pool:
    pool, _ = build_tagger(settings)
    if start:
        pool.start()
    return pool


async def _check_all(
    pool: Pool, photos: Sequence[Path], add_ons: tuple[str, ...], show: Callable[[Path, TaggedImage], None]
) -> bool:
    """Tag each photo and show it; return whether all could be tagged."""
    done = []
    for photo in photos:
        image = await _tagged(pool, photo, add_ons)
        done.append(image is not None)
        if image is not None:
            show(photo, image)
    pool.stop()
    if isinstance(pool, RemotePool):
        await pool.aclose()
    return all(done)


async def _tagged(pool: Pool, photo: Path, add_ons: tuple[str, ...]) -> TaggedImage | None:
    """Tag a photo, or print why that cannot be done."""
    try:
        return await pool.tag(await asyncio.to_thread(photo.read_bytes), add_ons)
    except OSError as error:
        fault = error.strerror or str(error)
    except BadImageError as error:
        fault = f"{error.code}: {error}"
    except Exception as error:  # noqa: BLE001 - whatever a model of one's own raises
        fault = f"every add-on failed: {error!r}"
    click.echo(f"{photo}: {fault}", err=True)
    return None


def _show(
    out: Console, photo: Path, held: Rules, ruling: Ruling, failed: Mapping[str, str], *, wants_json: bool
) -> None:
    if wants_json:
        click.echo(orjson.dumps(as_json(str(photo), held.hash, ruling, failed)).decode())
    else:
        out.print(verdicts_table(str(photo), held.hash, ruling, failed))
