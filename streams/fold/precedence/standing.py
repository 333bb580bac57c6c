"""Which upload or deletion an image's state is that of.

Of those with a version the ones of the highest version alone count. Among them and those without a version
the latest event time wins, of equal times the place in the log. So a state without a version may be behind
one that has a version, and comes back where a higher version of an earlier time ends that: it is kept.
"""

from enum import Enum, auto

from schemas.uploads import Upload, Version, rank_of
from streams.fold.changes import Row

_OF_THE_IMAGE = {"o", "ids", "history", "tenant", "version", "unversioned", "behind", "people"}  # any state


class Standing(Enum):
    """What an upload or a deletion is beside the state that is known."""

    WINS = auto()
    LOSES = auto()
    BEHIND = auto()  # it loses, and would win if no event had a version
    UNCOVERS = auto()  # it ends the known state, and loses to the one behind that


def placed(row: Row) -> int:
    """The offset of the upload or deletion that counts."""
    return int(row["placed"] if "placed" in row else row["o"])


def rank(row: Row) -> tuple[int, int]:
    """The event time of the one that counts, and its place."""
    return int(row["at"]), placed(row)


def standing(upload: Upload, offset: int, row: Row) -> Standing:
    """How an upload or a deletion stands to the image's known state."""
    mine, version, highest = (upload.at, offset), upload.version, row["version"]
    later, behind = mine >= rank(row), row.get("behind")
    if version is None:
        if later or not _is_versioned(row):
            return Standing.WINS if later else Standing.LOSES
        return Standing.BEHIND if behind is None or mine >= rank(behind) else Standing.LOSES
    if highest is not None and rank_of(version) < rank_of(highest):
        return Standing.LOSES
    if _is_versioned(row) and rank_of(version) > rank_of(highest):
        return Standing.UNCOVERS if behind is not None and mine < rank(behind) else Standing.WINS
    return Standing.WINS if later else Standing.LOSES


def versions(old: Row | None, upload: Upload) -> Row:
    """What a row that becomes an event's state has of versions, and of what is behind that state."""
    if old is None:
        return {"version": upload.version}
    found: Row = {"version": highest_version(old, upload)}
    if upload.version is None:
        return found | ({"unversioned": True} if old["version"] is not None else {})
    if not _is_versioned(old):
        return found | {"behind": state_of(old)}
    return found | ({"behind": old["behind"]} if "behind" in old else {})


def raised_version(old: Row, upload: Upload) -> Row:
    """What a row whose state stays has of versions after an event."""
    highest = highest_version(old, upload)
    if highest == old["version"] or _is_versioned(old):
        return {"version": highest}
    return {"version": highest, "unversioned": True}


def highest_version(old: Row, upload: Upload) -> Version | None:
    """The highest version that any event of the image had."""
    known = [each for each in (old["version"], upload.version) if each is not None]
    return max(known, key=rank_of, default=None)


def state_of(row: Row) -> Row:
    """What a row has of its state alone, so that it can come back."""
    state = {name: value for name, value in row.items() if name not in _OF_THE_IMAGE}
    hidden = row.get("people", {}).get("hidden")
    return state | {"placed": placed(row)} | ({"hidden": hidden} if hidden else {})


def uncovered(old: Row) -> Row:
    """An image's row as the state behind the known one has it, before people are heard."""
    row = {name: value for name, value in old.items() if name in _OF_THE_IMAGE - {"behind"}}
    row |= old["behind"] | {"unversioned": True}
    hidden = row.pop("hidden", {})
    people = {name: value for name, value in old.get("people", {}).items() if name != "hidden"}
    people |= {"hidden": hidden} if hidden else {}
    row.pop("people", None)
    return row | ({"people": people} if people else {})


def _is_versioned(row: Row) -> bool:
    """Whether the state is that of an event with a version; that of an old row is, where it names one."""
    return row["version"] is not None and not row.get("unversioned")
