"""Every reason of a dead letter: what it means, and what to do before the event is published again."""

import re

import msgspec

from schemas.errors import PARSE_CODES

HTTP = "http_<status>"
_HTTP_CODE = re.compile(r"http_[0-9]{3}")


class Reason(msgspec.Struct, frozen=True):
    """What a reason means, in plain words, and its cure."""

    meaning: str
    cure: str


_PARSE_CURES = {
    "empty_value": "Mend the publisher; the record itself can only fail again.",
    "event_too_large": "Publish the event anew; the record itself can only fail again.",
    "invalid_json": "Mend the publisher and publish the event anew, as JSON in UTF-8.",
    "invalid_cloudevent": "Mend the publisher and publish the event anew; schemas/README.md tells how.",
    "invalid_event": "Mend the field and publish the event anew.",
    "invalid_auto_tagging": "Publish the event anew with a number from 0 to 1, or without the field.",
    "unknown_type": "Upgrade the workers and replay, or publish the event anew with a type that is handled.",
}

REASONS: dict[str, Reason] = {
    **{code: Reason(meaning, _PARSE_CURES[code]) for code, meaning in PARSE_CODES.items()},
    "unknown_add_on": Reason(
        "The event asks for an add-on that the workers do not offer.",
        "Add it to TAGSTREAM_ADD_ONS and replay, or publish the event anew with one that is offered.",
    ),
    "unknown_image": Reason(
        "An image.update without `url`, and no URL of that image is known; or an image.tags-edited of an "
        "image that is not known, or deleted.",
        "Publish the upload of the image and then replay, or publish the update anew with its `url`.",
    ),
    "over_budget": Reason(
        "The tenant would have more images, tags, tags on one image, or bytes of events in a day than the "
        "operator lets it, or would be one tenant too many; the message says which.",
        "Delete what is not needed, or raise the setting that the message names, and replay.",
    ),
    "too_many_edits": Reason(
        "People have decided about more tags of the image than are kept.",
        "Publish an upload of the image with `keep_edits` false, and the edits that shall hold after it.",
    ),
    "invalid_url": Reason(
        "The URL is malformed, carries credentials, or is neither http, https or data nor in a folder or "
        "bucket that TAGSTREAM_SOURCE_ROOTS names.",
        "Publish the event anew with a signed or public URL. Where a folder or bucket is meant: add it to "
        "TAGSTREAM_SOURCE_ROOTS, restart the workers, and replay.",
    ),
    "refused_address": Reason(
        "The URL leads to a private address or an unusual port.",
        "Where that source is meant: add it to TAGSTREAM_ALLOW_SOURCES, restart the workers, and replay.",
    ),
    "object_missing": Reason(
        "The object that the event names is not in the object store or bucket, or no longer.",
        "See that gateways and workers have the same TAGSTREAM_OBJECT_STORE, and upload the image again.",
    ),
    "unreadable_file": Reason(
        "There is no such file in the folder that TAGSTREAM_SOURCE_ROOTS names, or it is no regular file, "
        "or a link leads to it, or the worker's user may not read it.",
        "Put the file in its place, let the worker's user read it, and replay.",
    ),
    HTTP: Reason(
        "The source answered with this status instead of an image.",
        "Mend the source (is the image there, may anybody read it?) and replay.",
    ),
    "too_many_redirects": Reason(
        "The source redirects again and again.", "Mend the source and replay, or publish the final URL."
    ),
    "invalid_answer": Reason(
        "What the source answered is no HTTP, or compressed in a way that is not unpacked, or damaged so.",
        "Mend the source and replay.",
    ),
    "unknown_host": Reason(
        "The name of the source's host could not be resolved.", "Check the name and the DNS, and replay."
    ),
    "connection_failed": Reason(
        "The source refused or lost the connection, or its certificate is not trusted.",
        "Replay once the source is up again and its certificate is valid.",
    ),
    "timeout": Reason(
        "The source, or the server of a model, gave no complete answer in time.",
        "Replay once it is quick again, or raise TAGSTREAM_FETCH_TIMEOUT, or the server's `timeout`, first.",
    ),
    "upload_waits": Reason(
        "An image.update without `url` came behind an upload of its image whose source stayed busy.",
        "See what became of that upload, then replay, or publish the update anew with its `url`.",
    ),
    "memory_busy": Reason(
        "Other images filled TAGSTREAM_MAX_BYTES_IN_FLIGHT until the event's time for retries ran out.",
        "Start more workers, or raise the limit, and replay.",
    ),
    "decoding_busy": Reason(
        "The image costs much to decode, and too many such images waited until the event's time for retries "
        "ran out.",
        "Start more workers, or put a smaller image in its place, and replay.",
    ),
    "model_server_busy": Reason(
        "The event asked for add-ons on servers alone, and these had more images than they may be sent until "
        "the event's time for retries ran out.",
        "Raise `per_hour` or `at_once` in the server's description, and replay.",
    ),
    "model_server_fault": Reason(
        "The event asked for add-ons on servers alone, and these answered what is no answer until the "
        "event's time for retries ran out.",
        "Compare the server's description with the server, and replay.",
    ),
    "circuit_open": Reason(
        "The source, or the server of a model, kept failing and was left alone until the event's time for "
        "retries ran out.",
        "Replay once it is up again.",
    ),
    "image_too_large": Reason(
        "The image has more bytes than TAGSTREAM_MAX_IMAGE_BYTES.",
        "Put a smaller image in its place or raise the limit, and replay.",
    ),
    "too_many_pixels": Reason(
        "The image has more pixels than are decoded.", "Put a smaller image in its place and replay."
    ),
    "not_an_image": Reason(
        "The bytes behind the URL are no image.", "Put the image in its place at the source and replay."
    ),
    "unsupported_format": Reason(
        "The image has a format, or a layout of one, that is not decoded.",
        "Convert the image at the source and replay.",
    ),
    "truncated": Reason("The image ends too early.", "Upload the image to the source again and replay."),
    "corrupt": Reason("The image contradicts itself.", "Save the image again at the source and replay."),
    "internal_error": Reason(
        "A fault of Tagstream's own, four times; the worker's log has the traceback.",
        "Report it, and replay.",
    ),
}

_FOREIGN = Reason(
    "This version knows no such reason.",
    "Look at the message; `tagstream dead-letters` of the workers' version may know more.",
)


def reason_of(code: str) -> Reason:
    """The meaning and the cure of a reason; one that is not known says so."""
    return REASONS.get(HTTP if _HTTP_CODE.fullmatch(code) else code, _FOREIGN)
