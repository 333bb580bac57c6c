"""A worker as a child process that is started again when it asks for it."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence

from streams.app.exit import EXIT_RESTART

_BACKOFF = 0.5  # seconds before the first restart; twice as long each time
_BACKOFF_MAX = 15.0
_STEADY_AFTER = 60.0  # seconds of work after which the next restart counts as the first


class Supervisor:
    """Keeps `tagstream worker` running. Start it with `start`, end it with `stop`."""

    def __init__(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        log_path: str,
        on_restart: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._command = [sys.executable, "-m", "streams.cli", "worker", *arguments]
        self._environment = {**os.environ, **environment}
        self._log_path = log_path
        self._on_restart = on_restart
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[int] | None = None

    def start(self) -> None:
        """Start the worker, in the background."""
        self._task = asyncio.create_task(self._keep_running())

    @property
    def ended(self) -> int | None:
        """The exit code of a worker that is not started again; None while it runs."""
        return self._task.result() if self._task and self._task.done() else None

    async def stop(self) -> None:
        """Ask the worker to stop, and wait until it has."""
        if self._task is None:
            return
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), 20)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_running(self) -> int:
        delay = _BACKOFF
        with open(self._log_path, "ab") as log:  # noqa: ASYNC230, PTH123 - opened once, at start
            while True:
                started = time.monotonic()
                self._process = await asyncio.create_subprocess_exec(
                    *self._command, env=self._environment, stderr=log, stdout=log, start_new_session=True
                )
                try:
                    code = await self._process.wait()
                except asyncio.CancelledError:
                    with contextlib.suppress(ProcessLookupError):
                        self._process.kill()
                    raise
                if code >= 0 and code != EXIT_RESTART:
                    return code
                self._on_restart(code)
                if time.monotonic() - started > _STEADY_AFTER:
                    delay = _BACKOFF
                await asyncio.sleep(delay)
                delay = min(delay * 2, _BACKOFF_MAX)
