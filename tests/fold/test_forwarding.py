"""Events of images of other partitions."""

import pytest
from support.fakes import NAMES, apply, record, upload

from schemas.origins import Origin, TopicPartitionOffset, origin_headers, read_origin
from streams.fold.outcomes import Done, Forwarded
from streams.state.partition import PartitionState

FIRST = Origin(TopicPartitionOffset("image.uploads", 3, 9), 500)


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ([("trace", b"1")], Origin(TopicPartitionOffset("image.uploads", 0, 7), 1_000)),
        ([("trace", b"1"), *origin_headers(FIRST)], FIRST),
    ],
    ids=["published here", "sent on before"],
)
def test_an_event_is_sent_on_as_it_is_with_where_it_came_from(
    headers: list[tuple[str, bytes | None]], origin: Origin
) -> None:
    """One record in the partition of its image, in the same transaction; no row of the image here."""
    state = PartitionState(0)
    original = record(7, b'{"public_id":"img"}', key=None, headers=headers)
    (output,) = apply(state, Done(original, Forwarded(upload(), 2)))
    assert (output.topic, output.partition) == (NAMES.uploads, 2)
    assert (output.key, output.value) == (b"img", original.value)
    assert read_origin(output.headers) == origin
    assert ("trace", b"1") in output.headers
    assert state.rows["images"] == {}
