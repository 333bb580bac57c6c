"""What a transaction tells by the streams that are on. Pure."""

from collections.abc import Iterator

from schemas.streams.records import IMAGE_TAGS, TAG_COUNTS
from schemas.topics import TopicNames
from streams.fold.changes import Changes
from streams.fold.outcomes import Output
from streams.fold.streams.image_tags import changed_tags
from streams.fold.streams.tag_counts import Share, changed_counts


def told(changes: Changes, names: TopicNames, share: Share) -> Iterator[Output]:
    """The records of a transaction whose rows are as they will be committed.

    Args:
        changes: The transaction's.
        names: Which streams are on, and what their topics are called.
        share: Whose rows they are.
    """
    if IMAGE_TAGS in names.streams:
        for key, old, new, again in changes.images():
            for record in changed_tags(key, old, new, again=again):
                yield Output(names.image_tags, *record, (), share.partition)
    if TAG_COUNTS in names.streams:
        for key, before, row, again in changes.counts():
            for record in changed_counts(key, before, row, share, again=again):
                yield Output(names.tag_counts, *record, (), share.partition)
