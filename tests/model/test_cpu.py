"""Which INT8 kernels are chosen on which processor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from model.tagger.cpu import int8_sums_may_overflow

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("machine", "flags", "expected"),
    [
        ("x86_64", "flags : sse2 avx2", True),
        ("x86_64", "flags : avx512f avx512_vnni", False),
        ("AMD64", "flags : avx2 avx_vnni", False),
        ("aarch64", "Features : asimd", False),
    ],
)
def test_exact_kernels(tmp_path: Path, machine: str, flags: str, expected: bool) -> None:  # noqa: FBT001 - a table
    """Exact kernels are asked for on x86 without VNNI, and nowhere else."""
    (tmp_path / "cpuinfo").write_text(flags, encoding="ascii")
    assert int8_sums_may_overflow(machine, tmp_path / "cpuinfo") is expected


def test_an_unknown_processor(tmp_path: Path) -> None:
    """An x86 processor that does not list its flags gets the exact kernels."""
    assert int8_sums_may_overflow("x86_64", tmp_path / "nothing")
