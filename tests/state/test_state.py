import asyncio
from collections.abc import Iterator, Sequence
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.state import loading
from streams.state import partition as state_module
from streams.state.partition import PartitionState
from streams.state.turns import in_turns


class Mirror:
    """An index that keeps what it was told, and refuses contradictions."""

    table = "images"

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.loads = 0

    def changed(self, _partition: int, table: str, key: str, old: bytes | None, new: bytes | None) -> None:
        assert table == self.table
        assert self.rows.get(key) == old
        if new is None:
            del self.rows[key]
        else:
            self.rows[key] = new

    def loading(self, _partition: int) -> "MirrorLoading":
        self.loads += 1
        return MirrorLoading(self)


class MirrorLoading:
    """Rows on their way into a mirror, which knows nothing of them before the end."""

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.rows: dict[str, bytes] = {}
        self.sorted = False

    def take(self, keys: Sequence[str], rows: Sequence[bytes]) -> None:
        self.rows.update(zip(keys, rows, strict=True))

    def sort(self) -> None:
        self.sorted = True

    def finish(self) -> Iterator[None]:
        assert self.sorted
        for key, row in self.rows.items():
            self.mirror.changed(0, "images", key, None, row)
            yield


CHANGES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.binary(max_size=3)), max_size=40)


@given(CHANGES, CHANGES, CHANGES)
def test_indexes_end_up_with_every_row(before: list, during: list, after: list) -> None:
    """Law: whatever changes while the rows are told, indexes hear a consistent story and know all rows."""

    async def play() -> None:
        state, mirror = PartitionState(0), Mirror()
        state.indexes.append(mirror)
        state.apply_all("images", before)
        assert mirror.rows == {}
        state.loaded = True
        telling = asyncio.create_task(state.build_indexes())
        for key, value in during:
            state.apply("images", key, value)
            await asyncio.sleep(0)
        await telling
        assert state.indexed
        state.apply_all("images", after)
        assert mirror.rows == state.rows["images"]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "ROWS_AT_ONCE", 1)
        patch.setattr(loading, "_TURN", 0.0)
        patch.setattr(state_module, "in_turns", partial(in_turns, turn=0))
        asyncio.run(play())


async def told(mirror: Mirror, *keys: str) -> PartitionState:
    """A state whose rows a mirror knows."""
    state = PartitionState(0)
    state.indexes.append(mirror)
    for key in keys:
        state.apply("images", key, b"1")
    state.loaded = True
    await state.build_indexes()
    return state


async def test_clearing_takes_everything_back() -> None:
    """After `clear` nothing is known any more; rows that come then are loaded at once again."""
    mirror = Mirror()
    state = await told(mirror, "a")
    state.clear()
    assert not any(state.rows.values())
    await state.forget_cleared()
    assert mirror.rows == {}
    assert not state.indexed
    state.apply("images", "b", b"2")
    assert mirror.rows == {}
    state.loaded = True
    await state.build_indexes()
    assert (mirror.rows, mirror.loads, state.indexed) == ({"b": b"2"}, 2, True)


async def test_clearing_while_rows_are_told() -> None:
    """Rows that go meanwhile go from the indexes as well; the state is told only once it is loaded anew."""
    mirror = Mirror()
    state = PartitionState(0)
    state.indexes.append(mirror)
    state.apply("images", "a", b"1")
    state.loaded = True
    telling = asyncio.create_task(state.build_indexes())
    await asyncio.sleep(0)
    state.clear()
    await telling
    await state.forget_cleared()
    assert (mirror.rows, state.indexed) == ({}, False)
    state.apply("images", "b", b"2")
    state.loaded = True
    await state.build_indexes()
    assert (mirror.rows, state.indexed) == ({"b": b"2"}, True)


async def test_what_was_cleared_is_taken_back_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows a state had, the event loop has its turns while the indexes forget them."""
    monkeypatch.setattr(state_module, "in_turns", partial(in_turns, turn=0))
    mirror = Mirror()
    state = await told(mirror, "a", "b", "c")
    state.clear()
    left = []
    forgetting = asyncio.create_task(state.forget_cleared())
    while not forgetting.done():
        left.append(len(mirror.rows))
        await asyncio.sleep(0)
    assert left == [3, 2, 1, 0]


async def test_rows_that_come_before_the_cleared_ones_are_taken_back() -> None:
    """The old rows go from the indexes first, so that a key that is there again stays known."""
    mirror = Mirror()
    state = await told(mirror, "a", "b")
    state.clear()
    state.apply("images", "a", b"2")
    state.loaded = True
    await state.build_indexes()
    assert (mirror.rows, state.indexed) == ({"a": b"2"}, True)


@given(CHANGES, CHANGES)
def test_the_size_of_a_table_is_that_of_its_keys_and_rows(loaded: list, changed: list) -> None:
    """Law: however the rows came, also out of a snapshot; and nothing is left when they are cleared."""
    state, restored = PartitionState(0), PartitionState(0)
    state.apply_all("images", loaded)
    for key, value in changed:
        state.apply("images", key, value)
    rows = state.rows["images"]
    assert state.sizes["images"] == sum(len(key) + len(row) for key, row in rows.items())
    restored.restore({table: dict(rows) for table, rows in state.rows.items()}, state.positions)
    assert restored.sizes == state.sizes
    state.clear()
    assert set(state.sizes.values()) == {0}
