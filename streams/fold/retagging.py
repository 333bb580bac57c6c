"""Re-tags: an image's tags anew, by other rules or another model, while the image stays what it is.

Its event time, version and owner stay, so its counts stay in their windows. What people said stays. Whatever
changed the image after the re-tag looked at it wins: it was tagged by what holds now.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from schemas.dead_letters import Fault
from schemas.errors import BadEventError
from schemas.results import ModelInfo
from streams.fold.changes import Changes, Row
from streams.fold.images import models_of
from streams.fold.outcomes import Rederived, Rejected, Tagged
from streams.fold.rows import ImageKey


class SecondLook(NamedTuple):
    """What a look at a known image needs.

    Attributes:
        add_ons: Those that looked at it before, or failed to, as far as they are offered.
        asked: The threshold that its event named.
        basis: Source, id and type of the event whose findings are to be replaced.
    """

    url: str
    add_ons: tuple[str, ...]
    asked: float | None
    basis: list[str]


def second_look(
    row: Row, offered: Mapping[str, ModelInfo], default_add_ons: tuple[str, ...], *, always: bool = False
) -> SecondLook | None:
    """What a new look at an image needs; None: it needs none.

    Args:
        row: The image's.
        offered: The model behind each add-on.
        default_add_ons: Those that look at images whose own are gone.
        always: Whether a look is due where the present models have had one.

    Raises:
        BadEventError: The image cannot be fetched again.
    """
    before, failed = models_of(row), row.get("failed", {})
    if not before and not failed:
        return None  # nobody was asked to look at it
    add_ons = tuple(name for name in before | failed if name in offered) or default_add_ons
    if row.get("deleted"):
        return None
    if not always and not failed and before == {name: offered.get(name) for name in add_ons}:
        return None
    if row["url"] is None:
        raise BadEventError("unknown_image", "the image was given as a `data:` URL, which is not kept")
    return SecondLook(row["url"], add_ons, row.get("asked"), row["cause"])


def checked_retag(changes: Changes, rederived: Rederived) -> Rederived | Rejected:
    """What becomes of a re-tag by rules, now that everything before it is applied."""
    upload = rederived.upload
    if changes.get("images", ImageKey.of(upload).encode()) is not None:
        return rederived
    message = f"image {upload.public_id[:64]!r} is not known; publish its upload first"
    fault = Fault("unknown_image", "parse", False, BadEventError.__name__, message)
    return Rejected(fault, upload)


def is_settled(row: Row, outcome: Tagged | Rederived) -> bool:
    """Whether a re-tag has nothing to do: it was done, or something newer has overtaken it."""
    upload = outcome.upload
    if row.get("deleted") or row["cause"][:2] == [upload.source, upload.id]:
        return True
    if isinstance(outcome, Tagged):
        return bool(outcome.basis != row["cause"])
    return "asked" not in row  # an old row: the threshold that its event named is not known


def of_image(tagged: Tagged, row: Row) -> Tagged:
    """A re-tag's findings as those of the image: with its time, version and owner."""
    upload = tagged.upload
    version = row["version"]
    named = {"version": version} if not isinstance(version, str) else {"sequencer": version}
    data = msgspec.structs.replace(upload.data, user_id=row["user"], **named)
    told = msgspec.structs.replace(upload, at=row["at"], data=data)
    return dataclasses.replace(tagged, upload=told)
