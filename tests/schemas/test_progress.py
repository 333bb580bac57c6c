"""How far a log is folded in. Law: what is written is what is read, run by run."""

from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import Progress


@given(st.sets(st.integers(0, 60)), st.integers(0, 80))
def test_runs_tell_exactly_what_is_folded_in(unfinished: set[int], end: int) -> None:
    """Law: nothing that is not folded in is left out, however it lies, and nothing else is."""
    before = {offset for offset in unfinished if offset < end}
    progress = Progress.of(sorted(before), end)
    read = Progress.read({"next": progress.next, "above": list(progress.above)})
    assert read == progress
    assert {offset for offset in range(100) if read.holds(offset)} == set(range(end)) - before
    assert set(read.unfinished) == {offset for offset in before if offset < read.end}
    assert all(length > 0 for length in progress.above)
    assert len(progress.above) % 2 == 0


def test_a_row_of_an_older_release_has_a_watermark_alone() -> None:
    """All before it is folded in, and nothing above."""
    assert Progress.read({"next": 7, "mark": 1}) == Progress(7)
    assert (Progress(7).holds(6), Progress(7).holds(7)) == (True, False)
    assert Progress.read({}) == Progress(0)
