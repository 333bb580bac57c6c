"""An asset: what is known of stored bytes, in the words of Cloudinary's resources.

An asset travels in an upload event, lies in the image's row, and is told in results and tag-updates. What
taggers and people say of an image is not in it, but beside it in the row.
"""

from typing import Annotated, Literal

import msgspec

from schemas.names import MAX_NAME, Name

MAX_ASSET_BYTES = 65_536  # of an asset as JSON
ResourceType = Literal["image", "raw", "video"]

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Texts = Annotated[list[Annotated[str, msgspec.Meta(max_length=MAX_NAME)]], msgspec.Meta(max_length=1000)]


class Asset(msgspec.Struct, kw_only=True, omit_defaults=True):
    """An asset of a cloud. Unknown fields are ignored: a compatible change adds one."""

    asset_id: Annotated[
        str,
        msgspec.Meta(pattern="^[0-9a-f]{32}$", description="Names the asset for ever, also where renamed."),
    ]
    resource_type: Annotated[ResourceType, msgspec.Meta(description="Only an image is tagged.")] = "image"
    type: Annotated[Name, msgspec.Meta(description="How it is delivered, such as `upload`.")] = "upload"
    public_id: Annotated[
        Name | None,
        msgspec.Meta(description="Its name, where that of the event is another: of raw and video assets."),
    ] = None
    object: Annotated[
        Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None,
        msgspec.Meta(description="Key of its bytes in the object store; absent: they lie elsewhere."),
    ] = None
    format: Annotated[
        Name | None, msgspec.Meta(description="Short name, such as jpg; absent: none is known.")
    ] = None
    width: Annotated[_Count | None, msgspec.Meta(description="Pixels.")] = None
    height: Annotated[_Count | None, msgspec.Meta(description="Pixels.")] = None
    bytes: Annotated[_Count | None, msgspec.Meta(description="Size of its bytes.")] = None
    etag: Annotated[Name | None, msgspec.Meta(description="MD5 of its bytes, hexadecimal.")] = None
    created_at: Annotated[
        Annotated[int, msgspec.Meta(ge=0, lt=253_402_300_800_000)],
        msgspec.Meta(description="When it was uploaded first, milliseconds since the epoch."),
    ] = 0
    version: Annotated[_Count, msgspec.Meta(description="Of its bytes: a new upload has a higher one.")] = 0
    original_filename: Annotated[
        Annotated[str, msgspec.Meta(max_length=MAX_NAME)] | None,
        msgspec.Meta(description="Name of the file that was uploaded, without its extension."),
    ] = None
    display_name: Annotated[
        Annotated[str, msgspec.Meta(max_length=MAX_NAME)] | None, msgspec.Meta(description="For people.")
    ] = None
    asset_folder: Annotated[
        Annotated[str, msgspec.Meta(max_length=MAX_NAME)] | None, msgspec.Meta(description="For people.")
    ] = None
    context: Annotated[dict[str, str], msgspec.Meta(description="What its owner says of it, by name.")] = (
        msgspec.field(default_factory=dict)
    )
    tags: Annotated[
        _Texts, msgspec.Meta(description="Of raw and video assets; an image's are those of its row.")
    ] = msgspec.field(default_factory=list)
    access_mode: Annotated[Name, msgspec.Meta(description="`public`.")] = "public"
    api_key: Annotated[Name | None, msgspec.Meta(description="The key that uploaded it.")] = None
    renamed_from: Annotated[
        Name | None, msgspec.Meta(description="Its name before, where the event renames it.")
    ] = None
    renamed_to: Annotated[
        Name | None, msgspec.Meta(description="Its name from now on, where a deletion ends the old name.")
    ] = None


def row_id(resource_type: str, kind: str, public_id: str) -> str:
    """The public id under which an asset's row lies: an uploaded image's own, for all others a marked one.

    No public id of Cloudinary's has a `#`, so no image is taken for a raw asset of the same name.
    """
    if (resource_type, kind) == ("image", "upload"):
        return public_id
    return f"#{resource_type}/{kind}/{public_id}"
