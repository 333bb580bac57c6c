"""Answers of the query API."""

from typing import Annotated

import msgspec


class PartitionState(msgspec.Struct, frozen=True):
    """How far one partition is."""

    partition: int
    ready: Annotated[bool, msgspec.Meta(description="Whether its state is loaded.")]
    next_offset: Annotated[int, msgspec.Meta(description="First offset that is not counted yet.")]
    lag: Annotated[
        int | None,
        msgspec.Meta(
            description="Uploads that wait behind it; null where the broker has not been heard yet."
        ),
    ]


class TagCount(msgspec.Struct, frozen=True):
    """How many images have a tag."""

    tag: str
    count: int


class TopTags(msgspec.Struct, frozen=True):
    """The most used tags."""

    window: Annotated[str, msgspec.Meta(description="`all`, or an hour in UTC such as 2026-11-24T10.")]
    complete: Annotated[bool, msgspec.Meta(description="Whether this worker has every partition.")]
    as_of: Annotated[list[PartitionState], msgspec.Meta(description="The partitions that were summed.")]
    tags: Annotated[list[TagCount], msgspec.Meta(description="Most used first, equal ones by name.")]


class Health(msgspec.Struct, frozen=True):
    """State of this worker."""

    status: Annotated[str, msgspec.Meta(description="What it does; `ready` once uploads are worked on.")]
    partitions: Annotated[list[PartitionState], msgspec.Meta(description="Those that it owns.")]


class Problem(msgspec.Struct, frozen=True):
    """Why a question was not answered."""

    error: Annotated[str, msgspec.Meta(description="A short code, for machines.")]
    reason: Annotated[str, msgspec.Meta(description="The fault and its cure, for people.")]
