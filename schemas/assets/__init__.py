"""Stored assets: what an event, a row and a result tell of an image's bytes, and of files that are no image."""

from schemas.assets.asset import MAX_ASSET_BYTES, Asset, ResourceType, row_id

__all__ = ["MAX_ASSET_BYTES", "Asset", "ResourceType", "row_id"]
