"""Stored assets: what events, rows and results tell of bytes, also of those that are no image."""

from schemas.assets.asset import MAX_ASSET_BYTES, Asset, ResourceType, row_id

__all__ = ["MAX_ASSET_BYTES", "Asset", "ResourceType", "row_id"]
