"""The programs of examples/, run as their readers run them: processes, told by environment variables."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from aiohttp import web

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PHOTOS = ROOT / "streams" / "photos"
T = TypeVar("T")


async def until(look: Callable[[], Awaitable[T | None]], seconds: float = 30) -> T:
    """What `look` finds, once it finds something that is true."""
    async with asyncio.timeout(seconds):
        while not (found := await look()):
            await asyncio.sleep(0.05)
    return found


@contextlib.asynccontextmanager
async def listening(app: web.Application, port: int = 0) -> AsyncIterator[int]:
    """A server on loopback; its port."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", port).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@dataclass(frozen=True)
class Running:
    """A program that runs until it is told to stop."""

    process: asyncio.subprocess.Process
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text("utf-8")

    async def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.process.send_signal(signal.SIGINT)
        return await asyncio.wait_for(self.process.wait(), 30)

    async def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        await self.process.wait()


@dataclass(frozen=True)
class Programs:
    """Starts programs with these environment variables, in the project's folder."""

    environment: Mapping[str, str]

    async def output(self, *command: str, code: int = 0) -> str:
        """What a Python program prints until it ends with `code`."""
        return await self.output_of(sys.executable, *command, code=code)

    async def output_of(self, *command: str, code: int = 0) -> str:
        """What any program prints until it ends with `code`."""
        process = await self._start(command, asyncio.subprocess.PIPE)
        try:
            printed, _ = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == code, printed.decode()
        return printed.decode()

    @contextlib.asynccontextmanager
    async def running(self, log_path: Path, *command: str) -> AsyncIterator[Running]:
        """A Python program, killed at the end if it still runs; what it prints is appended to a log."""
        async with self.running_of(log_path, sys.executable, *command) as program:
            yield program

    @contextlib.asynccontextmanager
    async def running_of(self, log_path: Path, *command: str) -> AsyncIterator[Running]:
        """As `running`, any program."""
        with log_path.open("ab") as log:
            process = await self._start(command, log.fileno())
        program = Running(process, log_path)
        try:
            yield program
        except BaseException as error:
            error.add_note(f"{log_path} ends with:\n{program.log[-2000:]}")
            raise
        finally:
            if process.returncode is None:
                await program.kill()

    async def _start(self, command: tuple[str, ...], output: int) -> asyncio.subprocess.Process:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "NO_PROXY": "127.0.0.1", **self.environment}
        return await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=environment, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
