"""Answers of the query API."""

import msgspec


class PartitionState(msgspec.Struct, frozen=True):
    """How far one partition is.

    Attributes:
        ready: Whether its state is loaded.
        next_offset: First offset that is not counted yet.
        lag: Uploads that wait behind it; None where the broker has not been heard yet.
    """

    partition: int
    ready: bool
    next_offset: int
    lag: int | None


class TagCount(msgspec.Struct, frozen=True):
    """How many images have a tag."""

    tag: str
    count: int


class TopTags(msgspec.Struct, frozen=True):
    """The most used tags.

    Attributes:
        window: `all`, or the hour's first moment.
        complete: Whether this worker has every partition.
    """

    window: str
    complete: bool
    as_of: list[PartitionState]
    tags: list[TagCount]


class Health(msgspec.Struct, frozen=True):
    """State of this worker."""

    status: str
    partitions: list[PartitionState]


class Problem(msgspec.Struct, frozen=True):
    """Why a question was not answered."""

    error: str
    reason: str
