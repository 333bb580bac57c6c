"""What an upload, an explicit call or an update asks for: checked, typed, and merged with its preset."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal, cast

from streams.gateway.requests.credentials import Preset
from streams.gateway.requests.fields import Field, Fields
from streams.gateway.requests.parameters import REFUSALS, UPLOAD, refusal
from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.requests.texts import (
    context_of,
    folder_of,
    label_of,
    number_from_0_to_1,
    public_id_of,
    tags_of,
    url_of,
)

ResourceType = Literal["image", "raw", "video", "auto"]
RESOURCE_TYPES = ("image", "raw", "video", "auto")
DELIVERY_TYPES = ("upload", "private", "authenticated")
_MAX_FORMATS = 64
_PRESET_FIRST_EXCEPT = ("public_id", "filename_override", "file", "timestamp", "upload_preset", "type")
_NOT_IN_PRESETS = ("public_id", "file", "signature", "api_key", "timestamp", "upload_preset", "cloud_name")


@dataclass(frozen=True, kw_only=True)
class UploadOptions:
    """What a call asks for; None: it does not say.

    Attributes:
        public_id: With its folder, if any.
        prefix: What goes before a public id that is made here, with its slash; empty: nothing.
        categorization: Add-ons; None: none is asked for.
        auto_tagging: Tags above it are assigned; None: none are.
        phash: Whether the answer is to tell the perceptual hash.
    """

    resource_type: ResourceType = "image"
    type: str = "upload"
    public_id: str | None = None
    prefix: str = ""
    asset_folder: str | None = None
    display_name: str | None = None
    use_filename: bool = False
    unique_filename: bool = True
    use_filename_as_display_name: bool = False
    filename_override: str | None = None
    discard_original_filename: bool = False
    overwrite: bool = True
    tags: list[str] | None = None
    context: dict[str, str] | None = None
    allowed_formats: frozenset[str] | None = None
    categorization: tuple[str, ...] | None = None
    auto_tagging: float | None = None
    is_async: bool = False
    notification_url: str | None = None
    phash: bool = False


def read_options(
    fields: Fields,
    add_ons: Collection[str],
    *,
    resource_type: str = "image",
    preset: Preset | None = None,
    signed: bool = True,
    update: bool = False,
) -> UploadOptions:
    """Read what a call asks for.

    Args:
        fields: The call's.
        add_ons: Names of add-ons that there are.
        resource_type: As in the path.
        preset: The one that the call names.
        signed: Whether the caller showed a key.
        update: Whether it is an update of the Admin API, which words some refusals otherwise.

    Raises:
        BadCallError: A parameter breaks its rule, or is refused.
    """
    if not signed:
        _check_unsigned(fields)
    if not update:
        fields = fields.told()
    fields = _with_preset(fields, preset, signed=signed) if preset else fields
    for name in sorted(REFUSALS.keys() & fields.keys()):
        if (value := fields.text(name)) is not None:
            raise BadCallError(refusal(name, shown(value), update=update))
    public_id, prefix = fields.text("public_id"), _prefix(fields)
    return UploadOptions(
        resource_type=_resource_type(resource_type),
        type=_delivery_type(fields),
        public_id=None if public_id is None else public_id_of(prefix + public_id),
        prefix=prefix,
        asset_folder=folder_of(fields, "asset_folder"),
        display_name=label_of(fields, "display_name"),
        use_filename=fields.flag("use_filename"),
        unique_filename=fields.flag("unique_filename", default=True),
        use_filename_as_display_name=fields.flag("use_filename_as_display_name"),
        filename_override=label_of(fields, "filename_override"),
        discard_original_filename=fields.flag("discard_original_filename"),
        overwrite=fields.flag("overwrite", default=signed),
        tags=tags_of(fields),
        context=context_of(fields),
        allowed_formats=_formats(fields),
        categorization=categorization_of(fields, add_ons, update=update),
        auto_tagging=auto_tagging_of(fields),
        is_async=fields.flag("async"),
        notification_url=url_of(fields, "notification_url"),
        phash=fields.flag("phash"),
    )


def categorization_of(fields: Fields, add_ons: Collection[str], *, update: bool) -> tuple[str, ...] | None:
    """Give the add-ons that a call asks for; None: none.

    Raises:
        BadCallError: One of them is unknown.
    """
    items = fields.array("categorization", most=64)
    for name in items or ():
        if name not in add_ons:
            message = f"Categorization item {shown(name)} is not valid"
            illegal = f"Illegal value {shown(name)!r} for parameter categorization: it {_not_known(add_ons)}"
            raise BadCallError(illegal if update else f"{message}: it {_not_known(add_ons)}")
    return tuple(dict.fromkeys(items)) if items else None


def auto_tagging_of(fields: Fields) -> float | None:
    """Give the threshold of a call; None: no tags are to be assigned.

    Raises:
        BadCallError: It is no number from 0 to 1.
    """
    text = fields.text("auto_tagging")
    return None if text is None else number_from_0_to_1("auto_tagging", text)


def check_preset(preset: Preset, add_ons: Collection[str]) -> None:
    """Refuse a preset that no upload could use.

    Raises:
        BadCallError: An option is unknown, has no place in a preset, or breaks its rule.
    """
    for name in preset.options:
        if name not in UPLOAD or name in _NOT_IN_PRESETS:
            raise BadCallError(f"{name} is no option of a preset; see the table of parameters")
    read_options(Fields({}), add_ons, preset=preset)


def _not_known(add_ons: Collection[str]) -> str:
    return f"is none of {', '.join(sorted(add_ons))}" if add_ons else "is no add-on here"


def _check_unsigned(fields: Fields) -> None:
    for name in fields:
        parameter = UPLOAD.get(name)
        if parameter is not None and not parameter.unsigned:
            allowed = ", ".join(sorted(each for each, told in UPLOAD.items() if told.unsigned))
            raise BadCallError(
                f"{name} parameter is not allowed when using unsigned upload; put it into the preset. "
                f"Only these are: {allowed}"
            )


def _with_preset(fields: Fields, preset: Preset, *, signed: bool) -> Fields:
    """The call's fields and its preset's. What a caller without a key says counts least."""
    options = Fields({name: Field((text,)) for name, text in preset.options.items()})
    if signed:
        return _merged_context(fields, options, fields.over(options))
    own = Fields({name: field for name, field in fields.items() if name in _PRESET_FIRST_EXCEPT})
    return _merged_context(options, fields, own.over(options).over(fields))


def _merged_context(first: Fields, second: Fields, merged: Fields) -> Fields:
    """Fields whose context is made of both; where both have a key, the first one's value counts."""
    contexts = [context_of(each) for each in (second, first)]
    both = {key: value for context in contexts for key, value in (context or {}).items()}
    return Fields({"context": Field((), value=both)}).over(merged) if all(contexts) else merged


def _prefix(fields: Fields) -> str:
    by_folder = fields.flag("use_asset_folder_as_public_id_prefix")
    names = ["asset_folder"] if by_folder else []
    parts = [folder_of(fields, name) for name in (*names, "folder", "public_id_prefix")]
    return "".join(f"{part}/" for part in parts if part)


def _resource_type(text: str) -> ResourceType:
    if text not in RESOURCE_TYPES:
        raise BadCallError(f"Invalid resource type {shown(text)}; use {', '.join(RESOURCE_TYPES)}")
    return cast("ResourceType", text)


def _delivery_type(fields: Fields) -> str:
    text = fields.text("type") or "upload"
    if text not in DELIVERY_TYPES:
        raise BadCallError(f"Invalid value {shown(text)} for parameter type: use {', '.join(DELIVERY_TYPES)}")
    return text


def _formats(fields: Fields) -> frozenset[str] | None:
    items = fields.array("allowed_formats", most=_MAX_FORMATS)
    return frozenset(item.lower().lstrip(".") for item in items) if items else None
