"""Records of what changed, for engines that know nothing of us: flat, keyed, the newest one counts.

A topic is there where `TAGSTREAM_STREAMS` names its stream; `image.trends` where a process has the role
`trends`. A record without a value takes its key's away.
"""

from enum import StrEnum
from typing import Annotated

import msgspec

IMAGE_TAGS, TAG_COUNTS = "image.tags", "tag.counts"
STREAMS = (IMAGE_TAGS, TAG_COUNTS)
ALL_ADD_ONS = "*"
TREND_BEGAN, TREND_PEAKED, TREND_ENDED = "trend.began", "trend.peaked", "trend.ended"

_Count = Annotated[int, msgspec.Meta(ge=0)]
_TimeText = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
_Tenant = Annotated[str, msgspec.Meta(description="Whose it is; empty: of no tenant.")]
_PublicId = Annotated[str, msgspec.Meta(description="The image's name, within its tenant.")]
_Tag = Annotated[str, msgspec.Meta(description="The tag, as images have it.")]
_Window = Annotated[
    str,
    msgspec.Meta(
        description="How long a count's time is, by the images' event times: `minute`, `hour`, `day`, or "
        "`all` of it."
    ),
]
_Start = Annotated[
    str,
    msgspec.Meta(
        description="When that begins, RFC 3339 in UTC; of `all` the epoch.",
        extra_json_schema={"format": "date-time"},
    ),
]
_AddOn = Annotated[
    str,
    msgspec.Meta(
        description="The add-on that gave the tag, `own` (it came with the image) or `people`. `*`: whoever "
        "gave it."
    ),
]
_Partition = Annotated[
    int,
    msgspec.Meta(
        ge=0, description="Whose share of the count it is: counts of one key over all partitions add up."
    ),
]


class ImageTagKey(msgspec.Struct, frozen=True):
    """Key of a record of `image.tags`."""

    tenant: _Tenant
    public_id: _PublicId
    tag: _Tag


class ImageTag(ImageTagKey, frozen=True):
    """A tag that an image has."""

    confidence: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            le=1,
            description="The highest of any add-on; 1 where it came with the image or from people.",
        ),
    ]
    source: Annotated[
        str,
        msgspec.Meta(
            description="The add-on that gave it, `own` (it came with the image) or `people`; several are "
            "separated by commas."
        ),
    ]
    model: Annotated[
        str | None,
        msgspec.Meta(description="Name and version of the model behind that; null where none is."),
    ]
    user_id: Annotated[str | None, msgspec.Meta(description="Who uploaded the image, where that is known.")]
    uploaded_at: Annotated[_TimeText, msgspec.Meta(description="The image's event time.")]


class TagCountKey(msgspec.Struct, frozen=True):
    """Key of a record of `tag.counts`."""

    tenant: _Tenant
    tag: _Tag
    add_on: _AddOn
    window: _Window
    start: _Start
    partition: _Partition


class CountedTag(TagCountKey, frozen=True, omit_defaults=True):
    """How many images of a partition have a tag in a window."""

    count: Annotated[_Count, msgspec.Meta(description="Images.")]
    clock: Annotated[
        int,
        msgspec.Meta(
            description="The partition's clock, milliseconds since the epoch: what was published before is "
            "counted in this record and those before it."
        ),
    ]
    uploaders: Annotated[
        str | None,
        msgspec.Meta(
            description="Where `add_on` is `*`: a HyperLogLog sketch (Apache DataSketches, 2^10 registers) "
            "of the uploaders, base64. Sketches of several records merge. Absent where none is known."
        ),
    ] = None


class TrendPhase(StrEnum):
    """What became of a rise."""

    BEGAN = TREND_BEGAN
    PEAKED = TREND_PEAKED
    ENDED = TREND_ENDED


class TrendKey(msgspec.Struct, frozen=True):
    """Key of a record of `image.trends`."""

    tenant: _Tenant
    tag: _Tag


class Trend(msgspec.Struct, frozen=True):
    """A tag began to rise, was at its height, or rises no longer: each once per rise, in that order."""

    phase: Annotated[TrendPhase, msgspec.Meta(description="Which of the three it tells.")]
    rise: Annotated[str, msgspec.Meta(description="Names the rise: the same in its three records.")]
    tenant: _Tenant
    tag: _Tag
    window: Annotated[str, msgspec.Meta(description="What was counted, `1h` or `24h`: so much before `at`.")]
    at: Annotated[
        _TimeText, msgspec.Meta(description="Of which moment the figures are; of `peaked` the peak's.")
    ]
    told_at: Annotated[_TimeText, msgspec.Meta(description="At which moment that was plain.")]
    began_at: Annotated[_TimeText, msgspec.Meta(description="At which moment it began.")]
    observed: Annotated[int, msgspec.Meta(ge=0, description="Images that got the tag in the window.")]
    expected: Annotated[float, msgspec.Meta(ge=0, description="What its past lets expect, four decimals.")]
    score: Annotated[
        float,
        msgspec.Meta(
            ge=0,
            description="(observed - expected)^2 / expected, four decimals; 0 where it does not exceed that.",
        ),
    ]
    uploaders: Annotated[int, msgspec.Meta(ge=0, description="Distinct ones, estimated; 0: none is known.")]
