"""Which images look alike, exactly: compared with a look at every pair."""

from __future__ import annotations

import binascii

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.image_rows import deleted_row, image_row

from model.embedding.codes import VERSION, decode, encode, likeness
from streams.fold.rows import ImageKey
from streams.state.images import alike
from streams.state.images.alike import MOST_BITS, TooManyAlikeError, groups
from streams.state.images.hashes import HashIndex

near = st.integers(0, 2**64 - 1) | st.builds(
    lambda bits: sum(1 << bit for bit in bits), st.sets(st.integers(0, 63), max_size=6)
)


def index_of(numbers: dict[str, int], tenant: str = "") -> HashIndex:
    index = HashIndex()
    for name, number in numbers.items():
        key = ImageKey(tenant, name).encode()
        index.changed(0, "images", key, None, image_row(phash=f"{number:016x}"))
    return index


def found(index: HashIndex, number: int, distance: int, tenant: str = "") -> list[tuple[int, str]]:
    hashes = index.of(tenant)
    told = hashes.told(hashes.within(number, distance), number, distance)
    return [(each.distance, ImageKey.decode(each.place[1]).public_id) for each in told]


@given(st.lists(near, max_size=40), near, st.integers(0, 64))
def test_what_is_near_is_found(numbers: list[int], asked: int, distance: int) -> None:
    """Every image within the distance, nearest first, and no other."""
    named = {f"i{place:02}": number for place, number in enumerate(numbers)}
    wanted = sorted(((number ^ asked).bit_count(), name) for name, number in named.items())
    assert found(index_of(named), asked, distance) == [it for it in wanted if it[0] <= distance]


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | near), max_size=30), near)
def test_changes_and_deletions_are_followed(steps: list[tuple[str, int | None]], asked: int) -> None:
    """An image has the hash that it had last, and none once it is gone; its place is another's then."""
    index, now = HashIndex(), dict[str, int]()
    for name, number in steps:
        row = deleted_row() if number is None else image_row(phash=f"{number:016x}")
        index.changed(0, "images", name, None, row)
        now.pop(name, None)
        now |= {} if number is None else {name: number}
        assert sorted(found(index, asked, 64)) == sorted(
            ((it ^ asked).bit_count(), key) for key, it in now.items()
        )
    assert len(index.of("")) == len(now)


def test_what_has_changed_meanwhile_is_not_told() -> None:
    """What was found in a thread is looked at again, as places change hands."""
    index = index_of({"a": 1, "b": 2})
    hashes = index.of("")
    slots = hashes.within(1, 0)
    index.changed(0, "images", "a", None, None)
    assert hashes.told(slots, 1, 0) == []
    index.changed(0, "images", "c", None, image_row(phash=f"{7:016x}"))
    assert hashes.told(slots, 1, 0) == []


def test_tenants_are_apart() -> None:
    """Nobody finds another tenant's images; a tenant without images costs nothing."""
    index = index_of({"a": 1}, tenant="t")
    assert (found(index, 1, 64), found(index, 1, 64, "t")) == ([], [(0, "a")])
    index.changed(0, "images", ImageKey("t", "a").encode(), None, None)
    assert not index._tenants


def test_rows_without_a_hash() -> None:
    """Those of earlier versions, and of images of one colour, are left out."""
    index = HashIndex()
    index.changed(0, "images", "a", None, image_row())
    index.changed(0, "trends", "a", None, image_row(phash="0" * 16))
    assert len(index.of("")) == 0


vectors = st.lists(st.integers(-7, 7), min_size=64, max_size=64).filter(any)


def embedded(numbers: list[int], phash: int = 1) -> bytes:
    (text,) = encode(np.array([numbers], np.float32))
    return orjson.dumps(orjson.loads(image_row(phash=f"{phash:016x}")) | {"embedding": text})


def packed(numbers: list[int]) -> bytes:
    (text,) = encode(np.array([numbers], np.float32))
    return decode(text or "") or b""


def similar(index: HashIndex, asked: list[int], most: int, tenant: str = "") -> list[tuple[float, str]]:
    hashes = index.of(tenant)
    told = hashes.told_similar(hashes.similar(packed(asked), most), packed(asked))
    return [(each.likeness, each.place[1]) for each in told]


@given(st.lists(vectors, max_size=40), vectors, st.integers(1, 50))
def test_what_is_similar_is_found(images: list[list[int]], asked: list[int], most: int) -> None:
    """The most similar of all, by the cosine of what is kept of each; none that points elsewhere."""
    index = HashIndex()
    for place, numbers in enumerate(images):
        index.changed(0, "images", f"i{place:02}", None, embedded(numbers))
    wanted = sorted((likeness_of(numbers, asked) for numbers in images), reverse=True)[:most]
    got = [alike for alike, _ in similar(index, asked, most)]
    assert got == pytest.approx([each for each in wanted if each > 0], abs=1e-5)


def likeness_of(first: list[int], second: list[int]) -> float:
    one, other = (np.frombuffer(packed(each), np.uint8) for each in (first, second))
    return float(likeness(one[None], other)[0])


def test_embeddings_are_followed() -> None:
    """An image has the one that it had last; without one, of another version or gone, it is not told."""
    first, second = [1] * 64, [1, -1] * 32
    index = HashIndex()
    index.changed(0, "images", "a", None, embedded(first))
    index.changed(0, "images", "b", None, image_row(phash="0" * 16))
    assert [name for _, name in similar(index, first, 9)] == ["a"]
    index.changed(0, "images", "a", None, embedded(second))
    assert similar(index, first, 9) == []
    assert [name for _, name in similar(index, second, 9)] == ["a"]
    row = orjson.loads(embedded(second))
    foreign = binascii.b2a_base64(bytes([VERSION + 1]) + bytes(32), newline=False).decode()
    for text in (foreign, "no embedding", "AAAA"):
        index.changed(0, "images", "c", None, orjson.dumps(row | {"embedding": text}))
    assert [name for _, name in similar(index, second, 9)] == ["a"]
    index.changed(0, "images", "a", None, deleted_row())
    assert similar(index, second, 9) == []
    assert len(index.of("")) == 2


def test_what_is_similar_is_looked_at_again() -> None:
    """What was found in a thread may have gone, or have become another's place."""
    numbers, index = [1] * 64, HashIndex()
    index.changed(0, "images", "a", None, embedded(numbers))
    hashes = index.of("")
    slots = hashes.similar(packed(numbers), 5)
    index.changed(0, "images", "a", None, None)
    assert hashes.told_similar(slots, packed(numbers)) == []
    index.changed(0, "images", "b", None, embedded([-1] * 64))
    assert hashes.told_similar(slots, packed(numbers)) == []


def test_similar_images_of_tenants_are_apart() -> None:
    """Nobody finds another tenant's images."""
    index = HashIndex()
    index.changed(0, "images", ImageKey("t", "a").encode(), None, embedded([1] * 64))
    assert similar(index, [1] * 64, 9) == []
    assert len(similar(index, [1] * 64, 9, "t")) == 1


def test_embeddings_may_be_left_out() -> None:
    """Then none is kept, and nothing is similar; hashes are kept as ever."""
    index = HashIndex(embeddings=False)
    for _ in range(2):
        index.changed(0, "images", "a", None, embedded([1] * 64, phash=5))
    assert similar(index, [1] * 64, 9) == []
    assert found(index, 5, 0) == [(0, "a")]


@given(st.dictionaries(st.sampled_from(["a", "b", "c", "d"]), near, max_size=4))
def test_loading_equals_telling(numbers: dict[str, int]) -> None:
    """All rows at once make the same index."""
    loaded = HashIndex()
    loading = loaded.loading(0)
    loading.take([*numbers], [image_row(phash=f"{number:016x}") for number in numbers.values()])
    loading.sort()
    assert [*loading.finish()] == []
    assert sorted(found(loaded, 0, 64)) == sorted(found(index_of(numbers), 0, 64))


@given(st.lists(near, max_size=30), st.integers(0, MOST_BITS))
def test_groups_are_exact(numbers: list[int], distance: int) -> None:
    """Those that a look at every pair joins, and no image in two."""
    groups_of = list(range(len(numbers)))
    for first, one in enumerate(numbers):
        for second, other in enumerate(numbers):
            if (one ^ other).bit_count() <= distance:
                old, new = groups_of[second], groups_of[first]
                groups_of = [new if it == old else it for it in groups_of]
    wanted = {
        tuple(place for place, group in enumerate(groups_of) if group == each) for each in set(groups_of)
    }
    got = groups(np.array(numbers, np.uint64), distance)
    assert {tuple(map(int, group)) for group in got} == {group for group in wanted if len(group) > 1}
    assert [len(group) for group in got] == sorted(map(len, got), reverse=True)


def test_too_many_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hashes that all share a part, but are different, are not compared for ever; copies of one are one."""
    monkeypatch.setattr(alike, "MOST_PAIRS", 100_000)
    numbers = np.random.default_rng(1).integers(0, 2**48, 5_000, np.uint64)
    with pytest.raises(TooManyAlikeError):
        groups(numbers, 3)
    assert len(groups(np.repeat(numbers[:10], 500), 0)) == 10
