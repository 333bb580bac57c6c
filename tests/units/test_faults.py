"""What leaves a transaction in doubt."""

import asyncio

import pytest

from streams.units.faults import CommitTimeoutError, within_deadline


async def test_a_commit_without_an_answer_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Past the deadline nobody knows whether it was committed: that is said, and the process ends by it."""
    monkeypatch.setattr("streams.units.faults.COMMIT_DEADLINE", 0.05)
    never = asyncio.get_running_loop().create_future()

    async def commit() -> None:
        await never

    async with asyncio.timeout(5):
        with pytest.raises(CommitTimeoutError, match="no answer to a commit"):
            await within_deadline(commit())


async def test_an_answer_in_time_is_given() -> None:
    """What the transaction gives, and what it raises."""

    async def commit() -> int:
        return 7

    async def refused() -> int:
        raise ValueError("fenced")

    assert await within_deadline(commit()) == 7
    with pytest.raises(ValueError, match="fenced"):
        await within_deadline(refused())
