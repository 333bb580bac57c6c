"""What lies in the topics of streams of what changed: see `messages.py`."""

from schemas.contracts.messages import EVENT_HEADERS, SCHEMA_ID_HEADER, Message, event_headers_schema
from schemas.streams.records import CountedTag, ImageTag, Trend, TrendPhase

IMAGE_TAG = Message(
    "image-tag",
    "Tag of an image",
    "A tag that an image has; the newest record of a key counts.",
    "The image and the tag.",
    "image-tag",
    SCHEMA_ID_HEADER,
    example=ImageTag(
        tenant="",
        public_id="koala",
        tag="marsupial",
        confidence=0.951,
        source="imagga_tagging",
        model="efficientnet_lite2_int8/1",
        user_id="u1",
        uploaded_at="2026-01-31T12:00:00Z",
    ),
    tombstone="the image has the tag no longer.",
    key_schema="image-tag-key",
)
TAG_COUNT = Message(
    "tag-count",
    "Count of a tag",
    "A partition's share of a count; the newest record of a key counts, and those of all partitions add up.",
    "Whose count it is, of which time, and the partition.",
    "tag-count",
    SCHEMA_ID_HEADER,
    example=CountedTag(
        tenant="",
        tag="koala",
        add_on="*",
        window="hour",
        start="2026-01-31T12:00:00Z",
        partition=2,
        count=7,
        clock=1_769_861_103_000,
        uploaders="AgEHCgMAAQA=",
    ),
    tombstone="the count is zero, or is kept no longer.",
    key_schema="tag-count-key",
)
TREND = Message(
    "trend",
    "Trend",
    "A tag began to rise, was at its height, or rises no longer: each once per rise, in that order.",
    "The tag.",
    "trend",
    event_headers_schema("")
    | {"ce_type": {"enum": [f"tagstream.{phase}" for phase in TrendPhase], "description": "What happened."}},
    EVENT_HEADERS,
    Trend(
        phase=TrendPhase.BEGAN,
        rise="5f0c2ad0b1e94f6f8a5d1b6f7c3e9d20",
        tenant="",
        tag="koala",
        window="1h",
        at="2026-01-31T12:20:00Z",
        told_at="2026-01-31T12:20:00Z",
        began_at="2026-01-31T12:20:00Z",
        observed=12,
        expected=2.25,
        score=42.25,
        uploaders=9,
    ),
    key_schema="trend-key",
)
