"""Interests and similar users: what rows say, summed and decayed; cosines as dense vectors have them."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.fold.rows import InterestKey
from streams.state.numbering import Names
from streams.state.users.index import UserIndex
from streams.state.users.neighbourhood import Neighbourhood, SimilarUser, gathered, read_profiles
from streams.state.users.similar import AllNeighbours, Neighbours

TAGS = ("sea", "sky", "dog", "cat", "koala")
USERS = ("ann", "bob", "cem", "dan")
TODAY = 20_000
NOW = TODAY * 86_400.0
HALF_LIFE = 14.0
Rows = dict[tuple[int, str], dict[str, int]]


class Change(NamedTuple):
    partition: int
    key: InterestKey
    tags: dict[str, int] | None


days = st.integers(TODAY - 60, TODAY + 2) | st.just(10**9)
tags = st.dictionaries(st.sampled_from(TAGS), st.integers(1, 9), max_size=5)


def changes_on(days: st.SearchStrategy[int]) -> st.SearchStrategy[list[Change]]:
    keys = st.builds(InterestKey, st.sampled_from(["", "t"]), st.sampled_from(USERS), days)
    return st.lists(st.builds(Change, st.integers(0, 2), keys, st.none() | tags), max_size=20)


def apply(index: UserIndex, rows: Rows, changes: Iterable[Change]) -> None:
    for partition, key, tags in changes:
        row = None if tags is None else orjson.dumps({"o": 1, "t": tags})
        index.changed(partition, "interests", key.encode(), None, row)
        rows.pop((partition, key.encode()), None)
        if tags is not None:
            rows[partition, key.encode()] = tags


def naive(rows: Rows, user: str, tenant: str = "", half_life: float = HALF_LIFE) -> dict[str, float]:
    weights: Counter[str] = Counter()
    for (_, encoded), tags in rows.items():
        key = InterestKey.decode(encoded)
        if (key.tenant, key.user) == (tenant, user):
            age = max(TODAY - key.day, 0)
            for tag, count in tags.items():
                weights[tag] += count * 2 ** (-min(age, 10**5) / half_life)  # type: ignore[assignment]
    return dict(weights)


def dense(weights: dict[str, float]) -> np.ndarray:
    return np.array([weights.get(tag, 0.0) for tag in TAGS])


@given(
    changes_on(days | st.just(-3)),
    st.sampled_from(["", "t"]),
    st.sampled_from(USERS),
    st.sampled_from([0.5, 14.0, 1000.0]),
)
def test_interests_are_a_decayed_sum(steps: list[Change], tenant: str, user: str, half_life: float) -> None:
    """After any changes, a weight is the sum over days and partitions of images, halved per half-life."""
    index, rows = UserIndex(), {}
    apply(index, rows, steps)
    found = index.interests(tenant, user, now_day=TODAY, half_life_days=half_life)
    assert {it.tag: it.weight for it in found} == pytest.approx(naive(rows, user, tenant, half_life))
    assert found == sorted(found, key=lambda it: (-it.weight, it.tag))
    images = Counter()
    for (_, key), tags in rows.items():
        if key.endswith(InterestKey(tenant, user, 0).encode()[1:]):
            images.update(tags)
    assert {it.tag: it.images for it in found} == images
    known = any(InterestKey.decode(key)[:2] == (tenant, user) for _, key in rows)
    assert index.knows(tenant, user) == known


@pytest.mark.slow
@given(st.lists(changes_on(days), min_size=1, max_size=4), st.sampled_from(USERS), st.integers(1, 4))
def test_similarity_is_the_cosine_of_dense_vectors(rounds: list[list[Change]], user: str, limit: int) -> None:
    """However the matrix came about, scores are cosines, and the best come first."""
    index, rows = UserIndex(), {}
    vocabulary, around = Names(), Neighbourhood.empty(NOW)
    for steps in rounds:
        apply(index, rows, steps)
        touched = frozenset(index.take_touched(""))
        fresh = read_profiles(index.rows("", touched), vocabulary, TODAY, HALF_LIFE)
        around = gathered([around.without(touched), fresh], vocabulary, NOW)
    interests = index.interests("", user, now_day=TODAY, half_life_days=HALF_LIFE)
    found = around.similar({it.tag: it.weight for it in interests}, user=user, limit=limit, tags=10)
    own = dense(naive(rows, user))
    expected = {}
    for other in USERS:
        theirs = dense(naive(rows, other))
        lengths = np.linalg.norm(own) * np.linalg.norm(theirs)
        if other != user and lengths > 0 and own @ theirs / lengths > 1e-5:
            expected[other] = own @ theirs / lengths
    scores = {it.user: it.score for it in found if it.score > 1e-5}
    best = sorted(expected.values(), reverse=True)[:limit]
    assert sorted(scores.values(), reverse=True) == pytest.approx(best, abs=2e-6)
    assert scores == pytest.approx({name: expected[name] for name in scores}, abs=2e-6)
    assert found == sorted(found, key=lambda it: (-it.score, it.user))


async def ask(index: UserIndex, user: str, limit: int = 5) -> list[SimilarUser]:
    """Ask when the matrix is as new as the index."""
    around = await Neighbours(index, "", HALF_LIFE).refresh(NOW)
    interests = index.interests("", user, now_day=TODAY, half_life_days=HALF_LIFE)
    return around.similar({it.tag: it.weight for it in interests}, user=user, limit=limit, tags=10)


def fed(*users: tuple[str, dict[str, int]]) -> UserIndex:
    index = UserIndex()
    apply(index, {}, [Change(0, InterestKey("", user, TODAY), tags) for user, tags in users])
    return index


async def test_shared_tags_are_those_that_count() -> None:
    """Tags of both are named, those that add most to the score first."""
    index = fed(("ann", {"sea": 5, "sky": 3, "dog": 1}), ("bob", {"sea": 1, "sky": 9, "cat": 4}))
    [bob] = await ask(index, "ann")
    assert (bob.user, bob.shared) == ("bob", ["sky", "sea"])


async def test_profiles_decay_alike() -> None:
    """Two users with the same images at different times have the same interests."""
    index = UserIndex()
    days = {"ann": TODAY, "bob": TODAY - 300, "cem": TODAY - 100_000}
    apply(
        index, {}, [Change(0, InterestKey("", name, day), {"sea": 2, "sky": 1}) for name, day in days.items()]
    )
    assert [(it.user, it.score) for it in await ask(index, "ann")] == [("bob", 1.0), ("cem", 1.0)]


async def test_the_old_profiles_answer_while_new_ones_are_made() -> None:
    """A making in the background holds no question up, and then its profiles are given."""
    index = fed(("ann", {"sea": 1}))
    neighbours = Neighbours(index, "", HALF_LIFE)
    first = await neighbours.refresh(NOW)
    assert (first.made_at, first.users) == (NOW, ["ann"])
    apply(index, {}, [Change(0, InterestKey("", "bob", TODAY), {"sea": 1, "new": 1})])
    making = asyncio.create_task(neighbours.refresh(NOW + 61))
    await asyncio.sleep(0)
    assert await neighbours.neighbourhood(NOW + 61, wait=True) is first
    second = await making
    assert await neighbours.neighbourhood(NOW + 62, wait=True) is second
    assert (second.made_at, sorted(second.users)) == (NOW + 61, ["ann", "bob"])
    assert first.similar({"new": 1.0}, user="ann", limit=5, tags=5) == []  # it knows no such tag


async def test_nobody_waits_for_the_first_profiles_before_the_state_is_complete() -> None:
    """Until then there is nobody; who asks later has them made, many questions at once the same ones."""
    neighbours = Neighbours(fed(("ann", {"sea": 1}), ("bob", {"sea": 1})), "", HALF_LIFE)
    assert (await neighbours.neighbourhood(NOW, wait=False)).users == []
    found = await asyncio.gather(*(neighbours.neighbourhood(NOW, wait=True) for _ in range(5)))
    assert all(it is found[0] for it in found)
    assert sorted(found[0].users) == ["ann", "bob"]


async def test_profiles_are_kept_fresh() -> None:
    """Every tenant's are made, and again where users changed; the others stay as they are."""
    index = fed(("ann", {"sea": 1}))
    apply(index, {}, [Change(0, InterestKey("t", "cem", TODAY), {"sky": 1})])
    now = NOW
    everybody = AllNeighbours(index, lambda: now)
    await everybody.refresh()
    now += 60
    apply(index, {}, [Change(0, InterestKey("", "bob", TODAY), {"sea": 1})])
    keeping = asyncio.create_task(everybody.keep_fresh(0.0))
    while "" in index.touched_tenants() or (made := everybody.of("").made) is None or made.made_at < now:
        await asyncio.sleep(0)
    keeping.cancel()
    assert sorted(made.users) == ["ann", "bob"]
    other = everybody.of("t").made
    assert other is not None
    assert (other.users, other.made_at) == (["cem"], NOW)


async def test_a_failed_making_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users whose reading failed are read by the next making."""
    neighbours = Neighbours(fed(("ann", {"sea": 1})), "", HALF_LIFE)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no threads")))
        with pytest.raises(RuntimeError, match="no threads"):
            await neighbours.refresh(NOW)
    assert (await neighbours.refresh(NOW)).users == ["ann"]


async def test_users_who_leave_are_no_neighbours() -> None:
    """A user whose last row goes is unknown, and in nobody's neighbourhood."""
    index = fed(("ann", {"sea": 1}), ("bob", {"sea": 1}), ("cem", {"sky": 1}))
    neighbours = Neighbours(index, "", HALF_LIFE)
    assert sorted((await neighbours.refresh(NOW)).users) == ["ann", "bob", "cem"]
    apply(index, {}, [Change(0, InterestKey("", "bob", TODAY), None)])
    assert not index.knows("", "bob")
    assert sorted((await neighbours.refresh(NOW)).users) == ["ann", "cem"]
    assert await ask(index, "ann") == []


async def test_nobody() -> None:
    """A tenant without users has an empty neighbourhood; other tables are none of ours."""
    index = UserIndex()
    index.changed(0, "images", "a", None, b"{}")
    index.changed(0, "interests", InterestKey("", "ann", 1).encode(), b"{}", None)
    assert await ask(index, "ann") == []
    around = await Neighbours(index, "t", HALF_LIFE).neighbourhood(NOW, wait=True)
    assert around.similar({}, user="ann", limit=5, tags=5) == []
