"""What lies in the topics: for each kind of message its key, its headers, its data and an example."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from schemas.assets import Asset
from schemas.cloudevents import MAX_ATTRIBUTE
from schemas.contracts.schema_ids import VALUE_SCHEMA_ID
from schemas.dead_letters import FAULT_HEADERS, LEFT_OUT
from schemas.origins import REPLAY_HEADERS, ROUTED_FROM
from schemas.results import (
    CATEGORIZED,
    TAGS_CHANGED,
    AddOnResult,
    Categorization,
    Cause,
    ChangedResource,
    Info,
    ModelInfo,
    ReportedTag,
    TagUpdate,
    Timings,
)
from schemas.tracing import TRACE_HEADERS
from schemas.uploads import UploadData, UploadType


@dataclass(frozen=True)
class Message:
    """One kind of message.

    Attributes:
        name: For machines.
        title: For people.
        summary: When it is there, in a sentence.
        key: What the record's key is.
        schema: Name of its data in `PUBLISHED`; None: any bytes.
        key_schema: Name of its key in `PUBLISHED`, where that is JSON; None: it is text.
        headers: JSON Schema of each header's text, in UTF-8.
        required: The headers that are always there.
        example: Its data.
        content_type: Of its value.
        enveloped: Whether the value is a whole CloudEvent around the data.
        tombstone: What a record without a value says; empty: there are none.
    """

    name: str
    title: str
    summary: str
    key: str
    schema: str | None = None
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    example: Any = None
    content_type: str = "application/json"
    enveloped: bool = False
    tombstone: str = ""
    key_schema: str | None = None


_ATTRIBUTE = {"type": "string", "minLength": 1, "maxLength": MAX_ATTRIBUTE}
_IMAGE_KEY = "The key of the upload event; where that had none, its `public_id`."
SCHEMA_ID_HEADER = {
    VALUE_SCHEMA_ID: {
        "type": "string",
        "description": "Which schema of the schema registry describes the value, where "
        "TAGSTREAM_SCHEMA_REGISTRY names one. Bytes: 1 and 16 bytes of a GUID, or 0 and 4 bytes of an id.",
    }
}
_TOLD_TEXTS = {"type": "string"}
_CAUSE = Cause("kafka:image.uploads", "image.uploads/0/5", str(UploadType.UPLOADED))
_MODEL = ModelInfo("efficientnet_lite2_int8", "1")
_UPLOAD = UploadData(
    public_id="koala",
    url="https://example.com/koala.jpg",
    user_id="u1",
    uploaded_at="2026-01-31T12:00:00Z",
    categorization="imagga_tagging",
    auto_tagging=0.6,
)


def _texts(told: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    return {name: _TOLD_TEXTS | {"description": meaning} for name, meaning in told.items()}


def event_headers_schema(kind: str) -> dict[str, Mapping[str, Any]]:
    """Headers of an event of ours in CloudEvents' binary mode, with what may come with it."""
    return {
        "content-type": {"const": "application/json", "description": "Of the value."},
        "ce_specversion": {"const": "1.0", "description": "CloudEvents' version."},
        "ce_id": _ATTRIBUTE
        | {"description": "The same for the same cause: what is told twice is one event."},
        "ce_source": _ATTRIBUTE | {"description": "`tagstream:` and the application's id."},
        "ce_type": {"const": kind, "description": "What happened."},
        **_texts(TRACE_HEADERS),
        **SCHEMA_ID_HEADER,
    }


EVENT_HEADERS = ("content-type", "ce_specversion", "ce_id", "ce_source", "ce_type")
_UPLOAD_HEADERS = {
    **_texts(TRACE_HEADERS),
    **_texts(REPLAY_HEADERS),
    ROUTED_FROM: _TOLD_TEXTS
    | {"description": "Where the event was published, if it was forwarded to the partition of its image."},
}
_UPLOAD_KEY = (
    "The `public_id`: events of an image then keep their order. Any other key, or none, is understood."
)

UPLOAD = Message(
    "upload-event",
    "Upload event, plain JSON",
    "The value is the event.",
    _UPLOAD_KEY,
    "upload-event",
    _UPLOAD_HEADERS,
    example=_UPLOAD,
)
UPLOAD_BINARY = Message(
    "upload-event-binary",
    "Upload event, CloudEvent in binary mode",
    "The value is the event's data, headers say the rest.",
    _UPLOAD_KEY,
    "upload-event",
    {
        "ce_specversion": {"const": "1.0", "description": "CloudEvents' version."},
        "ce_id": _ATTRIBUTE | {"description": "With `ce_source` the idempotency key."},
        "ce_source": _ATTRIBUTE | {"description": "Who published it."},
        "ce_type": {"enum": [str(kind) for kind in UploadType], "description": "What happened."},
        "ce_time": {"type": "string", "format": "date-time", "description": "The event time."},
        **_UPLOAD_HEADERS,
    },
    ("ce_specversion", "ce_id", "ce_source", "ce_type"),
    _UPLOAD,
)
UPLOAD_STRUCTURED = Message(
    "upload-event-structured",
    "Upload event, CloudEvent in structured mode",
    "The value is the whole CloudEvent.",
    _UPLOAD_KEY,
    "upload-event",
    {
        "content-type": {
            "type": "string",
            "pattern": "^application/cloudevents",
            "description": "Says that the value is a CloudEvent.",
        },
        **_UPLOAD_HEADERS,
    },
    (),
    _UPLOAD,
    "application/cloudevents+json",
    enveloped=True,
)
CATEGORIZATION = Message(
    "categorization",
    "Categorization",
    "Every tag that an image was found to have, with its confidence, per add-on.",
    _IMAGE_KEY,
    "categorization",
    event_headers_schema(CATEGORIZED),
    EVENT_HEADERS,
    Categorization(
        public_id="koala",
        uploaded_at="2026-01-31T12:00:00Z",
        bytes=896838,
        width=1920,
        height=1441,
        format="jpg",
        tags=["koala"],
        info=Info({"imagga_tagging": AddOnResult("complete", [ReportedTag("koala", 0.951)], _MODEL)}),
        model=_MODEL,
        timings_ms=Timings(12.1, 3.9, 4.2, 25.0),
        cause=_CAUSE,
        user_id="u1",
        etag="9e107d9d372bb6826bd81d3542a419d6",
        url="https://example.com/koala.jpg",
    ),
)
TAG_UPDATE = Message(
    "tag-update",
    "Tag update",
    "The tags that are assigned to an image: what came, what went, and what it has now.",
    _IMAGE_KEY,
    "tag-update",
    event_headers_schema(TAGS_CHANGED),
    EVENT_HEADERS,
    TagUpdate(
        resources=[ChangedResource(public_id="koala", added=["koala"], removed=[], updated=[])],
        tags=["koala"],
        cause=_CAUSE,
        asset=Asset(asset_id="0123456789abcdef" * 2, format="jpg", bytes=896838),
    ),
)
DEAD_LETTER = Message(
    "dead-letter",
    "Dead letter",
    "An event that could not be handled, as it was, with headers that say why.",
    "The key of the original record.",
    headers=_texts(FAULT_HEADERS) | _texts(TRACE_HEADERS) | _texts(REPLAY_HEADERS),
    required=tuple(name for name in FAULT_HEADERS if name != LEFT_OUT),
    content_type="application/octet-stream",
)


def example_of(message: Message) -> Any:  # noqa: ANN401 - JSON
    """The value of the message's example."""
    data = msgspec.to_builtins(message.example)
    if not message.enveloped:
        return data
    envelope = {"specversion": "1.0", "id": "e1", "source": "/shop/photos", "type": str(UploadType.UPLOADED)}
    return envelope | {"time": "2026-01-31T12:00:00Z", "data": data}
