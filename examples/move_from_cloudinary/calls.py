"""Five calls of the Cloudinary SDK for Python, old or new, as they are: only CLOUDINARY_URL names Tagstream.

Run, in a folder with koala.jpg and landscape.jpg: python examples/move_from_cloudinary/calls.py
"""

import json
from typing import Any

import cloudinary.api
import cloudinary.uploader


def show(answer: dict[str, Any]) -> None:
    """One line an answer: whose it is, its tags, and what each add-on said."""
    print(json.dumps({name: answer.get(name) for name in ("public_id", "tags", "info")}))


show(cloudinary.uploader.upload("koala.jpg", categorization="imagga_tagging"))
cloudinary.uploader.upload("landscape.jpg", public_id="landscape")
show(cloudinary.api.update("landscape", categorization="imagga_tagging"))
show(cloudinary.uploader.upload("landscape.jpg", categorization="imagga_tagging", auto_tagging=0.4))
show(cloudinary.api.update("landscape", categorization="imagga_tagging", auto_tagging=0.4))
show(
    cloudinary.uploader.explicit(
        "landscape", type="upload", categorization="imagga_tagging", auto_tagging=0.4
    )
)
