"""Fields of assets that expressions, sorting and aggregates know."""

from collections.abc import Callable
from dataclasses import dataclass

from streams.gateway.search.candidates import Candidate

Texts = Callable[[Candidate], list[str]]
Number = Callable[[Candidate], float | None]
CONTEXT = "context."


@dataclass(frozen=True)
class TextField:
    """A field with texts, of which one must fit."""

    texts: Texts


@dataclass(frozen=True)
class NumberField:
    """A field with a number; None: it has none."""

    number: Number


@dataclass(frozen=True)
class TimeField:
    """A field with milliseconds since the epoch."""

    number: Number


Field = TextField | NumberField | TimeField


def _one(get: Callable[[Candidate], str | None]) -> TextField:
    def texts(found: Candidate) -> list[str]:
        text = get(found)
        return [text] if text else []

    return TextField(texts)


def _filename(found: Candidate) -> str:
    return found.public_id.rpartition("/")[2]


def _display_name(found: Candidate) -> str:
    return found.asset.display_name or _filename(found)


def _pixels(found: Candidate) -> float | None:
    asset = found.asset
    return None if asset.width is None or asset.height is None else asset.width * asset.height


def _aspect_ratio(found: Candidate) -> float | None:
    asset = found.asset
    return asset.width / asset.height if asset.width and asset.height else None


def _anywhere(found: Candidate) -> list[str]:
    asset = found.asset
    texts = [found.public_id, *found.tags, *asset.context.values()]
    return texts + [each for each in (asset.format, asset.display_name, asset.asset_folder) if each]


ANYWHERE = TextField(_anywhere)
"""What a term without a field looks at."""

FIELDS: dict[str, Field] = {
    "access_mode": _one(lambda found: found.asset.access_mode),
    "aspect_ratio": NumberField(_aspect_ratio),
    "asset_folder": _one(lambda found: found.asset.asset_folder),
    "asset_id": _one(lambda found: found.asset.asset_id),
    "bytes": NumberField(lambda found: found.asset.bytes),
    "created_at": TimeField(lambda found: found.asset.created_at),
    "display_name": _one(_display_name),
    "etag": _one(lambda found: found.asset.etag),
    "filename": _one(_filename),
    "folder": _one(lambda found: found.public_id.rpartition("/")[0]),
    "format": _one(lambda found: found.asset.format),
    "height": NumberField(lambda found: found.asset.height),
    "pixels": NumberField(_pixels),
    "public_id": _one(lambda found: found.public_id),
    "resource_type": _one(lambda found: found.asset.resource_type),
    "status": _one(lambda _: "active"),
    "tags": TextField(lambda found: found.tags),
    "type": _one(lambda found: found.asset.type),
    "uploaded_at": TimeField(lambda found: found.at),
    "version": NumberField(lambda found: found.asset.version),
    "width": NumberField(lambda found: found.asset.width),
}
SORTED_BY = frozenset(FIELDS) - {"tags"}
COUNTED_BY = frozenset({"format", "resource_type", "type", "asset_folder", "folder", "tags"})
COUNTED_IN_RANGES = frozenset({"aspect_ratio", "bytes", "height", "pixels", "width"})


def field_of(name: str) -> Field | None:
    """Give a field by name; None: there is none. `context.stage` is a key of the context."""
    if not name:
        return ANYWHERE
    if name.startswith(CONTEXT):
        key = name[len(CONTEXT) :]
        return _one(lambda found: found.asset.context.get(key))
    return FIELDS.get(name)
