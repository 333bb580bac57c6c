"""Memory that the state has let go of: given back, in a process of its own that can be measured."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import asyncio, os, sys
from streams.state import memory
memory.use_the_system_allocator()
memory._INTERVAL = 0.01

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGESIZE") // 1_000_000

async def main():
    before = resident()
    rows = {str(number): os.urandom(200) for number in range(500_000)}
    giving = asyncio.create_task(memory.give_back(lambda: 200 * len(rows)))
    await asyncio.sleep(0)
    full = resident()
    kept = {name: rows[name] for name in list(rows)[::1000]}
    rows.clear()
    async with asyncio.timeout(10):
        while resident() - before > 30:
            await asyncio.sleep(0.01)
    print(full - before > 100, len(kept), os.environ["PYTHONMALLOC"])

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc can be asked to")
def test_a_state_that_shrinks_gives_its_memory_back(tmp_path: Path) -> None:
    """Also where some objects stay all over it; Python's own allocator keeps all of it then."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, "utf-8")
    command = [sys.executable, str(program)]
    environment = {"PYTHONPATH": str(ROOT), "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "True 500 malloc\n", done.stderr


def test_an_allocator_that_is_named_stays() -> None:
    """Whoever sets PYTHONMALLOC knows why."""
    environment = {"PYTHONMALLOC": "malloc_debug", "PYTHONPATH": str(ROOT)}
    code = "import os; from streams.state.memory import use_the_system_allocator as use; use(); "
    code += "print(os.environ['PYTHONMALLOC'])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.stdout == "malloc_debug\n", done.stderr
