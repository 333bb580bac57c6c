"""Answers of the query API.

An answer about the state extends `Answer`: what stretch of event time it is about, how fresh it is and how
complete.
"""

from datetime import datetime
from typing import Annotated

import msgspec

Meta = msgspec.Meta
UtcDatetime = Annotated[datetime, Meta(tz=True)]


class PartitionState(msgspec.Struct, frozen=True):
    """How far one partition is."""

    partition: int
    ready: Annotated[bool, Meta(description="Whether its state is loaded.")]
    next_offset: Annotated[int, Meta(description="First offset that is not counted yet.")]
    lag: Annotated[
        int | None,
        Meta(description="Uploads that wait behind it; null where the broker has not been heard yet."),
    ]
    event_time: Annotated[
        UtcDatetime | None, Meta(description="Latest event time that is counted; null where none is.")
    ] = None


class Window(msgspec.Struct, frozen=True):
    """A stretch of event time."""

    name: Annotated[str, Meta(description="As it was asked for.")]
    start: Annotated[UtcDatetime | None, Meta(description="Its first moment; null: from the beginning.")]
    end: Annotated[UtcDatetime | None, Meta(description="The first moment after it; null: no end.")]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer about the state says."""

    window: Annotated[Window, Meta(description="The event times that it is about.")]
    as_of: Annotated[list[PartitionState], Meta(description="How far each partition is.")]
    complete: Annotated[
        bool,
        Meta(description="Whether every partition's state is in the answer. Never while Kafka is away."),
    ]
    behind: Annotated[
        list[int],
        Meta(description="Partitions that are not loaded, or whose uploads wait and make no progress."),
    ]


class TagCount(msgspec.Struct, frozen=True, omit_defaults=True):
    """How many images have a tag."""

    tag: str
    count: Annotated[int, Meta(description="Images.")]
    uploaders: Annotated[
        int | None,
        Meta(description="Distinct uploaders, estimated; absent where they were not asked for."),
    ] = None


class TopTags(Answer, frozen=True, kw_only=True):
    """The most used tags."""

    tags: Annotated[list[TagCount], Meta(description="Most used first, equal ones by name.")]
    uploaders_error: Annotated[
        float | None,
        Meta(description="Relative standard error of `uploaders`; null where they were not asked for."),
    ] = None


class RisingTag(msgspec.Struct, frozen=True):
    """A tag that is used more than its past lets expect."""

    tag: str
    observed: Annotated[int, Meta(description="Images in the window.")]
    expected: Annotated[float, Meta(description="Images that the baseline lets expect in the window.")]
    score: Annotated[float, Meta(description="(observed - expected)^2 / expected.")]
    recency: Annotated[
        float,
        Meta(description="Share of the surplus that is left when each use halves per half-life, 0 to 1."),
    ]
    uploaders: Annotated[int, Meta(description="Distinct uploaders in the window, estimated.")]


class RisingTags(Answer, frozen=True, kw_only=True):
    """The tags that rise, by score times recency."""

    baseline: Annotated[Window, Meta(description="The time before the window that it is held against.")]
    method: Annotated[str, Meta(description="How the score is made.")]
    half_life_seconds: Annotated[
        int, Meta(description="In which a use loses half of its weight in `recency`.")
    ]
    uploaders_error: Annotated[float, Meta(description="Relative standard error of `uploaders`.")]
    tags: Annotated[list[RisingTag], Meta(description="Greatest score times recency first.")]


class Point(msgspec.Struct, frozen=True):
    """One step of a series."""

    start: Annotated[UtcDatetime, Meta(description="Its first moment; the window may cut the step shorter.")]
    count: Annotated[int, Meta(description="Images.")]


class TagSeries(Answer, frozen=True, kw_only=True):
    """A tag over time."""

    tag: Annotated[str, Meta(description="As it was asked for.")]
    step: Annotated[str, Meta(description="minute, hour or day.")]
    points: Annotated[list[Point], Meta(description="Every step of the window, oldest first.")]
    total: Annotated[int, Meta(description="Images in the window.")]
    by_add_on: Annotated[
        dict[str, int],
        Meta(
            description="Images in the window by the add-on that gave the tag; `own`: it came with the image."
        ),
    ]
    uploaders: Annotated[int, Meta(description="Distinct uploaders in the window, estimated.")]
    uploaders_error: Annotated[float, Meta(description="Relative standard error of `uploaders`.")]
    first_seen: Annotated[UtcDatetime | None, Meta(description="Earliest event time ever counted.")]
    last_seen: Annotated[UtcDatetime | None, Meta(description="Latest event time ever counted.")]


class ComparedTag(msgspec.Struct, frozen=True):
    """A tag in two windows."""

    tag: str
    a: Annotated[int, Meta(description="Images in the window `a`.")]
    b: Annotated[int, Meta(description="Images in the window `b`.")]
    ratio: Annotated[
        float | None,
        Meta(description="Images per hour in `a` over those in `b`; null where `b` has none."),
    ]


class ComparedTags(Answer, frozen=True, kw_only=True):
    """Two windows side by side; `window` is `a`."""

    b: Annotated[Window, Meta(description="The window that it is compared with.")]
    tags: Annotated[
        list[ComparedTag],
        Meta(description="As they were asked for, else those with the most images in both together."),
    ]


class TagLine(msgspec.Struct, frozen=True):
    """One tag of several over time."""

    tag: Annotated[str, Meta(description="The tag that was meant.")]
    total: Annotated[int, Meta(description="Images in the window.")]
    counts: Annotated[list[int], Meta(description="Images in each step, in the order of `starts`.")]


class TagLines(Answer, frozen=True, kw_only=True):
    """Several tags over time."""

    step: Annotated[str, Meta(description="minute, hour or day.")]
    starts: Annotated[list[UtcDatetime], Meta(description="First moment of each step, oldest first.")]
    tags: Annotated[list[TagLine], Meta(description="In the order in which they were asked for.")]


class TagList(Answer, frozen=True, kw_only=True):
    """Tags by name, with all-time counts."""

    tags: Annotated[list[TagCount], Meta(description="By name, in the order of its characters.")]
    cursor: Annotated[str | None, Meta(description="Say it to get the next rows; null: there are none.")]


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """State of this worker."""

    status: Annotated[str, Meta(description="What it does; `ready` once uploads are worked on.")]
    partitions: Annotated[list[PartitionState], Meta(description="Those that it owns.")]
    rules: Annotated[
        str | None, Meta(description="Hash of the rules for tags that hold; null before they are read.")
    ] = None
    rules_error: Annotated[
        str | None,
        Meta(description="Why the rules file as it is now does not hold; null: it does, or there is none."),
    ] = None


class Problem(msgspec.Struct, frozen=True):
    """Why a question was not answered."""

    error: Annotated[str, Meta(description="A short code, for machines.")]
    reason: Annotated[str, Meta(description="The fault and its cure, for people.")]
