import asyncio

from hypothesis import given
from hypothesis import strategies as st

from streams import state as module
from streams.state import PartitionState


class Mirror:
    """A listener that keeps what it was told, and refuses contradictions."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], bytes] = {}

    def changed(self, _partition: int, table: str, key: str, old: bytes | None, new: bytes | None) -> None:
        assert self.rows.get((table, key)) == old
        if new is None:
            del self.rows[table, key]
        else:
            self.rows[table, key] = new


CHANGES = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.none() | st.binary(max_size=3)), max_size=40)


@given(CHANGES, CHANGES, CHANGES)
def test_listeners_end_up_with_every_row(before: list, during: list, after: list) -> None:
    """Law: whatever changes while the rows are told, listeners hear a consistent story and know all rows."""

    async def play() -> None:
        state, mirror = PartitionState(0), Mirror()
        state.listeners.append(mirror.changed)
        for key, value in before:
            state.apply("images", key, value)
        assert mirror.rows == {}
        telling = asyncio.create_task(state.tell_all())
        for key, value in during:
            state.apply("images", key, value)
            await asyncio.sleep(0)
        await telling
        for key, value in after:
            state.apply("images", key, value)
        assert mirror.rows == {("images", key): value for key, value in state.rows["images"].items()}

    turn, module.TOLD_PER_TURN = module.TOLD_PER_TURN, 1
    try:
        asyncio.run(play())
    finally:
        module.TOLD_PER_TURN = turn


def test_clearing_takes_everything_back() -> None:
    """After `clear` nothing is known any more, and listeners have heard of each removal."""
    state, mirror = PartitionState(0), Mirror()
    state.listeners.append(mirror.changed)
    state.apply("images", "a", b"1")
    asyncio.run(state.tell_all())
    state.clear()
    assert mirror.rows == {}
    assert not state.told
