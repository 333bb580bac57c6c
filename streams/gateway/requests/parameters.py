"""All parameters that the vendor's SDKs know, and what becomes of each: the docs' tables."""

from enum import StrEnum
from typing import NamedTuple


class Fate(StrEnum):
    """What becomes of a parameter."""

    HONOURED = "honoured"
    IGNORED = "accepted and ignored"
    REFUSED = "refused"


class Parameter(NamedTuple):
    """A parameter.

    Attributes:
        fate: What becomes of it.
        meaning: What it does here, or why it does nothing.
        unsigned: Whether an upload without a signature may name it.
    """

    fate: Fate
    meaning: str
    unsigned: bool = False


_H, _I, _R = Fate.HONOURED, Fate.IGNORED, Fate.REFUSED
_NO_TRANSFORMATIONS = "There are no transformations here."
_NO_METADATA = "Structured metadata is not kept; use `context` or `tags`."
_NOT_LOOKED_AT = "Answers do not hold it."

UPLOAD: dict[str, Parameter] = {
    "allowed_formats": Parameter(_H, "Another format is refused with 400."),
    "api_key": Parameter(_H, "Whose signature it is.", unsigned=True),
    "asset_folder": Parameter(_H, "Kept and answered; it is no part of the public id.", unsigned=True),
    "async": Parameter(_H, "Answers `pending` at once; the result comes as a notification."),
    "auto_tagging": Parameter(_H, "Tags with a confidence above it are assigned; 0: all, absent: none."),
    "categorization": Parameter(_H, "Add-ons that look at the image, separated by commas."),
    "cloud_name": Parameter(_I, "The path says it.", unsigned=True),
    "context": Parameter(
        _H, "`key=value|key=value`, with `\\=` and `\\|` for the characters themselves.", unsigned=True
    ),
    "display_name": Parameter(_H, "Kept and answered."),
    "file": Parameter(_H, "Bytes, an URL, or a `data:` URI with base64.", unsigned=True),
    "filename_override": Parameter(_H, "Counts as the file's name.", unsigned=True),
    "folder": Parameter(_H, "Goes before the public id, with a slash.", unsigned=True),
    "notification_url": Parameter(_H, "Gets the notification of this call, instead of the cloud's URLs."),
    "overwrite": Parameter(
        _H, "`false` leaves an asset of the same name as it is; an unsigned upload cannot say `true`."
    ),
    "public_id": Parameter(_H, "The asset's name; 20 random characters if absent.", unsigned=True),
    "public_id_prefix": Parameter(_H, "Goes before the public id, with a slash.", unsigned=True),
    "resource_type": Parameter(
        _H, "`image`, `raw`, `video` or `auto`, where the path does not say it.", unsigned=True
    ),
    "signature": Parameter(_H, "SHA-1 or SHA-256, version 2 or 1."),
    "tags": Parameter(_H, "The asset's own tags, in their order.", unsigned=True),
    "timestamp": Parameter(_H, "A signature holds for an hour.", unsigned=True),
    "type": Parameter(
        _H, "`upload`, `private` or `authenticated` is kept; all are served the same.", unsigned=True
    ),
    "unique_filename": Parameter(_H, "With `use_filename`: whether random characters are added."),
    "upload_preset": Parameter(_H, "Options of the operator's file.", unsigned=True),
    "use_asset_folder_as_public_id_prefix": Parameter(_H, "`asset_folder` goes before the public id, too."),
    "use_filename": Parameter(_H, "The public id comes from the file's name."),
    "use_filename_as_display_name": Parameter(_H, "The display name comes from the file's name."),
    "background_removal": Parameter(_R, "There is no such add-on."),
    "detection": Parameter(_R, "Refused as an unknown model is."),
    "moderation": Parameter(_R, "Nobody would look at the image."),
    "ocr": Parameter(_R, "There is no such add-on."),
    "raw_convert": Parameter(_R, "There is no such add-on."),
    "similarity_search": Parameter(_R, "There is no such add-on."),
    "access_control": Parameter(_I, "All that is uploaded is served to whoever knows its address."),
    "accessibility_analysis": Parameter(_I, _NOT_LOOKED_AT),
    "auto_chaptering": Parameter(_I, "Videos are kept as they are."),
    "auto_transcription": Parameter(_I, "Videos are kept as they are."),
    "backup": Parameter(_I, "Object stores keep backups."),
    "batch_id": Parameter(_I, _NOT_LOOKED_AT),
    "callback": Parameter(_I, "For browsers of the past.", unsigned=True),
    "cinemagraph_analysis": Parameter(_I, _NOT_LOOKED_AT),
    "clear_invalid": Parameter(_I, _NO_METADATA),
    "colors": Parameter(_I, f"{_NOT_LOOKED_AT} The add-on `scene_tagging` tags by colours."),
    "custom_coordinates": Parameter(_I, _NO_TRANSFORMATIONS, unsigned=True),
    "discard_original_filename": Parameter(_H, "`original_filename` is not kept."),
    "eager": Parameter(_I, _NO_TRANSFORMATIONS),
    "eager_async": Parameter(_I, _NO_TRANSFORMATIONS),
    "eager_notification_url": Parameter(_I, _NO_TRANSFORMATIONS),
    "eval": Parameter(_I, "No program of a caller's runs here."),
    "exif": Parameter(_I, _NOT_LOOKED_AT),
    "face_coordinates": Parameter(_I, _NO_TRANSFORMATIONS, unsigned=True),
    "faces": Parameter(_I, _NOT_LOOKED_AT),
    "format": Parameter(_I, f"{_NO_TRANSFORMATIONS} The file is kept as it came."),
    "headers": Parameter(_I, "Delivery is bare."),
    "image_metadata": Parameter(_I, _NOT_LOOKED_AT),
    "invalidate": Parameter(_I, "No cache is in between."),
    "media_metadata": Parameter(_I, _NOT_LOOKED_AT),
    "metadata": Parameter(_I, _NO_METADATA, unsigned=True),
    "on_success": Parameter(_I, "No program of a caller's runs here."),
    "phash": Parameter(_H, "The answer tells the perceptual hash, if an add-on has looked at the image."),
    "proxy": Parameter(_I, "Remote files are fetched as those of events are."),
    "quality_analysis": Parameter(_I, _NOT_LOOKED_AT),
    "quality_override": Parameter(_I, _NO_TRANSFORMATIONS),
    "regions": Parameter(_I, _NO_TRANSFORMATIONS, unsigned=True),
    "responsive_breakpoints": Parameter(_I, _NO_TRANSFORMATIONS),
    "return_delete_token": Parameter(_I, "Deleting needs a key."),
    "source": Parameter(_I, "Where a browser's widget had the file from.", unsigned=True),
    "transformation": Parameter(_I, f"{_NO_TRANSFORMATIONS} The file is kept as it came."),
    "unique_display_name": Parameter(_I, "Display names need not be unique."),
    "visual_search": Parameter(_I, "Query workers answer `/images/{public_id}/similar` of any image."),
}
"""By name. Names that are not here are accepted and ignored as well, as the vendor does."""

ADMIN: dict[str, Parameter] = {
    "aggregate": Parameter(_H, "Of a search: what is counted, by text or in ranges of numbers."),
    "all": Parameter(_H, "Of a deletion: everything of the type, a thousand assets in each call."),
    "asset_folder": Parameter(_H, "Of a list: the folder; of an update: the new one."),
    "asset_ids": Parameter(_H, "Which assets, at most 100 in a list and 1,000 in a deletion."),
    "auto_tagging": Parameter(_H, "Of an update that names add-ons: as on upload."),
    "categorization": Parameter(_H, "Of an update: add-ons that look at the image again."),
    "context": Parameter(
        _H, "Of a list: whether it is told; of an update: the new one, which replaces the old."
    ),
    "direction": Parameter(_H, "Of a list, by the time of creation: `desc` if not given, or `asc`."),
    "display_name": Parameter(_H, "Of an update: the new one."),
    "expression": Parameter(_H, "Of a search."),
    "fields": Parameter(_H, "The only fields that are told, besides the names."),
    "keep_original": Parameter(_H, "Of a deletion: nothing is deleted, as there is nothing derived."),
    "key": Parameter(_H, "Of a list by context."),
    "max_results": Parameter(_H, "At most 500; 10 of a list and 50 of a search if not given."),
    "metadata": Parameter(_H, "Of a list: told as an empty object. Of an update: ignored."),
    "next_cursor": Parameter(_H, "That of the answer before, to the same call."),
    "notification_url": Parameter(_H, "Of an update or a deletion: as on upload."),
    "prefix": Parameter(_H, "What public ids or tags begin with."),
    "public_ids": Parameter(_H, "Which assets, at most 100 in a list and 1,000 in a deletion."),
    "related": Parameter(_H, "Of an asset: told as an empty list."),
    "settings": Parameter(_H, "Of the configuration: whether they are told."),
    "sort_by": Parameter(_H, "Of a search: up to eight fields; newest first if not given."),
    "start_at": Parameter(_H, "Of a list: a time of creation to begin at."),
    "tags": Parameter(
        _H, "Of a list: whether they are told; of an update: the new ones, which replace the old."
    ),
    "transformations": Parameter(_H, "Of a deletion: nothing is deleted, as there is nothing derived."),
    "value": Parameter(_H, "Of a list by context; any value if not given."),
    "versions": Parameter(_H, "Of an asset: told as an empty list."),
    "with_field": Parameter(_H, "Of a search: `tags` and `context`; what is not kept is told as empty."),
    "background_removal": UPLOAD["background_removal"],
    "detection": UPLOAD["detection"],
    "moderation": UPLOAD["moderation"],
    "ocr": UPLOAD["ocr"],
    "raw_convert": UPLOAD["raw_convert"],
    "similarity_search": UPLOAD["similarity_search"],
    "access_control": UPLOAD["access_control"],
    "colors": Parameter(_I, _NOT_LOOKED_AT),
    "coordinates": Parameter(_I, _NO_TRANSFORMATIONS),
    "derived_next_cursor": Parameter(_I, _NO_TRANSFORMATIONS),
    "exif": Parameter(_I, _NOT_LOOKED_AT),
    "face_coordinates": UPLOAD["face_coordinates"],
    "faces": Parameter(_I, _NOT_LOOKED_AT),
    "image_metadata": Parameter(_I, _NOT_LOOKED_AT),
    "invalidate": UPLOAD["invalidate"],
    "max_derived": Parameter(_I, _NO_TRANSFORMATIONS),
    "moderation_status": Parameter(_I, "Nobody moderates here."),
    "pages": Parameter(_I, _NOT_LOOKED_AT),
    "phash": Parameter(_H, "Of an asset or an update: as on upload."),
    "quality_analysis": Parameter(_I, _NOT_LOOKED_AT),
    "quality_override": UPLOAD["quality_override"],
}
"""By name: those of the Admin API and of searches."""

REFUSALS = {
    "background_removal": "Background removal is invalid: {value!r}",
    "detection": "Detection invalid model {value!r}",
    "moderation": "Moderation is invalid: {value!r}",
    "ocr": "Illegal value {value!r} for parameter ocr",
    "raw_convert": "Raw convert is invalid: {value!r}",
    "similarity_search": "Illegal value {value!r} for parameter similarity_search",
}
"""What an upload with a refused parameter is told; an update is told "Illegal value" of each."""


def refusal(name: str, value: str, *, update: bool) -> str:
    """Give the message for a refused parameter."""
    if update:
        return f"Illegal value {value!r} for parameter {name}"
    return REFUSALS[name].format(value=value)
