"""Labelled photos: a CSV file with the columns file and tag, one row per true tag."""

from __future__ import annotations

import csv
import difflib
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from pathlib import Path

COLUMNS = ("file", "tag")
_SHOWN = 10


class LabelsError(ValueError):
    """Labels cannot be used as they are; the message names the value, the rule and the cure."""


def read_rows(path: Path) -> dict[str, list[str]]:
    """Read the tags of each file, in the order of their first rows.

    A row without a tag says that none of the tags is true.

    Raises:
        LabelsError: The file cannot be read, has another header, or a row with too many or too few fields.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        cure = "name a CSV file with the columns file,tag"
        raise LabelsError(f"cannot read {path} ({error.strerror}): {cure}") from error
    except UnicodeDecodeError as error:
        raise LabelsError(
            f"{path} is not UTF-8 ({error.reason} at byte {error.start}): save it so"
        ) from error
    rows = csv.reader(io.StringIO(text, newline=""))
    _check_header(next(rows, []), path)
    found: dict[str, list[str]] = {}
    for fields in rows:
        if fields:
            file, tag = _fields(fields, path, rows.line_num)
            found.setdefault(file, []).extend([tag] if tag else [])
    if not found:
        raise LabelsError(f"{path} has no rows: write one line FILE,TAG for each true tag of a photo")
    return found


def check_files(files: Iterable[str], folder: Path) -> None:
    """Make sure that every photo is there.

    Raises:
        LabelsError: One is not, or lies outside the folder.
    """
    missing = [file for file in files if not _inside(folder, file)]
    if missing:
        shown = "\n".join(f"  {file}" for file in missing[:_SHOWN])
        more = f"\n  and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        cure = "put the photos there, or correct the rows (paths are relative to the folder)"
        raise LabelsError(
            f"not in {folder}, but in the labels: {counted(len(missing), 'photo')}; {cure}:\n{shown}{more}"
        )


def indexes_of(tags: Iterable[str], names: Sequence[str], *, ignore_unknown: bool) -> dict[str, int]:
    """Find each tag among a tagger's tag names, whatever their case.

    Args:
        tags: As the labels name them.
        names: The tagger's.
        ignore_unknown: Leave out what the tagger does not know.

    Raises:
        LabelsError: A tag is unknown and that is not to be ignored; the message has the nearest known ones.
    """
    exact = {name: index for index, name in enumerate(names)}
    folded = {name.casefold(): index for index, name in enumerate(names)}
    wanted = dict.fromkeys(tags)
    found = {tag: exact.get(tag, folded.get(tag.casefold(), -1)) for tag in wanted}
    unknown = [tag for tag, index in found.items() if index < 0]
    if unknown and not ignore_unknown:
        raise LabelsError(_unknown(unknown, folded.keys()))
    return {tag: index for tag, index in found.items() if index >= 0}


def counted(count: int, thing: str) -> str:
    """A number and a noun, as in 1 photo and 2 photos."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _check_header(fields: list[str], path: Path) -> None:
    if tuple(field.strip().casefold() for field in fields) != COLUMNS:
        found = ",".join(fields) or "nothing"
        raise LabelsError(
            f"{path} starts with {found!r}: its first line must be 'file,tag'; correct or add it"
        )


def _fields(fields: list[str], path: Path, line: int) -> tuple[str, str]:
    if len(fields) != len(COLUMNS) or not fields[0].strip():
        cure = 'a value with a comma needs quotes, as in "a,b.jpg",dog'
        raise LabelsError(f"{path} line {line} is {','.join(fields)!r}: a row is FILE,TAG; {cure}")
    return fields[0].strip(), fields[1].strip()


def _inside(folder: Path, file: str) -> bool:
    path = (folder / file).resolve()
    return path.is_relative_to(folder.resolve()) and path.is_file()


def _unknown(unknown: list[str], names: Collection[str]) -> str:
    lines = [f"  {tag!r}: {_nearest(tag, names)}" for tag in unknown[:_SHOWN]]
    if len(unknown) > _SHOWN:
        lines.append(f"  and {len(unknown) - _SHOWN} more")
    cure = "correct the rows, or leave these tags out with --ignore-unknown"
    count = counted(len(unknown), "tag")
    return f"not among the tagger's {len(names):,} tags: {count}; {cure}:\n" + "\n".join(lines)


def _nearest(tag: str, names: Collection[str]) -> str:
    close = difflib.get_close_matches(tag.casefold(), names, n=3)
    close += [name for name in names if tag.casefold() in name.split() and name not in close][
        : 3 - len(close)
    ]
    return f"did you mean {', '.join(map(repr, close))}?" if close else "nothing like it"
