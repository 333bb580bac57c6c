import asyncio
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(240)]


async def attack(kafka: str, *names: str) -> tuple[int, str]:
    """Run attacks as `make attack` does; the machine of a test may be busy."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.attacks", *names, "--slack", "20"),
        cwd=ROOT,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_broken_requests_fill_no_log(kafka: str) -> None:
    """Three thousand of them, of ten kinds, leave no traceback and next to no line in the worker's log."""
    code, output = await attack(kafka, "log_lines")
    assert code == 0, output
    assert "tracebacks written to the log: 0" in output
