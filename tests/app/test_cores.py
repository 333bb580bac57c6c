"""A container's share of the machine bounds the threads, not the machine's cores."""

from pathlib import Path

import pytest

from streams.app import cores
from streams.app.cores import available_cores
from streams.app.settings import Settings


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ("200000 100000", 2),
        ("150000 100000", 2),  # a part of a core counts as one
        ("10000 100000", 1),
        ("6400000 100000", 3),  # more than there are
        ("max 100000", 3),
        ("nonsense", 3),
        (None, 3),
    ],
)
def test_the_smaller_of_share_and_cores_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, quota: str | None, expected: int
) -> None:
    """The quota is not seen in the cores that a process may run on."""
    file = tmp_path / "cpu.max"
    if quota is not None:
        file.write_text(quota + "\n")
    monkeypatch.setattr(cores, "QUOTA", file)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    assert available_cores() == expected
    assert Settings().worker_threads == expected
    assert Settings(threads=7).worker_threads == 7
