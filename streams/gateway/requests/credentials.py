"""Credentials: clouds, their keys and presets, as the operator's file tells them.

[[cloud]]
name = "demo"                     # in the path of every call, and the tenant of its images
# signature_algorithm = "sha256"  # of answers and notifications; sha1 if not given
# notification_url = "https://…"  # gets all notifications; a list where there are several
# ambiguous_signatures = true     # version 1 also where a value has a `&`: old SDKs with such values

[[cloud.key]]
id = "674312985231748"
secret = "…"
# may = ["read"]                  # of read, write, delete, tag; all if not given
# uploads_per_second = 10         # no limit if not given
# admin_per_hour = 500            # calls of the Admin API
# concurrent = 16                 # calls at once

[[cloud.preset]]
name = "phones"
unsigned = true                   # anybody may use it, without a key
categorization = "imagga_tagging" # and any other option of an upload
auto_tagging = 0.4
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from streams.gateway.requests.signature import Algorithm

CLOUD_NAME = r"^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$"
ADMIN_PER_HOUR = 1_000_000
CONCURRENT = 64
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[!-9;-~]+$")]
_Secret = Annotated[str, msgspec.Meta(min_length=8, max_length=256, pattern=r"^[!-~]+$")]
_Url = Annotated[str, msgspec.Meta(max_length=2048, pattern=r"^https?://[!-~]+$")]


class Right(StrEnum):
    """What a key may do; none of them includes another."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    TAG = "tag"


MEANINGS = {
    Right.READ: "List, search and look at assets; usage and configuration.",
    Right.WRITE: "Upload, replace, rename and describe assets.",
    Right.DELETE: "Destroy assets.",
    Right.TAG: "Ask Imagga's API for tags of images that are not kept.",
}


class Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A key of a cloud."""

    id: _Name
    secret: _Secret
    may: Annotated[frozenset[Right], msgspec.Meta(min_length=1)] = frozenset(Right)
    uploads_per_second: Annotated[float, msgspec.Meta(ge=0, le=100_000)] = 0.0
    admin_per_hour: Annotated[int, msgspec.Meta(ge=1, le=1_000_000_000)] = ADMIN_PER_HOUR
    concurrent: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = CONCURRENT


@dataclass(frozen=True)
class Preset:
    """Options of uploads under a name.

    Attributes:
        unsigned: Whether uploads without a signature may use it.
        options: Texts of upload options by name.
    """

    name: str
    unsigned: bool
    options: Mapping[str, str]


@dataclass(frozen=True)
class Cloud:
    """A cloud: a tenant with its keys.

    Attributes:
        keys: By id.
        presets: By name.
        ambiguous_signatures: Whether signatures of version 1 count although a value has a `&`.
    """

    name: str
    keys: Mapping[str, Key]
    presets: Mapping[str, Preset] = field(default_factory=dict)
    signature_algorithm: Algorithm = Algorithm.SHA1
    notification_urls: Sequence[str] = ()
    ambiguous_signatures: bool = False

    @property
    def signing_key(self) -> Key:
        """Give the key that signs answers and notifications where no caller's is at hand: the first."""
        return next(iter(self.keys.values()))


class Credentials:
    """All clouds of one reading of the file."""

    def __init__(self, clouds: Sequence[Cloud], signature: tuple[int, ...] = ()) -> None:
        """Take them in.

        Args:
            clouds: The clouds, each with a name of its own.
            signature: Tells this state of the file from others.
        """
        self.clouds = {cloud.name: cloud for cloud in clouds}
        self.signature = signature

    def cloud(self, name: str) -> Cloud | None:
        """Give the cloud of a name."""
        return self.clouds.get(name)

    def key(self, cloud: str, key_id: str, secret: str) -> Key | None:
        """Give the key whose id and secret these are; it takes as long whichever of them is wrong."""
        held = self.clouds.get(cloud)
        key = held.keys.get(key_id) if held else None
        right = hmac.compare_digest((key or _NOBODY).secret.encode(), secret.encode())
        return key if right else None

    @property
    def keys(self) -> int:
        """Give the number of keys."""
        return sum(len(cloud.keys) for cloud in self.clouds.values())


_NOBODY = Key("nobody", "x" * 27)


class PresetEntry(msgspec.Struct, frozen=True):
    """The fields of a `[[cloud.preset]]` that are no options."""

    name: _Name
    unsigned: bool = False


class CloudEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A `[[cloud]]` as it is written."""

    name: Annotated[str, msgspec.Meta(pattern=CLOUD_NAME)]
    key: Annotated[list[Key], msgspec.Meta(min_length=1)]
    preset: list[dict[str, Any]] = []
    signature_algorithm: Algorithm = Algorithm.SHA1
    notification_url: _Url | list[_Url] = []
    ambiguous_signatures: bool = False


class Entries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    cloud: list[CloudEntry] = []
