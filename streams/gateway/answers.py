"""Assets as the vendor's answers tell them: of uploads, of the Admin API, of searches."""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from schemas.assets import Asset
from schemas.times import utc_datetime
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.signature import response_signature

Json = dict[str, Any]
ALWAYS_IN_LISTS = ("asset_id", "public_id", "folder")
ALWAYS_IN_SEARCHES = (*ALWAYS_IN_LISTS, "created_at", "resource_type", "status", "type")
NOT_KEPT = ("metadata", "image_metadata", "image_analysis")
"""What an answer may be asked to hold, and holds empty."""


@dataclass(frozen=True)
class Addresses:
    """Where assets are served.

    Attributes:
        plain: Scheme, host and port over HTTP, without a slash behind.
        secure: The same over HTTPS.
    """

    plain: str
    secure: str

    @classmethod
    def of(cls, url: str) -> "Addresses":
        """Give those of a gateway's own address, with either scheme."""
        parts = urlsplit(url)
        place = f"{parts.netloc}{parts.path}".rstrip("/")
        return cls(f"http://{place}", f"https://{place}")

    def of_asset(self, cloud: str, public_id: str, asset: Asset, source: str | None) -> Json:
        """Give an asset's addresses; where its bytes lie elsewhere, its source."""
        if asset.object is None and source is not None and source.startswith(("http://", "https://")):
            return {"url": source, "secure_url": source}
        path = asset_path(cloud, public_id, asset)
        return {"url": self.plain + path, "secure_url": self.secure + path}


def asset_path(cloud: str, public_id: str, asset: Asset) -> str:
    """Give the path that an asset is served under; a raw one's name has its extension already."""
    name = quote(public_id, safe="/")
    if asset.format and asset.resource_type != "raw":
        name = f"{name}.{quote(asset.format)}"
    return f"/{quote(cloud)}/{asset.resource_type}/{asset.type}/v{asset.version}/{name}"


def asset_fields(cloud: str, public_id: str, asset: Asset, source: str | None, at: Addresses) -> Json:
    """Give what is told of an asset everywhere.

    Args:
        cloud: Whose it is.
        public_id: Its name.
        asset: What is known of it.
        source: Where its bytes were fetched from.
        at: Where assets are served.
    """
    known = {
        name: getattr(asset, name)
        for name in ("format", "width", "height", "bytes", "etag", "original_filename")
        if getattr(asset, name) is not None
    }
    return {
        "asset_id": asset.asset_id,
        "public_id": public_id,
        "version": asset.version,
        "version_id": version_id(asset),
        "resource_type": asset.resource_type,
        "type": asset.type,
        "created_at": rfc_3339(asset.created_at),
        "bytes": 0,
        **known,
        **at.of_asset(cloud, public_id, asset, source),
        "placeholder": False,
        "asset_folder": asset.asset_folder or "",
        "display_name": asset.display_name or public_id.rpartition("/")[2],
        "access_mode": asset.access_mode,
    }


def upload_answer(
    found: LibraryAsset,
    caller: Caller,
    at: Addresses,
    *,
    add_ons: Collection[str] = (),
    more: Mapping[str, Any] | None = None,
) -> Json:
    """Give the answer of an upload, an explicit call or a renaming.

    Args:
        found: The asset as it is committed.
        caller: Who calls: the answer is signed with its key.
        at: Where assets are served.
        add_ons: Those that the call asked for; what they said is told.
        more: More fields, such as `existing` or `done`.
    """
    asset, key = found.asset, caller.signing_key
    signature = response_signature(
        found.public_id, asset.version, key.secret, caller.cloud.signature_algorithm
    )
    answer = asset_fields(found.cloud, found.public_id, asset, found.url, at)
    answer |= {"signature": signature, "tags": list(found.tags), "api_key": key.id}
    if asset.context:
        answer["context"] = {"custom": asset.context}
    if info := info_of(found, add_ons):
        answer["info"] = info
    return answer | dict(more or {})


def pending_answer(resource_type: str, kind: str, public_id: str, batch_id: str) -> Json:
    """Give the answer of a call whose result comes later.

    Args:
        resource_type: `image`, `raw` or `video`.
        kind: How it is delivered, such as `upload`.
        public_id: The asset's name.
        batch_id: Names the call.
    """
    told = {"resource_type": resource_type, "type": kind, "public_id": public_id, "batch_id": batch_id}
    return {"status": "pending", **told}


def admin_answer(found: LibraryAsset, at: Addresses) -> Json:
    """Give one asset as the Admin API tells it; tags and context are absent where there are none."""
    answer = listed_answer(found, at, with_tags=True, with_context=True)
    info = info_of(found, [*found.scores, *found.failed])
    return answer | {"derived": [], **({"info": info} if info else {})}


def listed_answer(
    found: LibraryAsset,
    at: Addresses,
    *,
    with_tags: bool = False,
    with_context: bool = False,
    with_metadata: bool = False,
    fields: Collection[str] | None = None,
) -> Json:
    """Give one asset of a list of the Admin API.

    Args:
        found: The asset.
        at: Where assets are served.
        with_tags: Whether its tags are asked for.
        with_context: Whether its context is.
        with_metadata: Whether structured metadata is, which is never kept.
        fields: Names of what is told besides the names; None: all.
    """
    answer = asset_fields(found.cloud, found.public_id, found.asset, found.url, at)
    answer["folder"] = folder_of(found.public_id)
    if fields is not None:
        told = {"tags": sorted(found.tags), "context": _custom(found), **_empty(fields)}
        return _only({**answer, **told}, {*ALWAYS_IN_LISTS, *fields})
    if with_tags and found.tags:
        answer["tags"] = sorted(found.tags)
    if with_context and found.asset.context:
        answer["context"] = _custom(found)
    if with_metadata:
        answer["metadata"] = {}
    return answer


def found_answer(
    found: LibraryAsset, at: Addresses, with_field: Collection[str], fields: Collection[str] | None
) -> Json:
    """Give one asset of a search, whose context is flat.

    Args:
        found: The asset.
        at: Where assets are served.
        with_field: Names of what is told besides the usual.
        fields: Names of what is told besides the names; None: all that is usual.
    """
    answer = asset_fields(found.cloud, found.public_id, found.asset, found.url, at)
    answer |= {
        "folder": folder_of(found.public_id),
        "filename": found.public_id.rpartition("/")[2],
        "uploaded_at": rfc_3339(found.at),
        "status": "active",
    }
    asset = found.asset
    if asset.width and asset.height:
        answer |= {
            "aspect_ratio": round(asset.width / asset.height, 5),
            "pixels": asset.width * asset.height,
        }
    on_request = {"tags": sorted(found.tags), "context": asset.context, **_empty(NOT_KEPT)}
    if fields is not None:
        return _only({**answer, **on_request}, {*ALWAYS_IN_SEARCHES, *fields})
    return answer | {name: value for name, value in on_request.items() if name in with_field}


def phash_of(found: LibraryAsset, *, asked: bool) -> Json:
    """Give the perceptual hash of an asset, if it is asked for and known."""
    return {"phash": found.phash} if asked and found.phash else {}


def info_of(found: LibraryAsset, add_ons: Collection[str]) -> Json:
    """Give what add-ons said of an asset, and why others said nothing."""
    said = {
        name: {
            "status": "complete",
            "data": [{"tag": tag, "confidence": confidence} for tag, confidence in found.scores[name]],
            **_words(found.words.get(name)),
        }
        for name in add_ons
        if name in found.scores and name not in found.failed
    }
    failed = {
        name: {"status": "failed", "message": found.failed[name]} for name in add_ons if name in found.failed
    }
    return {"categorization": said | failed} if said or failed else {}


def _words(read: Sequence[tuple[str, float]] | None) -> Json:
    return {"words": [{"word": word, "confidence": sure} for word, sure in read]} if read else {}


def folder_of(public_id: str) -> str:
    """Give what is before the last slash of a name."""
    return public_id.rpartition("/")[0]


def version_id(asset: Asset) -> str:
    """Give what names one version of an asset among all."""
    return hashlib.sha256(f"{asset.asset_id}:{asset.version}".encode()).hexdigest()[:32]


def rfc_3339(milliseconds: int) -> str:
    """Give a moment with whole seconds, in UTC."""
    return utc_datetime(milliseconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def _custom(found: LibraryAsset) -> Json:
    return {"custom": found.asset.context} if found.asset.context else {}


def _empty(fields: Collection[str]) -> Json:
    return {name: {} for name in NOT_KEPT if name in fields}


def _only(answer: Json, names: Collection[str]) -> Json:
    return {name: value for name, value in answer.items() if name in names}
