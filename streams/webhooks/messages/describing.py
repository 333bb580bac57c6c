"""What a notification tells of an asset: as the gateway's answer to its upload does."""

from typing import Any

from streams.gateway.answers import Addresses, asset_fields
from streams.webhooks.messages.notifications import Body, Told, described


class AssetDescription:
    """Describes assets with the addresses where they are served."""

    def __init__(self, at: Addresses) -> None:
        self._at = at

    def __call__(self, told: Told) -> Body:
        """Give the fields of an asset; of an image that nobody stored, those of its record."""
        asset, whole = told.asset, told.whole
        if asset is None:
            return described(told)
        public_id = asset.public_id or told.public_id
        fields = asset_fields(told.tenant or "", public_id, asset, whole.get("url"), self._at)
        more: dict[str, Any] = {
            "tags": whole.get("tags", []) if asset.resource_type == "image" else asset.tags,
            "api_key": asset.api_key,
            "context": {"custom": asset.context} if asset.context else None,
            "info": whole.get("info"),
        }
        return fields | {name: value for name, value in more.items() if value is not None}
