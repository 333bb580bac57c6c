"""Hostile images as events, through broker, worker and HTTP server, a good photo behind each."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


async def python(*command: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


@pytest.mark.kafka
async def test_hostile_images_are_results_or_dead_letters(kafka: str, tmp_path: Path) -> None:
    """Bombs and mutated photos: nothing crashes or stalls, memory is bounded, good photos pass."""
    mutations = str(BENCHMARKS / "mutations.py")
    code, output = await python(mutations, str(tmp_path), "--count", "60", "--bombs", "22")
    assert code == 0, output
    code, output = await python(str(BENCHMARKS / "corpus.py"), str(tmp_path), KAFKA_BOOTSTRAP_SERVERS=kafka)
    assert code == 0, output
    last = output.strip().splitlines()[-1]
    figures = re.fullmatch(
        r"files=60 tagged=(\d+) dead_lettered=(\d+) crashes=0 stalls=0 peak_rss_mb=(\d+)", last
    )
    assert figures, output
    tagged, dead_lettered, peak = map(int, figures.groups())
    assert tagged + dead_lettered == 60
    assert peak < 1100
    assert "good photos tagged: 60 of 60" in output


@pytest.mark.slow
async def test_the_same_seed_gives_the_same_images(tmp_path: Path) -> None:
    """What a run has found can be found again."""
    for folder, seed in (("a", "3"), ("b", "3"), ("c", "4")):
        options = ("--count", "40", "--bombs", "0", "--seed", seed)
        await python(str(BENCHMARKS / "mutations.py"), str(tmp_path / folder), *options)
    found = [{path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in "abc"]
    assert found[0] == found[1]
    assert found[0] != found[2]


async def test_an_empty_folder(tmp_path: Path) -> None:
    """There is nothing to send, which is said rather than called a success."""
    code, output = await python(str(BENCHMARKS / "corpus.py"), str(tmp_path))
    assert code == 2
    assert "no files in" in output
