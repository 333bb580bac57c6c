"""Whose an image is, and which tags came with it, where its event does not tell.

Such a state inherits what the latest event that did has told, by event time and place. A row has that under
"told" where the event of its state told nothing, or a later one has told something else since:
{"user" or "own": [value, event time in ms, source offset, [source, id, type] or null, whether inherited]}
"""

from typing import Any, NamedTuple

from schemas.uploads import Upload, UploadType
from streams.fold.changes import Row
from streams.fold.precedence.standing import placed

_NOTHING: dict[str, Any] = {"user": None, "own": []}  # where no event told


class Telling(NamedTuple):
    """What an event told, when and where; of own tags which event it was."""

    value: Any
    at: int
    offset: int
    cause: list[str] | None

    @property
    def rank(self) -> tuple[int, int]:
        """Its place in the order of tellings."""
        return self.at, self.offset


def tell(row: Row, old: Row | None, upload: Upload, offset: int) -> Row:
    """The row of an event's state with what that tells, and what it inherits where it tells nothing."""
    row = {name: value for name, value in row.items() if name not in {"told", "own_from"}}
    for name in _NOTHING:
        mine, latest = _telling_of(upload, offset, name), _latest(old, name)
        row = _shown(row, name, mine or latest, inherited=mine is None)
        if mine is not None and not mine.value and not row.get("deleted"):
            row = _noted(row, name, mine, inherits=False)
        if latest is not None and (mine is None or latest.rank > mine.rank):
            row = _noted(row, name, latest, inherits=mine is None)
    return row


def overhear(row: Row, upload: Upload, offset: int) -> Row:
    """A row after an event that did not become its state has told something."""
    tellings = ((name, _telling_of(upload, offset, name)) for name in _NOTHING)
    for name, telling in tellings:
        row = _later(row, name, telling)
    return row


def inherit(row: Row, old: Row) -> Row:
    """The row of a state that comes back, with what was told while another one was known."""
    for name in _NOTHING:
        row = _later(row, name, _latest(old, name))
    return row


def _later(row: Row, name: str, telling: Telling | None) -> Row:
    latest = _latest(row, name)
    if telling is None or (latest is not None and latest.rank >= telling.rank):
        return row
    told = row.get("told", {}).get(name)
    inherits = told[4] if told is not None else latest is None
    if inherits:
        row = _shown(row, name, telling, inherited=True)
    return _noted(row, name, telling, inherits=inherits)


def _telling_of(upload: Upload, offset: int, name: str) -> Telling | None:
    """What an event tells; None: nothing. A deletion tells that no tags are left."""
    told: Any
    if name == "user":
        told, cause = upload.data.user_id, None
    else:
        told = [] if upload.type is UploadType.DELETED else upload.data.tags
        cause = [upload.source, upload.id, upload.type.value]
    return None if told is None else Telling(told, upload.at, offset, cause)


def _latest(row: Row | None, name: str) -> Telling | None:
    """The latest telling of any event of the image."""
    if row is None:
        return None
    told = row.get("told", {}).get(name)
    if told is not None:
        return Telling(*told[:4])
    if not row[name] and not (name == "own" and row.get("deleted")):
        return None
    cause = row.get("own_from", row["cause"]) if name == "own" else None
    return Telling(row[name], int(row["at"]), placed(row), cause)


def _shown(row: Row, name: str, telling: Telling | None, *, inherited: bool) -> Row:
    row = row | {name: _NOTHING[name] if telling is None else telling.value}
    if name != "own":
        return row
    row.pop("own_from", None)
    return row | ({"own_from": telling.cause} if inherited and telling and telling.value else {})


def _noted(row: Row, name: str, telling: Telling, *, inherits: bool) -> Row:
    return row | {"told": row.get("told", {}) | {name: [*telling, inherits]}}
