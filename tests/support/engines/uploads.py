"""Uploads whose tags are known, of two tenants in turns."""

import json

from schemas.uploads import UploadData


def upload(number: int, tags: dict[str, float], version: int) -> UploadData:
    scores = json.dumps(tags, separators=(",", ":")).replace('"', "%22")
    return UploadData(
        public_id=f"image-{number}",
        tenant="acme" if number % 2 else None,
        url=f"data:application/json,{scores}",
        version=version,
        auto_tagging=0.5,
    )
