"""`tagstream sources`: see what becomes of a message before a worker has it."""

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import orjson

from schemas.errors import BadEventError, SettingsError
from schemas.sources.changes import Skipped
from schemas.sources.mapping import SourcesFile, TopicMapping, read_sources
from schemas.sources.translate import Made, Translator
from schemas.sources.values import MAX_MESSAGE_BYTES
from schemas.uploads import Record
from streams.cli.charts import counted
from streams.cli.options import give_up

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(short_help="Check how the events of other programs are read.")
def sources() -> None:
    """Check a file of TAGSTREAM_SOURCES, and see what becomes of a message."""


@sources.command(short_help="Check a file of sources, and see what becomes of a sample.")
@click.argument("file", type=_FILE)
@click.argument("sample", type=_FILE, required=False)
@click.option("--topic", help="Whose mapping reads the sample. [the file's, if it has one]")
@click.option("--key", help="The record's key.")
@click.option("--header", "headers", multiple=True, metavar="NAME=TEXT", help="May be said several times.")
@click.option("--json", "wants_json", is_flag=True, help="Print one JSON object per line.")
def check(
    file: Path,
    sample: Path | None,
    *,
    topic: str | None,
    key: str | None,
    headers: tuple[str, ...],
    wants_json: bool,
) -> None:
    """Check whether a worker would take a FILE of sources, and what it would make of a record with SAMPLE.

    Exit codes: 0; 1 if the sample, or a part of it, would be a dead letter; 78 if the file must be changed.
    """
    try:
        found = read_sources(file)
        mapping, named = _mapping(found, topic)
        value = None if sample is None else _value(sample)
        pairs = [_header(text) for text in headers]
    except (SettingsError, ValueError, OSError) as error:
        give_up("sources check", error)
    if value is None or mapping is None:
        click.echo(f"{file}: the sources of {counted(len(found.topics), 'topic')} can be used")
        return
    now = int(time.time() * 1000)
    key_bytes = None if key is None else key.encode()
    record = Record(
        topic=named, partition=0, offset=0, timestamp=now, key=key_bytes, value=value, headers=pairs
    )
    made = Translator(mapping).translate(record)
    for each in made:
        told = _told(each)
        click.echo(orjson.dumps(told).decode() if wants_json else _line(told))
    sys.exit(1 if any(isinstance(each, BadEventError) for each in made) else 0)


def _mapping(found: SourcesFile, topic: str | None) -> tuple[TopicMapping | None, str]:
    named = topic or (next(iter(found.topics)) if len(found.topics) == 1 else None)
    if named is None:
        return None, ""
    if named not in found.topics:
        raise ValueError(f"--topic {named!r}: the file has {', '.join(found.topics)}; name one of them")
    return found.topics[named], named


def _value(sample: Path) -> bytes:
    with sample.open("rb") as file:
        return file.read(MAX_MESSAGE_BYTES + 1)


def _header(text: str) -> tuple[str, bytes]:
    name, given, value = text.partition("=")
    if not given or not name:
        raise ValueError(f"--header {text!r}: NAME=TEXT is wanted, such as ce_type=image.deleted")
    return name, value.encode()


def _told(made: Made) -> dict[str, Any]:
    """What was made, as `--json` prints it."""
    if isinstance(made, Skipped):
        return {"becomes": "nothing", "reason": made.reason}
    if isinstance(made, BadEventError):
        return {"becomes": "dead letter", "code": made.code, "reason": str(made)}
    attributes = {
        name.removeprefix("ce_"): text.decode() for name, text in made.headers if name.startswith("ce_")
    }
    return {"becomes": "event", "attributes": attributes, "event": msgspec.json.decode(made.value)}


def _line(told: Mapping[str, Any]) -> str:
    if told["becomes"] == "nothing":
        return f"skipped: {told['reason']}"
    if told["becomes"] == "dead letter":
        return f"dead letter ({told['code']}): {told['reason']}"
    kind = told["attributes"].get("type") or told["event"].get("type")
    return f"{kind}: {orjson.dumps(told['event']).decode()}"
