"""Interests and similar users: what rows say, summed and decayed; cosines as dense vectors have them."""

import asyncio
import threading
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.rows import InterestKey
from streams.similar_users import Neighbourhood, Neighbours, SimilarUser
from streams.user_index import UserIndex

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


@settings(deadline=None)
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


@settings(deadline=None)
@given(st.lists(changes_on(days), min_size=1, max_size=4), st.sampled_from(USERS), st.integers(1, 4))
def test_similarity_is_the_cosine_of_dense_vectors(rounds: list[list[Change]], user: str, limit: int) -> None:
    """However the matrix came about, scores are cosines, and the best come first."""
    index, rows = UserIndex(), {}
    neighbours = Neighbours(index, "", half_life_days=HALF_LIFE, max_age=0.0)
    around = Neighbourhood.empty(NOW)
    for steps in rounds:
        apply(index, rows, steps)
        around = neighbours.remade(around, index.take_touched(""), NOW)
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


async def ask(neighbours: Neighbours, index: UserIndex, user: str, limit: int) -> list[SimilarUser]:
    """Ask until the matrix is as new as the index."""
    around = await neighbours.neighbourhood(NOW)
    if index.is_touched(""):
        await neighbours.neighbourhood(around.made_at + 1e6)
    if neighbours._making is not None:
        await neighbours._making
    around = await neighbours.neighbourhood(around.made_at)
    interests = index.interests("", user, now_day=TODAY, half_life_days=HALF_LIFE)
    return around.similar({it.tag: it.weight for it in interests}, user=user, limit=limit, tags=10)


def fed(*users: tuple[str, dict[str, int]]) -> UserIndex:
    index = UserIndex()
    apply(index, {}, [Change(0, InterestKey("", user, TODAY), tags) for user, tags in users])
    return index


async def test_shared_tags_are_those_that_count() -> None:
    """Tags of both are named, those that add most to the score first."""
    index = fed(("ann", {"sea": 5, "sky": 3, "dog": 1}), ("bob", {"sea": 1, "sky": 9, "cat": 4}))
    [bob] = await ask(Neighbours(index, "", half_life_days=14, max_age=60), index, "ann", 5)
    assert (bob.user, bob.shared) == ("bob", ["sky", "sea"])


async def test_profiles_decay_alike() -> None:
    """Two users with the same images at different times have the same interests."""
    index = UserIndex()
    days = {"ann": TODAY, "bob": TODAY - 300, "cem": TODAY - 100_000}
    apply(
        index, {}, [Change(0, InterestKey("", name, day), {"sea": 2, "sky": 1}) for name, day in days.items()]
    )
    found = await ask(Neighbours(index, "", half_life_days=14, max_age=60), index, "ann", 5)
    assert [(it.user, it.score) for it in found] == [("bob", 1.0), ("cem", 1.0)]


async def test_old_profiles_are_given_until_new_ones_are_made() -> None:
    """A matrix that is too old still answers, and says when it was made; the next question gets a new one."""
    index = fed(("ann", {"sea": 1}))
    neighbours = Neighbours(index, "", half_life_days=14, max_age=60)
    first = await neighbours.neighbourhood(NOW)
    assert (first.made_at, first.users) == (NOW, ["ann"])
    apply(index, {}, [Change(0, InterestKey("", "bob", TODAY), {"sea": 1, "new": 1})])
    assert await neighbours.neighbourhood(NOW + 59) is first
    assert not neighbours._making
    assert await neighbours.neighbourhood(NOW + 61) is first
    assert neighbours._making
    await neighbours._making
    second = await neighbours.neighbourhood(NOW + 61)
    assert (second.made_at, second.users) == (NOW + 61, ["ann", "bob"])
    assert await neighbours.neighbourhood(NOW + 999) is second  # nothing changed
    assert first.similar({"new": 1.0}, user="ann", limit=5, tags=5) == []  # it knows no such tag


async def test_users_who_ask_first_wait_for_one_making() -> None:
    """Many first questions make one matrix."""
    index = fed(("ann", {"sea": 1}), ("bob", {"sea": 1}))
    neighbours = Neighbours(index, "", half_life_days=14, max_age=60)
    found = await asyncio.gather(*(neighbours.neighbourhood(NOW) for _ in range(5)))
    assert all(it is found[0] for it in found)


async def test_a_failed_making_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Users whose reading failed are read by the next making."""
    index = fed(("ann", {"sea": 1}))
    neighbours = Neighbours(index, "", half_life_days=14, max_age=60)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", lambda _: (_ for _ in ()).throw(RuntimeError("no threads")))
        with pytest.raises(RuntimeError, match="no threads"):
            await neighbours.neighbourhood(NOW)
    assert (await neighbours.neighbourhood(NOW)).users == ["ann"]


async def test_users_who_leave_are_no_neighbours() -> None:
    """A user whose last row goes is unknown, and in nobody's neighbourhood."""
    index = fed(("ann", {"sea": 1}), ("bob", {"sea": 1}))
    neighbours = Neighbours(index, "", half_life_days=14, max_age=0)
    assert [it.user for it in await ask(neighbours, index, "ann", 5)] == ["bob"]
    apply(index, {}, [Change(0, InterestKey("", "bob", TODAY), None)])
    assert not index.knows("", "bob")
    assert await ask(neighbours, index, "ann", 5) == []


async def test_nobody() -> None:
    """A tenant without users has an empty neighbourhood; other tables are none of ours."""
    index = UserIndex()
    index.changed(0, "images", "a", None, b"{}")
    index.changed(0, "interests", InterestKey("", "ann", 1).encode(), b"{}", None)
    assert await ask(Neighbours(index, "", half_life_days=14, max_age=60), index, "ann", 5) == []
    around = await Neighbours(index, "t", half_life_days=14, max_age=60).neighbourhood(NOW)
    assert around.similar({}, user="ann", limit=5, tags=5) == []
