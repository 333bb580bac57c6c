"""`python -m schemas` writes the JSON Schema files; `--check` says whether they are up to date."""

import sys
from pathlib import Path

from schemas.json_schemas import rendered

FOLDER = Path(__file__).parent / "json"


def main(arguments: list[str], folder: Path = FOLDER) -> int:
    """Write or check the schema files; return the exit status."""
    if arguments not in ([], ["--check"]):
        sys.stderr.write("usage: python -m schemas [--check]\n")
        return 2
    return _check(folder) if arguments else _write(folder)


def _write(folder: Path) -> int:
    wanted = rendered()
    folder.mkdir(exist_ok=True)
    for path in set(folder.glob("*.schema.json")) - {folder / name for name in wanted}:
        path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    sys.stdout.write(f"{len(wanted)} schemas written to {folder}\n")
    return 0


def _check(folder: Path) -> int:
    wanted = rendered()
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.schema.json")}
    stale = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
    if stale:
        names = ", ".join(stale)
        sys.stderr.write(f"{folder}: out of step with the types: {names}; run `python -m schemas`\n")
        return 1
    sys.stdout.write(f"{folder}: up to date\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
