"""The image library: whatever happened to the rows, answers are those of a naive look at what is left."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.image_rows import deleted_row, image_row

from streams.fold.rows import ImageKey
from streams.state.images.compaction import LEAST_DEAD, Compaction, is_due
from streams.state.images.feed import CANDIDATES, feed
from streams.state.images.index import ImageIndex
from streams.state.images.library import Library
from streams.state.images.related_tags import BY_BOTH, BY_LIFT, related_tags
from streams.state.images.search import CONFIDENT, NEWEST, ImageQuery, Page, SortKey, nth_greatest, search

TAGS = ("sea", "sky", "dog", "cat")
USERS = (None, "ann", "bob")
Rows = dict[tuple[int, str], bytes]


class Found(NamedTuple):
    """An image as the naive filter sees it."""

    key: str
    partition: int
    at: int
    user: str | None
    tags: dict[str, int]


class Change(NamedTuple):
    partition: int
    key: str
    row: bytes | None


confidences = st.integers(0, 10_000).map(lambda steps: steps / 10_000)
rows = st.none() | st.builds(
    image_row,
    st.dictionaries(st.sampled_from(TAGS), confidences, max_size=4),
    own=st.lists(st.sampled_from(TAGS), max_size=2, unique=True).map(tuple),
    at=st.integers(0, 5),
    user=st.sampled_from(USERS),
    others=st.dictionaries(
        st.just("second"), st.dictionaries(st.sampled_from(TAGS), confidences, max_size=2), max_size=1
    ),
)
rows |= st.just(deleted_row())
keys = st.sampled_from([ImageKey(tenant, f"i{n}").encode() for tenant in ("", "t") for n in range(6)])
changes = st.lists(st.builds(Change, st.integers(0, 1), keys, rows), max_size=30)
some_tags = st.lists(st.sampled_from((*TAGS, "unheard")), max_size=2, unique=True).map(tuple)
moments = st.none() | st.integers(0, 6)
queries = st.builds(
    ImageQuery,
    all_of=some_tags,
    any_of=some_tags,
    none_of=some_tags,
    since=moments,
    until=moments,
    min_confidence=st.just(0.0) | confidences,
    user=st.sampled_from((*USERS, "unheard")),
    untagged=st.booleans(),
    order=st.sampled_from([NEWEST, CONFIDENT]),
)


def apply(index: ImageIndex, rows: Rows, changes: Iterable[Change]) -> None:
    for partition, key, row in changes:
        index.changed(partition, "images", key, rows.get((partition, key)), row)
        if row is None:
            rows.pop((partition, key), None)
        else:
            rows[partition, key] = row


def live(rows: Rows, tenant: str = "") -> Iterator[Found]:
    for (partition, key), encoded in rows.items():
        row = orjson.loads(encoded)
        if ImageKey.decode(key).tenant != tenant or row.get("deleted"):
            continue
        tags = {}
        for tag, sources in zip(row["tags"], row["by"], strict=True):
            said = [c for scores in row["scores"].values() for name, c in scores if name == tag]
            tags[tag] = 10_000 if "own" in sources else max(1, round(max(said) * 10_000))
        yield Found(key, partition, row["at"], row["user"], tags)


def matches(image: Found, query: ImageQuery) -> int | None:
    """The confidence with which an image matches, None if it does not."""
    least = max(1, math.ceil(round(query.min_confidence * 10_000, 6)))
    wanted = [image.tags.get(tag, 0) for tag in query.all_of]
    if query.any_of:
        wanted.append(max(image.tags.get(tag, 0) for tag in query.any_of))
    fine = (
        all(confidence >= least for confidence in wanted)
        and not image.tags.keys() & set(query.none_of)
        and (query.since is None or image.at >= query.since)
        and (query.until is None or image.at < query.until)
        and (query.user is None or image.user == query.user)
        and (not query.untagged or not image.tags)
    )
    return min(wanted, default=0) if fine else None


def naive(rows: Rows, query: ImageQuery, tenant: str = "") -> list[tuple[str, int]]:
    """Key and partition of what matches, in order."""
    found = [
        (-(confidence if query.order == CONFIDENT else 0), -image.at, image.key, image.partition)
        for image in live(rows, tenant)
        if (confidence := matches(image, query)) is not None
    ]
    return [(key, partition) for *_, key, partition in sorted(found)]


def places(page: Page) -> list[tuple[str, int]]:
    return [(hit.place.key, hit.place.partition) for hit in page.hits]


@pytest.mark.slow
@given(changes, queries, st.sampled_from(["", "t"]), st.integers(1, 8))
def test_answers_are_those_of_a_naive_filter(
    steps: list[Change], query: ImageQuery, tenant: str, limit: int
) -> None:
    """After any changes, a search gives what a filter over the live rows gives, and describes it truly."""
    index, rows = ImageIndex(), {}
    apply(index, rows, steps)
    page = search(index.view(tenant), query, limit=limit)
    expected = naive(rows, query, tenant)
    assert places(page) == expected[:limit]
    assert page.total == len(expected)
    assert page.more == (len(expected) > limit)
    images = {(image.key, image.partition): image for image in live(rows, tenant)}
    for hit in page.hits:
        image = images[hit.place.key, hit.place.partition]
        assert (hit.at, hit.user) == (image.at, image.user)
        assert {tag: round(c * 10_000) for tag, c in hit.tags} == image.tags
        expected_confidence = matches(image, query) if query.wants_tags else None
        assert (None if hit.confidence is None else round(hit.confidence * 10_000)) == expected_confidence


@pytest.mark.slow
@given(changes, st.lists(changes, max_size=6), queries, st.integers(1, 3), st.sampled_from([1, 100, 10_000]))
def test_pages_show_every_image_once(
    before: list[Change], between: list[list[Change]], query: ImageQuery, limit: int, room: int
) -> None:
    """While others come, change and go between the pages, what stays is shown once, and nothing twice.

    Nor where a page ends before `limit` because its tags are too long.
    """
    index, rows = ImageIndex(), {}
    apply(index, rows, before)
    stays = naive(rows, query)
    shown: list[tuple[str, int]] = []
    after: SortKey | None = None
    turns = iter(between)
    while True:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("streams.state.images.search.PAGE_CHARACTERS", room)
            page = search(index.view(""), query, limit=limit, after=after)
        shown += places(page)
        if not page.more:
            break
        after = page.hits[-1].place
        # An image that stays is not touched; one that was shown may go, but does not come back.
        fixed = {*stays, *shown}
        step = [it for it in next(turns, []) if (it.key, it.partition) not in fixed]
        apply(index, rows, step)
    assert len(shown) == len(set(shown))
    assert [place for place in shown if place in set(stays)] == stays


@pytest.mark.slow
@given(changes, changes, queries)
def test_a_view_stands_still(before: list[Change], after: list[Change], query: ImageQuery) -> None:
    """What a view answers is not touched by later changes, nor by a compaction."""
    index, rows = ImageIndex(), {}
    apply(index, rows, before)
    view = index.view("")
    expected, related = naive(rows, query), related_tags(view, "sea", limit=9)
    apply(index, rows, after)
    compacted(index)
    assert places(search(view, query, limit=99)) == expected
    assert all(len(view.postings(tag)[0]) <= view.size for tag in range(len(view.counts)))
    assert related_tags(view, "sea", limit=9) == related


def finished(compaction: Compaction, between: Callable[[], None] = lambda: None) -> Library:
    """The new library; something may go on between two steps."""
    steps = compaction.finish()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            library: Library = end.value
            return library
        between()


def compacted(index: ImageIndex) -> None:
    for tenant, library in index.libraries.items():
        compaction = Compaction(library)
        compaction.run()
        index.libraries[tenant] = finished(compaction)


@pytest.mark.slow
@given(changes, changes, changes, queries)
def test_compaction_changes_no_answer(
    before: list[Change], meanwhile: list[Change], after: list[Change], query: ImageQuery
) -> None:
    """Changes before, during and after a compaction all count, and the dead are gone."""
    index, rows = ImageIndex(), {}
    apply(index, rows, before)
    compactions = {tenant: Compaction(library) for tenant, library in index.libraries.items()}
    for compaction in compactions.values():
        compaction.run()
    apply(index, rows, meanwhile)
    for tenant, compaction in compactions.items():
        index.libraries[tenant] = finished(compaction)
    check_everything(index, rows, query)
    apply(index, rows, after)
    check_everything(index, rows, query)
    compacted(index)
    assert all(library.tick == 0 for library in index.libraries.values())
    check_everything(index, rows, query)


def check_everything(index: ImageIndex, rows: Rows, query: ImageQuery) -> None:
    view = index.view("")
    assert places(search(view, query, limit=99)) == naive(rows, query)
    images = list(live(rows))
    assert view.live == len(images)
    counts = Counter(tag for image in images for tag in image.tags)
    assert {tag: view.count(tag) for tag in TAGS} == {tag: counts[tag] for tag in TAGS}


@given(
    changes, st.sampled_from(TAGS), st.integers(1, 3), st.sampled_from([BY_LIFT, BY_BOTH]), st.integers(1, 4)
)
def test_related_tags_are_counted(steps: list[Change], tag: str, least: int, order: str, limit: int) -> None:
    """Both, support, confidence and lift are those of a count over the live rows."""
    index, rows = ImageIndex(), {}
    apply(index, rows, steps)
    images = [set(image.tags) for image in live(rows)]
    having = [tags for tags in images if tag in tags]
    found = related_tags(index.view(""), tag, limit=limit, min_both=least, order=order)
    if not having:
        assert found is None
        return
    both = Counter(other for tags in having for other in tags - {tag})
    counts = Counter(each for tags in images for each in tags)
    expected = [
        (other, n, n / len(images), n / len(having), n * len(images) / (len(having) * counts[other]))
        for other, n in both.items()
        if n >= least
    ]
    expected.sort(key=lambda it: (-(it[4] if order == BY_LIFT else it[1]), -it[1], it[0]))
    assert found == expected[:limit]


weights = st.dictionaries(st.sampled_from((*TAGS, "unheard")), st.sampled_from([0.1, 0.2, 0.25]), max_size=4)


@given(changes, weights, st.sets(keys, max_size=3), st.integers(1, 5))
def test_feed_is_the_best_of_others(
    steps: list[Change], weights: dict[str, float], seen: set[str], limit: int
) -> None:
    """The feed has the images with the greatest sum of weight times confidence, not the user's, not seen."""
    index, rows = ImageIndex(), {}
    apply(index, rows, steps)
    expected = sorted(
        (
            -round(sum(weights.get(tag, 0) * c / 10_000 for tag, c in it.tags.items()), 6),
            -it.at,
            it.key,
            it.partition,
        )
        for it in live(rows)
        if it.tags.keys() & weights.keys() and it.user != "ann" and it.key not in seen
    )[:limit]
    found = feed(index.view(""), weights, user="ann", limit=limit, seen=seen)
    assert [(-round(m.score, 6), -m.at, m.key, m.partition) for m in found] == expected
    assert all(set(m.because) == {tag for tag, _ in m.tags} & weights.keys() for m in found)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=50), st.data())
@example([1, 1, 1], None)
def test_nth_greatest(values: list[int], data: st.DataObject | None) -> None:
    """It is the n-th of the values in descending order."""
    number = data.draw(st.integers(1, len(values))) if data else 2
    assert nth_greatest(np.array(values), number) == sorted(values, reverse=True)[number - 1]


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled", "spikes"])
@pytest.mark.parametrize("number", [1, 21, 1001, 99_999, 100_000])
def test_nth_greatest_of_many(order: str, number: int) -> None:
    """The sample never leads astray, however the values lie."""
    values = np.arange(100_000)
    if order == "descending":
        values = values[::-1]
    elif order == "shuffled":
        values = np.random.default_rng(1).permutation(values)
    elif order == "spikes":  # great values just where the sample looks
        values = np.where(values % 98 == 0, 10**6 + values, values)
    assert nth_greatest(values, number) == np.sort(values)[-number]


def test_feed_looks_at_the_newest_images_of_a_tag() -> None:
    """Of a tag with many images the newest are candidates, however the older ones would score."""
    index = ImageIndex()
    for number in range(CANDIDATES + 50):
        row = image_row({"sea": 0.5 if number >= 50 else 1.0}, user="bob", at=number)
        index.changed(0, "images", f"i{number:03}", None, row)
    found = feed(index.view(""), {"sea": 1.0}, user="ann", limit=1000)
    assert [match.at for match in found] == list(range(CANDIDATES + 49, 49, -1))
    found = feed(index.view(""), {"sea": 1.0}, user="ann", limit=1, seen={"i249", "i248"})
    assert [match.at for match in found] == [49]


def test_a_moment_with_many_images() -> None:
    """Where more images than candidates are of one moment, as many are taken as there may be."""
    index = ImageIndex()
    for number in range(2 * CANDIDATES):
        index.changed(0, "images", str(number), None, image_row({"sea": 0.5}, user="bob", at=7))
    assert len(feed(index.view(""), {"sea": 1.0}, user="ann", limit=1000)) == CANDIDATES


def test_a_rewritten_row_costs_nothing() -> None:
    """A row that says the same of its image as before takes no new slot."""
    index = ImageIndex()
    row = image_row({"sea": 0.5}, own=("sky",))
    index.changed(0, "images", "a", None, row)
    index.changed(0, "images", "a", row, orjson.dumps(orjson.loads(row) | {"ids": ["1"]}))
    index.changed(0, "trends", "a", None, b"{}")
    assert index.libraries[""].keys == ["a"]


def test_times_beyond_the_calendar_are_kept_in_order() -> None:
    """A publisher's absurd timestamp neither breaks the order nor the index."""
    index = ImageIndex()
    for number, at in enumerate((-(2**62), 0, 2**62)):
        index.changed(0, "images", str(number), None, image_row({"sea": 0.5}, at=at))
    for order in (NEWEST, CONFIDENT):
        page = search(index.view(""), ImageQuery(all_of=("sea",), order=order), limit=9)
        assert [hit.place.key for hit in page.hits] == ["2", "1", "0"]


def test_same_public_id_in_two_partitions() -> None:
    """Images that were published under two keys are two, and going one after the other is no muddle."""
    index = ImageIndex()
    for partition in (0, 1):
        index.changed(partition, "images", "a", None, image_row({"sea": 0.5}))
    first = search(index.view(""), ImageQuery(), limit=1)
    second = search(index.view(""), ImageQuery(), limit=1, after=first.hits[0].place)
    assert places(first) + places(second) == [("a", 0), ("a", 1)]
    index.changed(0, "images", "a", None, None)
    assert places(search(index.view(""), ImageQuery(), limit=9)) == [("a", 1)]


def fill(index: ImageIndex, at: int) -> None:
    for number in range(LEAST_DEAD + 1):
        index.changed(0, "images", f"i{number}", None, image_row({"sea": 0.5}, at=at))


@pytest.mark.slow
@given(changes, changes, changes, queries)
def test_changes_between_the_steps_of_a_compaction_count(
    before: list[Change], meanwhile: list[Change], later: list[Change], query: ImageQuery
) -> None:
    """A library goes on changing while what has changed is repeated; the new one is as the old one then."""
    index, rows, turns = ImageIndex(), {}, iter(later)
    apply(index, rows, before)
    compactions = {tenant: Compaction(library) for tenant, library in index.libraries.items()}
    for compaction in compactions.values():
        compaction.run()
    apply(index, rows, meanwhile)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("streams.state.images.compaction.CELLS_PER_STEP", 0)
        for tenant, compaction in compactions.items():
            new = finished(compaction, lambda: apply(index, rows, [*islice(turns, 1)]))
            index.libraries[tenant] = new
    check_everything(index, rows, query)
    apply(index, rows, [*turns])
    check_everything(index, rows, query)


async def test_few_images_with_many_tags_are_compacted() -> None:
    """Ten images that get a thousand new tags again and again leave no more behind than they have."""
    index = ImageIndex()
    for turn in range(30):
        for image in range(10):
            tags = {f"{turn}-{image}-{tag}": 0.5 for tag in range(1000)}
            index.changed(0, "images", f"i{image}", None, image_row(tags, at=turn))
        await index.compact()
        library = index.libraries[""]
        assert len(library.tags.names) <= 3 * 10_000
    assert (library.live, library.live_cells) == (10, 10_000)


async def test_a_tenant_without_images_is_forgotten() -> None:
    """What it had is given back; whoever asks finds nothing, and it may come again."""
    index = ImageIndex()
    index.changed(0, "images", "a", None, image_row({"sea": 0.5}))
    index.changed(0, "images", "a", None, None)
    await index.compact()
    assert index.libraries == {}
    assert search(index.view(""), ImageQuery(), limit=9).total == 0
    index.changed(0, "images", "a", None, image_row({"sea": 0.5}))
    assert places(search(index.view(""), ImageQuery(), limit=9)) == [("a", 0)]


async def test_compaction_when_due() -> None:
    """It begins once more than half of the slots are dead, and questions go on meanwhile."""
    index = ImageIndex()
    fill(index, at=0)
    fill(index, at=1)
    before = index.libraries[""]
    await index.compact()
    assert index.libraries[""] is before  # half is not more than half
    fill(index, at=2)
    assert is_due(before)
    keeping = asyncio.create_task(index.keep_compact(0.001))
    while index.libraries[""] is before:
        assert search(index.view(""), ImageQuery(all_of=("sea",)), limit=1).total == LEAST_DEAD + 1
        await asyncio.sleep(0)
    keeping.cancel()
    library = index.libraries[""]
    assert (library.live, library.tick) == (LEAST_DEAD + 1, 0)
    assert library.nbytes < before.nbytes


def test_view_of_nobody() -> None:
    """A tenant without images has an empty library."""
    view = ImageIndex().view("nobody")
    assert search(view, ImageQuery(all_of=("sea",)), limit=5) == Page([], 0, more=False)
    assert search(view, ImageQuery(), limit=5) == Page([], 0, more=False)
    assert related_tags(view, "sea", limit=5) is None
    assert feed(view, {"sea": 1.0}, user="ann", limit=5) == []
