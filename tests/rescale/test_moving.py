"""What moves with an image: sums stay, and the state goes on as if it had been so ever since."""

from collections import Counter

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from support.fakes import apply, done, edit, upload

from schemas.uploads import UploadType
from streams.fold.trend_rows.count_rows import decode_count
from streams.fold.trend_rows.uploaders import count_uploaders
from streams.kafka.partitioning import partition_for
from streams.rescale.moving import Memory, Move, misplaced
from streams.state.partition import PartitionState

HOUR = 3_600_000
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 11),  # image
        st.sampled_from(["upload", "upload", "edit", "delete"]),
        st.integers(0, 3),  # user
        st.integers(0, 400),  # hours
        st.sets(st.sampled_from(["cat", "dog", "koala", "tree"]), min_size=1),
    ),
    max_size=40,
)


def folded(events: list[tuple[int, str, int, int, set[str]]], partitions: int) -> list[PartitionState]:
    """The states of partitions, each the fold of the events of its images."""
    states = [PartitionState(number) for number in range(partitions)]
    for number, (image, kind, user, hours, tags) in enumerate(events):
        name, at = f"image-{image}", hours * HOUR
        state = states[partition_for(name, partitions)]
        if kind == "edit":
            event = edit(f"e{number}", at=at, public_id=name, added=sorted(tags), removed=[])
        else:
            what = UploadType.DELETED if kind == "delete" else UploadType.UPLOADED
            event = upload(name, f"e{number}", at=at, kind=what, user_id=f"user-{user}")
        apply(state, done(number, event, **dict.fromkeys(tags, 0.9)))
    return states


def move_all(states: list[PartitionState], partitions: int) -> list[PartitionState]:
    """Move what belongs elsewhere among so many partitions, three images in a transaction."""
    states += [PartitionState(number) for number in range(len(states), partitions)]
    memory = Memory()
    for source in states:
        images = misplaced(source, partitions)
        for begin in range(0, len(images), 3):
            move = Move(dict(enumerate(states)), source.partition, memory)
            move.move(images[begin : begin + 3])
            for partition, changes in move.changes.items():
                for table, key, row in list(changes.encoded()):
                    states[partition].apply(table, key, row)
    return states


def sums(states: list[PartitionState]) -> dict[str, object]:
    counts, add_ons = Counter[str](), Counter[tuple[str, str]]()
    sketches = dict[str, list[str]]()
    times = dict[str, list[int]]()
    interests = Counter[tuple[str, str]]()
    for state in states:
        for key, row in state.rows["trends"].items():
            count = decode_count(row)
            counts[key] += count.n
            add_ons.update({(key, name): number for name, number in count.by.items()})
            sketches.setdefault(key, []).extend([count.u.encoded()] if count.u else [])
            times.setdefault(key, []).extend(at for at in (count.first, count.last) if at is not None)
        for key, row in state.rows["interests"].items():
            interests.update({(key, tag): number for tag, number in orjson.loads(row)["t"].items()})
    images = {
        key: {name: value for name, value in orjson.loads(row).items() if name not in {"o", "placed"}}
        for state in states
        for key, row in state.rows["images"].items()
    }
    return {
        "images": images,
        "counts": counts,
        "add_ons": add_ons,
        "interests": interests,
        "uploaders": {key: count_uploaders(found) for key, found in sketches.items()},
        "times": {key: (min(found), max(found)) for key, found in times.items() if found},
    }


@settings(max_examples=60)
@given(EVENTS, st.sampled_from([(2, 5), (4, 12), (1, 2), (3, 4)]))
def test_sums_stay_what_they_are(
    events: list[tuple[int, str, int, int, set[str]]], step: tuple[int, int]
) -> None:
    """Images, counts, interests, uploaders, first and last times: all the same, each image in its place."""
    before, after = step
    states = folded(events, before)
    expected = sums(states)
    states = move_all(states, after)
    assert sums(states) == expected
    for state in states:
        assert misplaced(state, after) == []


@settings(max_examples=60)
@given(EVENTS)
def test_what_was_moved_can_be_taken_back(events: list[tuple[int, str, int, int, set[str]]]) -> None:
    """Every image is deleted where it is now, and nothing is counted any more."""
    states = move_all(folded(events, 2), 5)
    for state in states:
        for offset, image in enumerate(list(state.rows["images"])):
            gone = upload(image, f"gone-{image}", at=1000 * HOUR, kind=UploadType.DELETED)
            apply(state, done(state.next_offset + offset + 10_000, gone))
        assert {key: row for key, row in state.rows["trends"].items() if key.startswith("all:")} == {}
