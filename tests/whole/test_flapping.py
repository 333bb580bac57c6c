"""A source that fails half of the time and sometimes does not answer, beside sources that do."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHORT = "--uploads 100 --good 60 --rate 20 --pairs 1 --period 4 --silent 1"


@pytest.mark.kafka
async def test_every_upload_of_a_flapping_source_is_tagged(kafka: str) -> None:
    """None becomes a dead letter, whatever it took; the other sources' uploads are tagged as well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.flapping", *SHORT.split()),
        *("--set", "TAGSTREAM_FETCH_ANSWER_TIMEOUT=1", "--set", "TAGSTREAM_RETRY_LONGEST=4"),
        cwd=ROOT,
        env={**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output = (await process.communicate())[0].decode()
    assert process.returncode == 0, output
    last = output.strip().splitlines()[-1]
    assert re.fullmatch(r"uploads=100 tagged=100 dead_lettered=0 good_host_p99_ratio=\d+\.\d\d", last), output
    assert re.search(r"flapping .*'503': [1-9]", output), output
    assert re.search(r"flapping .*'none': [1-9]", output), output
