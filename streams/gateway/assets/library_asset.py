"""An asset as it is committed: read from its image's row."""

import hashlib
from typing import Any

import msgspec

from schemas.assets import Asset, row_id
from streams.fold.rows import ImageKey


class LibraryAsset(msgspec.Struct, frozen=True, gc=False):
    """An asset of a cloud with what is said of it.

    Attributes:
        row: The public id under which its row lies.
        asset: What is known of its bytes; of an image that was published without one, what its row tells.
        at: When the last upload of it was, milliseconds since the epoch.
        url: Where its bytes were fetched from; None: they are not known to lie anywhere.
        tags: All its tags: people's and its own in the order in which they came, then the add-ons' best.
        sources: For each tag what it is from: `own`, `people` or add-ons.
        scores: For each add-on each tag with its confidence, best first.
        failed: Why each of the other add-ons failed at the last look.
        asked: The threshold that its event named.
        edited_at: Time of people's last edit of its tags, milliseconds since the epoch; 0: there is none.
        thumb: The digest that its small picture lies under; None: there is none.
        words: What each add-on that reads found in it.
        phash: The perceptual hash of its bytes; None: it has none, or nobody looked at them.
    """

    cloud: str
    row: str
    public_id: str
    asset: Asset
    at: int
    url: str | None
    tags: list[str]
    sources: list[list[str]]
    scores: dict[str, list[tuple[str, float]]]
    failed: dict[str, str]
    asked: float | None
    edited_at: int = 0
    thumb: str | None = None
    phash: str | None = None
    words: dict[str, list[tuple[str, float]]] = {}

    @property
    def own_tags(self) -> list[str]:
        """Tags that its owner or people gave it."""
        return [
            tag
            for tag, by in zip(self.tags, self.sources, strict=True)
            if not {"own", "people"}.isdisjoint(by)
        ]

    def matches(self, resource_type: str, kind: str) -> bool:
        """Whether it is of a resource type, and delivered in a way."""
        return (self.asset.resource_type, self.asset.type) == (resource_type, kind)


class _Row(msgspec.Struct, gc=False):
    """The fields of an image's row that make an asset."""

    at: int
    version: int | None = None
    url: str | None = None
    tags: list[str] = []
    by: list[list[str]] = []
    scores: dict[str, list[tuple[str, float]]] = {}
    failed: dict[str, str] = {}
    asked: float | None = None
    asset: Asset | None = None
    people: "_People | None" = None
    thumb: str | None = None
    phash: str | None = None
    words: dict[str, list[tuple[str, float]]] = {}


class _People(msgspec.Struct, gc=False):
    tags: dict[str, tuple[str, int, int, str | None, str, str]] = {}

    @property
    def edited_at(self) -> int:
        """Time of the last decision."""
        return max((decision[1] for decision in self.tags.values()), default=0)


class Head(msgspec.Struct, gc=False):
    """What tells an asset from others."""

    deleted: bool = False
    asset: "_AssetHead | None" = None

    @property
    def asset_id(self) -> str | None:
        """Its id, where its event told one."""
        return self.asset.asset_id if self.asset else None


class _AssetHead(msgspec.Struct, gc=False):
    asset_id: str


class Latest(msgspec.Struct, gc=False):
    """When an image was last uploaded or deleted, in milliseconds since the epoch, and its version then."""

    at: int = 0
    version: int | None = None


class Events(msgspec.Struct, gc=False):
    """The keys of the last events that changed an image."""

    ids: dict[str, int] | list[str] = []  # a list in old rows
    people: "_Edits | None" = None

    def hold(self, key: str) -> bool:
        """Whether an event is one of them."""
        return key in self.ids or (self.people is not None and key in self.people.ids)


class _Edits(msgspec.Struct, gc=False):
    ids: dict[str, int] | list[str] = []  # a list in old rows


decode_head = msgspec.json.Decoder(Head).decode
decode_latest = msgspec.json.Decoder(Latest).decode
decode_events = msgspec.json.Decoder(Events).decode
_decode_row = msgspec.json.Decoder(_Row).decode


def library_asset(key: str, row: bytes) -> LibraryAsset:
    """Read an asset from a row that is not a deleted image's."""
    image, found = ImageKey.decode(key), _decode_row(row)
    asset = found.asset or _untold_asset(key, found)
    told = asset.resource_type != "image"
    return LibraryAsset(
        cloud=image.tenant,
        row=image.public_id,
        public_id=asset.public_id or image.public_id,
        asset=asset,
        at=found.at,
        url=found.url,
        tags=list(asset.tags) if told else found.tags,
        sources=[["own"]] * len(asset.tags) if told else found.by,
        scores=found.scores,
        failed=found.failed,
        asked=found.asked,
        edited_at=found.people.edited_at if found.people else 0,
        thumb=found.thumb,
        phash=found.phash,
        words=found.words,
    )


def untold_asset_id(key: str) -> str:
    """The id of an asset whose event told none: always the same for the same image."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def key_of(cloud: str, resource_type: str, kind: str, public_id: str) -> str:
    """The key of an asset's row."""
    return ImageKey(cloud, row_id(resource_type, kind, public_id)).encode()


def _untold_asset(key: str, row: _Row) -> Asset:
    """What is known of an image that was published without an asset."""
    told: dict[str, Any] = {"created_at": row.at, "version": row.version or row.at // 1000}
    return Asset(asset_id=untold_asset_id(key), **told)
