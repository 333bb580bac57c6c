"""Tag photos from the command line, without Kafka.

    python -m model photo.jpg ... [--artifact FOLDER] [--json] [--limit N]

Exit status: 0 when every photo was tagged, 1 when one could not be, 2 when nothing could be started.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from model.decoding.errors import BadImageError
from model.parts.combined import CombinedTagger
from model.tagger.manifest import ManifestError
from model.tagger.tagger import Tagger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model.tagger.vocabulary import Tag


def main(arguments: Sequence[str] | None = None) -> int:
    """Tag each photo, print its tags, and go on past those that cannot be read."""
    options = _parser().parse_args(arguments)
    try:
        tagger = CombinedTagger.load() if options.artifact is None else Tagger.load(options.artifact)
    except ManifestError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    done = [_tag_one(tagger, path, options.limit, as_json=options.json) for path in options.photos]
    return 0 if all(done) else 1


def _tag_one(tagger: Tagger | CombinedTagger, path: Path, limit: int, *, as_json: bool) -> bool:
    try:
        (tags,) = tagger.tag([path.read_bytes()])
    except OSError as error:
        sys.stderr.write(f"{path}: {error.strerror or error}\n")
        return False
    except BadImageError as error:
        sys.stderr.write(f"{path}: {error.code}: {error}\n")
        return False
    shown = tags[:limit] if limit else tags
    sys.stdout.write(_as_json(path, shown, tagger) if as_json else _as_text(path, shown))
    return True


def _as_text(path: Path, tags: list[Tag]) -> str:
    lines = [f"  {tag.confidence:.3f}  {tag.name}" for tag in tags] or ["  (no tag is likely enough)"]
    return "\n".join([str(path), *lines, ""])


def _as_json(path: Path, tags: list[Tag], tagger: Tagger | CombinedTagger) -> str:
    rows = [{key: _rounded(value) for key, value in asdict(tag).items()} for tag in tags]
    model = {"name": tagger.name, "version": tagger.version}
    return json.dumps({"photo": str(path), "model": model, "tags": rows}, ensure_ascii=False) + "\n"


def _rounded(value: str | float) -> str | float:
    return round(value, 4) if isinstance(value, float) else value


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model", description="Tag photos.")
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    parser.add_argument(
        "--artifact", type=Path, metavar="FOLDER", help="a model folder other than the default"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per photo and line")
    parser.add_argument("--limit", type=_count, default=0, metavar="N", help="print the best N tags only")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(
            f"{text} is not a number of tags: use 1 or more, or leave it out for all"
        )
    return number


if __name__ == "__main__":
    sys.exit(main())
