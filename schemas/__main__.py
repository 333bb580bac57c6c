"""`python -m schemas` writes what is made from the types: JSON Schemas and the AsyncAPI document.

`--check` says whether they are up to date and compatible with every release; `--release` keeps them as those
of this one.
"""

import sys
from importlib.metadata import version
from pathlib import Path

from schemas.contracts.asyncapi import as_json, document
from schemas.contracts.compatibility import breaks, present_schemas, read_releases
from schemas.json_schemas import rendered
from schemas.streams.records import STREAMS
from schemas.topics import TopicNames

FOLDER = Path(__file__).parent / "json"
DOCUMENT = "asyncapi.json"
RELEASED = "released"


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write, check or keep what lies in the folder of schemas and beside it; return the exit status."""
    commands = {(): _write, ("--check",): _check, ("--release",): _release}
    command = commands.get(tuple(arguments))
    if command is None:
        sys.stderr.write("usage: python -m schemas [--check | --release]\n")
        return 2
    return command(folder)


def channels_document() -> str:
    """The AsyncAPI document of a deployment with the default names and all streams."""
    names = TopicNames("tagstream", streams=STREAMS)
    return as_json(document(names, version("tagstream"))).decode()


def _write(folder: Path) -> int:
    wanted = rendered()
    folder.mkdir(exist_ok=True)
    for path in set(folder.glob("*.schema.json")) - {folder / name for name in wanted}:
        path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder.parent / DOCUMENT).write_text(channels_document(), encoding="utf-8", newline="\n")
    sys.stdout.write(f"{len(wanted)} schemas written to {folder}, and {DOCUMENT} beside it\n")
    return 0


def _check(folder: Path) -> int:
    wanted = {**rendered(), DOCUMENT: channels_document()}
    places = [*folder.glob("*.schema.json"), *folder.parent.glob(DOCUMENT)]
    there = {path.name: path.read_text(encoding="utf-8") for path in places}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if stale:
        names = ", ".join(stale)
        sys.stderr.write(f"{folder}: out of step with the types: {names}; run `python -m schemas`\n")
        return 1
    releases = read_releases(folder.parent / RELEASED)
    broken = [*breaks(releases, present_schemas())]
    for each in broken:
        sys.stderr.write(f"{each}\n")
    if broken:
        return 1
    sys.stdout.write(f"{folder}: up to date, compatible with {', '.join(releases) or 'no release yet'}\n")
    return 0


def _release(folder: Path) -> int:
    path = folder.parent / RELEASED / f"{version('tagstream')}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(as_json(present_schemas()))
    sys.stdout.write(f"{path} has the schemas of this release\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
