"""What a message of a source says: changes of images, what is passed over, and what is wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from schemas.cloudevents import Headers
from schemas.errors import BadEventError
from schemas.uploads import UploadType


class Message(msgspec.Struct, frozen=True):
    """A record of a source's topic."""

    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an image, in the words of its source.

    Attributes:
        kind: What happened to the image.
        source: Who says so; with `id` the same for each delivery of the change.
        id: None: nothing in the message is; the record's place is what tells it apart.
        values: What templates may name, by dotted path.
        time: When it happened, RFC 3339; None: it is not said.
        version: Higher ones are later.
        sequencer: The same as hexadecimal digits of any length.
        before: The values before an update, where the message has all of them.
        event: An upload event that the message holds whole; its fields count where no template names them.
    """

    kind: UploadType
    source: str
    id: str | None
    values: Mapping[str, Any]
    time: str | None = None
    version: int | None = None
    sequencer: str | None = None
    event: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None


class Skipped(msgspec.Struct, frozen=True):
    """What is no change of an image's bytes, and why."""

    reason: str


ONE_VERSION = 'one version is removed, there may be others; removed_versions = "delete"'

Outcome = Change | Skipped | BadEventError
Outcomes = Sequence[Outcome]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the operator says of how messages are read.

    Attributes:
        removed_versions: Whether the removal of one version of an object removes the image.
        escaped: Whether keys are escaped; None: as the vendor does it.
        types: What the source's own types mean: upload, update, delete or skip.
        type: Template of a message's type, for sources that have no place of their own for it.
        tombstones: Whether a key without a value removes the image.
        wants_event: Whether messages hold upload events whole: the mapping names no image's fields.
    """

    removed_versions: bool = False
    escaped: bool | None = None
    types: Mapping[str, str] = {}
    type: str | None = None
    tombstones: bool = False
    wants_event: bool = False


Reader = Callable[[Message, Options], Outcomes]


def each(items: Sequence[Any], read: Callable[[Any], Outcome]) -> list[Outcome]:
    """Read the parts of a message: one that is wrong is told, and holds up none of the others."""

    def safely(item: Any) -> Outcome:  # noqa: ANN401 - JSON
        try:
            return read(item)
        except BadEventError as error:
            return error

    return [safely(item) for item in items]
