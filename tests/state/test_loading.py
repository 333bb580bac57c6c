"""Law: an index that is loaded with all rows at once equals one that is told row by row, also afterwards."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.image_rows import deleted_row, image_row

from streams.fold.rows import DAY_MS, ImageKey, InterestKey, TrendKey
from streams.state.images.compaction import Compaction
from streams.state.images.index import ImageIndex
from streams.state.images.library import Library
from streams.state.images.view import View
from streams.state.loading import Index
from streams.state.trends.index import TrendIndex
from streams.state.users.index import UserIndex

TAGS = ("sea", "sky", "a:b", "Zoë")
TENANTS = ("", "t", "u")
Rows = dict[str, bytes]
partitions = st.integers(0, 2)
tenants = st.sampled_from(TENANTS)
tags = st.sampled_from(TAGS)


def tables(keys: st.SearchStrategy[str], rows: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[Rows]]:
    """The rows of three partitions."""
    return st.lists(st.dictionaries(keys, rows, max_size=12), min_size=3, max_size=3)


def load(index: Index, states: Sequence[Rows], size: int) -> None:
    """Load all partitions, `size` rows at a time."""
    for partition, rows in enumerate(states):
        loading, keys, values = index.loading(partition), [*rows], [*rows.values()]
        for start in range(0, len(keys), size):
            loading.take(keys[start : start + size], values[start : start + size])
        loading.sort()
        for _ in loading.finish():
            pass


def tell(index: Index, states: Sequence[Rows], then: Sequence[Rows]) -> None:
    """Pass on the changes from some rows to others."""
    for partition, (old, new) in enumerate(zip(states, then, strict=True)):
        for key in {**old, **new}:
            if old.get(key) != new.get(key):
                index.changed(partition, index.table, key, old.get(key), new.get(key))


def pair(first: Index, second: Index, before: list[Rows], after: list[Rows], size: int) -> None:
    """Load the first, tell the second; then tell both of the changes that follow."""
    load(first, before, size)
    tell(second, [{}] * 3, before)
    for index in (first, second):
        tell(index, before, after)


counts = st.dictionaries(st.sampled_from(["own", "one", "two"]), st.integers(1, 50_000), min_size=1)
trend_rows = tables(
    st.builds(TrendKey, tenants, st.sampled_from(["hour", "day"]), st.sampled_from([0, 86_400]), tags).map(
        TrendKey.encode
    ),
    counts.map(lambda by: orjson.dumps({"o": 1, "n": max(by.values()), "by": by})),
)


def trends(index: TrendIndex) -> dict[str, Any]:
    """All that an index holds."""
    return {
        name: {
            bucket: (
                counts.rows,
                {
                    (add_on, tag): number
                    for add_on in (None, *counts.by)
                    for place, tag in enumerate(tenant.tags)
                    if (number := counts.held_tally(add_on).get(place))
                },
            )
            for bucket, counts in tenant._buckets.items()
        }
        | {"names": [tag for tag in tenant._sorted if tenant.knows(tag)], "tags": sorted(tenant.tags)}
        for name, tenant in index._tenants.items()
    }


@pytest.mark.slow
@given(trend_rows, trend_rows, st.integers(1, 5))
def test_trends(before: list[Rows], after: list[Rows], size: int) -> None:
    """Counts by bucket, add-on and tag."""
    loaded, told = TrendIndex({}), TrendIndex({})
    pair(loaded, told, before, after, size)
    assert trends(loaded) == trends(told)


confidences = st.integers(0, 10_000).map(lambda steps: steps / 10_000)
image_rows = tables(
    st.builds(ImageKey, tenants, st.sampled_from(["a", "b", "c"])).map(ImageKey.encode),
    st.builds(
        image_row,
        st.dictionaries(tags, confidences, max_size=4),
        own=st.lists(tags, max_size=2, unique=True).map(tuple),
        at=st.integers(0, 5) | st.sampled_from([-(2**62), 2**62]),
        user=st.sampled_from([None, "ann", "bob"]),
        others=st.dictionaries(st.just("two"), st.dictionaries(tags, confidences, max_size=2), max_size=1),
    )
    | st.just(deleted_row()),
)


def images(index: ImageIndex) -> dict[str, Any]:
    """All that is alive in an index."""
    return {tenant: alive(library) for tenant, library in index.libraries.items() if library.live}


def alive(library: Library) -> dict[str, Any]:
    """A library's live images, and what its postings and counts say of them."""
    slots = {
        slot: (partition, key) for partition, held in library.slots.items() for key, slot in held.items()
    }
    assert {slot: (library.partition[slot], library.keys[slot]) for slot in slots} == slots
    names = library.tags.names
    postings = {}
    for number, tag in enumerate(names):
        places, confidences = View(library).postings(number)
        found = zip(places.tolist(), confidences.tolist(), strict=True)
        postings[tag] = {slots[place]: confidence for place, confidence in found if place in slots}
    return {
        "images": {place: library._image(slot) for slot, place in slots.items()},
        "postings": {tag: found for tag, found in postings.items() if found},
        "counts": {
            tag: count for tag, count in zip(names, library.counts.view().tolist(), strict=True) if count
        },
        "live": library.live,
    }


@pytest.mark.slow
@given(image_rows, image_rows, st.integers(1, 5))
def test_images(before: list[Rows], after: list[Rows], size: int) -> None:
    """Images with their tags, users and times; postings; counts."""
    loaded, told = ImageIndex(), ImageIndex()
    pair(loaded, told, before, after, size)
    assert images(loaded) == images(told)


interest_rows = tables(
    st.builds(InterestKey, tenants, st.sampled_from(["ann", "b:ob"]), st.integers(-1, 3)).map(
        InterestKey.encode
    ),
    st.dictionaries(tags, st.integers(1, 9), min_size=1).map(lambda tags: orjson.dumps({"o": 1, "t": tags})),
)


@pytest.mark.slow
@given(interest_rows, interest_rows, st.integers(1, 5))
def test_interests(before: list[Rows], after: list[Rows], size: int) -> None:
    """Each user's rows, and who has changed."""
    loaded, told = UserIndex(), UserIndex()
    pair(loaded, told, before, after, size)
    for tenant in TENANTS:
        assert loaded._users.get(tenant, {}) == told._users.get(tenant, {})
        assert loaded.take_touched(tenant) == told.take_touched(tenant)


def half_dead() -> ImageIndex:
    """An index of one image that has changed often enough for a compaction."""
    index = ImageIndex()
    for at in range(1100):
        index.changed(0, "images", "a", None, image_row({"sea": 0.5}, at=at))
    return index


def loading_another(index: ImageIndex) -> Iterator[None]:
    """The steps in which another partition's image gets into its library."""
    loading = index.loading(1)
    loading.take(["b"], [image_row({"sea": 0.5}, at=DAY_MS)])
    loading.sort()
    return loading.finish()


async def test_nothing_is_buried_while_a_library_is_loaded() -> None:
    """A library's slots keep their numbers until those who are loaded know theirs."""
    index = half_dead()
    steps = loading_another(index)
    before = index.libraries[""]
    for _ in steps:
        await index.compact()
        assert index.libraries[""] is before
    await index.compact()
    assert index.libraries[""] is not before
    assert index.view("").count("sea") == 2


STEPS = len([*loading_another(ImageIndex())])


@pytest.mark.parametrize("done", range(STEPS + 1))
async def test_what_is_loaded_while_the_dead_are_buried_stays(
    monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    """Wherever the thread that buries ends between the steps of a loading, or after all of them."""
    index, run = half_dead(), Compaction.run
    began, end = threading.Event(), threading.Event()

    def slow_run(compaction: Compaction) -> None:
        began.set()
        end.wait(10)
        run(compaction)

    monkeypatch.setattr(Compaction, "run", slow_run)
    compaction = asyncio.create_task(index.compact())
    await asyncio.to_thread(began.wait, 10)
    steps = loading_another(index)
    for _ in range(done):
        next(steps)
    if done == STEPS:
        assert next(steps, "ended") == "ended"
    end.set()
    await compaction
    for _ in steps:
        pass
    found = alive(index.libraries[""])
    assert (found["postings"], found["counts"]) == ({"sea": {(0, "a"): 5000, (1, "b"): 5000}}, {"sea": 2})
    index.changed(1, "images", "b", None, None)
    await index.compact()
    assert [*alive(index.libraries[""])["images"]] == [(0, "a")]
