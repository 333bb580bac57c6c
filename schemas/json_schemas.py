"""JSON Schema of everything that crosses a border, made from the types that do the work.

`python -m schemas` writes the files under `schemas/json/`; a test keeps them and the types in step.
"""

import inspect
from typing import Any

import msgspec

from schemas.answers.duplicates import AlikeImages, Duplicates, SimilarImages
from schemas.answers.images import FoundImages, ImageState, RelatedTags
from schemas.answers.trends import (
    ComparedTags,
    Health,
    Problem,
    RisingTags,
    TagLines,
    TagList,
    TagSeries,
    TopTags,
)
from schemas.answers.users import (
    SimilarUsers,
    TagUsers,
    TenantList,
    UserFeed,
    UserInterests,
    UserList,
    UserTags,
)
from schemas.results import Categorization, TagUpdate
from schemas.streams.records import CountedTag, ImageTag, ImageTagKey, TagCountKey, Trend, TrendKey
from schemas.uploads import UploadData

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PUBLISHED: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "upload-event": ("Upload event", UploadData),
    "categorization": ("Categorization", Categorization),
    "tag-update": ("Tag update", TagUpdate),
    "image-tag": ("Tag of an image", ImageTag),
    "image-tag-key": ("Key of a tag of an image", ImageTagKey),
    "tag-count": ("Count of a tag", CountedTag),
    "tag-count-key": ("Key of a count of a tag", TagCountKey),
    "trend": ("Trend", Trend),
    "trend-key": ("Key of a trend", TrendKey),
    "top-tags": ("Answer of GET /trends/top", TopTags),
    "rising-tags": ("Answer of GET /trends/rising", RisingTags),
    "tag-series": ("Answer of GET /trends/tags/{tag}", TagSeries),
    "compared-tags": ("Answer of GET /trends/compare", ComparedTags),
    "tag-lines": ("Answer of GET /trends/series", TagLines),
    "tag-list": ("Answer of GET /tags", TagList),
    "related-tags": ("Answer of GET /trends/tags/{tag}/related", RelatedTags),
    "found-images": ("Answer of GET /images", FoundImages),
    "duplicates": ("Answer of GET /images/{public_id}/duplicates", Duplicates),
    "similar-images": ("Answer of GET /images/{public_id}/similar", SimilarImages),
    "alike-images": ("Answer of GET /duplicates", AlikeImages),
    "image-state": ("Answer of GET /images/{public_id}", ImageState),
    "user-interests": ("Answer of GET /users/{user_id}/interests", UserInterests),
    "similar-users": ("Answer of GET /users/{user_id}/similar", SimilarUsers),
    "user-feed": ("Answer of GET /users/{user_id}/feed", UserFeed),
    "tag-users": ("Answer of GET /tags/{tag}/users", TagUsers),
    "user-tags": ("Answer of GET /users/{user_id}/tags", UserTags),
    "user-list": ("Answer of GET /users", UserList),
    "tenant-list": ("Answer of GET /tenants", TenantList),
    "health": ("Answer of GET /healthz and /readyz", Health),
    "problem": ("Answer to a question that cannot be answered", Problem),
}


def file_name(name: str) -> str:
    """The name of a schema's file."""
    return f"{name}.schema.json"


def json_schema(name: str) -> dict[str, Any]:
    """Make the schema of one of `PUBLISHED`."""
    title, kind = PUBLISHED[name]
    [reference], parts = msgspec.json.schema_components([kind], ref_template="#/$defs/{name}")
    for part in parts.values():  # Python 3.13 unindents docstrings, earlier ones do not
        part["description"] = inspect.cleandoc(part["description"])
    root = parts.pop(reference["$ref"].rpartition("/")[2])
    schema: dict[str, Any] = {"$schema": DIALECT, "$id": f"urn:tagstream:schema:{name}:v1"}
    schema |= root | {"title": title}
    if parts:
        schema["$defs"] = parts
    return schema


def rendered_schema(name: str) -> str:
    """The text of a schema's file."""
    return msgspec.json.format(msgspec.json.encode(json_schema(name)), indent=2).decode() + "\n"


def rendered() -> dict[str, str]:
    """The text of every schema file by its name."""
    return {file_name(name): rendered_schema(name) for name in PUBLISHED}
