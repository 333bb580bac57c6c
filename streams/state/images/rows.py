"""Rows of images, read back in full; see `streams.fold.rows` for what is in them."""

from collections.abc import Mapping

import msgspec

from streams.fold.rows import ImageKey, State

TABLE = "images"


class Change(msgspec.Struct, frozen=True):
    """A change of an image's tags; those of long ago have a model, but not whose it was."""

    at: int
    cause: tuple[str, str, str]
    added: list[str]
    removed: list[str]
    model: tuple[str, str] | None = None
    models: dict[str, tuple[str, str]] = {}
    rules: str | None = None
    by: str | None = None
    places: dict[str, list[int]] = msgspec.field(name="from", default_factory=dict)


class People(msgspec.Struct, frozen=True):
    """What people said of an image's tags; see `streams.fold.people`."""

    tags: dict[str, tuple[str, int, int, str | None, str, str]] = {}


class ImageRow(msgspec.Struct, frozen=True, kw_only=True):
    """An image's row."""

    at: int
    cause: tuple[str, str, str]
    tags: list[str]
    by: list[list[str]]
    version: int | str | None = None
    user: str | None = None
    url: str | None = None
    scores: dict[str, list[tuple[str, float]]] = {}
    raw: dict[str, list[tuple[str, float]]] = {}
    model: tuple[str, str] | None = None
    models: dict[str, tuple[str, str]] = {}
    own_from: tuple[str, str, str] | None = None
    people: People = People()
    rules: str | None = None
    phash: str | None = None
    thumb: str | None = None
    embedding: str | None = None
    failed: dict[str, str] = {}
    words: dict[str, list[tuple[str, float]]] = {}
    history: list[Change] = []
    deleted: bool = False


class _Address(msgspec.Struct):
    url: str | None = None


_decode = msgspec.json.Decoder(ImageRow).decode
_decode_address = msgspec.json.Decoder(_Address).decode


def find_image(states: Mapping[int, State], tenant: str, public_id: str) -> tuple[int, ImageRow] | None:
    """An image's row and the partition that has it.

    Records that were published under another key than their image may have put it into several partitions;
    the newest row is given.
    """
    key = ImageKey(tenant, public_id).encode()
    rows = {partition: state.rows[TABLE].get(key) for partition, state in states.items()}
    found = [(partition, _decode(row)) for partition, row in rows.items() if row is not None]
    return max(found, key=lambda it: (it[1].at, it[0]), default=None)


def find_url(states: Mapping[int, State], partition: int, key: str) -> str | None:
    """An image's address; None where it is not kept, or where the image has gone meanwhile."""
    state = states.get(partition)
    row = None if state is None else state.rows[TABLE].get(key)
    return None if row is None else _decode_address(row).url
