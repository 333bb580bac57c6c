"""What processes use, from Linux's /proc, and on which cores they may run."""

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import orjson

_LONGEST_LINE = 1 << 26  # bytes of an answer of a `Program`
_TICKS = os.sysconf("SC_CLK_TCK")
_PARENT, _USER_TIME, _SYSTEM_TIME = 1, 11, 12  # places in /proc/PID/stat, after the name


def _stat(path: Path) -> list[str]:
    return (path / "stat").read_text().rpartition(")")[2].split()


def _parents() -> dict[int, int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended
            parents[int(path.name)] = int(_stat(path)[_PARENT])
    return parents


def children(root: int) -> list[int]:
    """The processes that a process has started."""
    return [child for child, parent in _parents().items() if parent == root]


def tree(root: int) -> list[int]:
    """A process and all that descend from it."""
    parents = _parents()
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu_seconds(*roots: int) -> float:
    """The CPU time, user and system, of processes and their descendants that live."""
    return sum(_cpu(Path(f"/proc/{pid}")) for root in roots for pid in tree(root))


def main_thread_seconds(pid: int) -> float:
    """The CPU time of a process's first thread: with asyncio, that of its event loop."""
    return _cpu(Path(f"/proc/{pid}/task/{pid}"))


def _cpu(path: Path) -> float:
    try:
        fields = _stat(path)
    except OSError:
        return 0.0
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS


def resident_mb(*roots: int, peak: bool = False) -> float:
    """The memory of processes and their descendants, now or at most, in MB."""
    field = "VmHWM:" if peak else "VmRSS:"
    total = 0
    for pid in (pid for root in roots for pid in tree(root)):
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            total += sum(int(line.split()[1]) for line in lines if line.startswith(field))
    return total * 1024 / 1e6


def pin(pids: Iterable[int], cores: set[int]) -> None:
    """Have processes that run already, with all their threads, run on these cores only."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):  # it has just ended
                os.sched_setaffinity(int(task.name), cores)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def only_on(cores: set[int] | None) -> Iterator[None]:
    """Let processes that are started inside run on these cores only; None: wherever this one may."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Program:
    """A module of this package as a process that takes orders as lines of JSON and answers each with one."""

    def __init__(self, module: str, *arguments: str, python: str = sys.executable) -> None:
        self._command = (python, "-m", module, *arguments)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._running.pid

    @property
    def _running(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError("start the program first")
        return self._process

    async def start(self) -> Any:  # noqa: ANN401 - JSON
        """Start; return its first line."""
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, limit=_LONGEST_LINE
        )
        return await self._line()

    async def ask(self, order: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
        """Send an order and wait for the answer."""
        cast("asyncio.StreamWriter", self._running.stdin).write(orjson.dumps(order) + b"\n")
        return await self._line()

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _line(self) -> Any:  # noqa: ANN401 - JSON
        line = await cast("asyncio.StreamReader", self._running.stdout).readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended with {await self._running.wait()}")
        return orjson.loads(line)
