"""How long the event loop stands: whatever holds it, holds every partition, every answer and every probe.

A thread asks the loop for a sign of life, again and again. So a loop that stands is seen while it stands,
with what it is at; and a machine that is merely busy is told from a loop that is, by the CPU time of its
thread.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import NamedTuple, Self

log = logging.getLogger(__name__)

INTERVAL = 0.05  # seconds between two questions
FRAMES = 12  # of a stack that are told
TELL_AFTER = 0.2  # seconds without an answer, until the log says what the loop is at


class LoopHeldError(RuntimeError):
    """The event loop was held for longer than a test allows."""


class Held(NamedTuple):
    """Seconds without an answer, and seconds of CPU time that the loop's thread took meanwhile."""

    seconds: float
    cpu: float


class LoopWatch:
    """Watches the running loop. A context manager, for the loop's thread.

    Attributes:
        longest: The longest of both so far.
    """

    def __init__(self, limit: float = 0.0, fail: Callable[[LoopHeldError], None] | None = None) -> None:
        """Prepare.

        Args:
            limit: Most seconds of CPU time between two turns of the loop; 0: no limit.
            fail: Is called, in the loop's thread, with what was beyond it.
        """
        self.longest = Held(0.0, 0.0)
        self._limit = limit
        self._fail = fail
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._answered = threading.Event()
        self._ended = threading.Event()
        self._stack = ""
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._answered.set()
        self._thread.join(INTERVAL * 10)

    def _watch(self) -> None:
        patience = min(TELL_AFTER, self._limit or TELL_AFTER)
        while not self._ended.wait(INTERVAL):
            self._answered.clear()
            self._stack = ""
            try:
                self._loop.call_soon_threadsafe(self._answer, time.perf_counter(), self._cpu())
            except RuntimeError:  # the loop is closed
                return
            if not self._answered.wait(patience) and not self._ended.is_set():
                self._stack = self._loops_stack()
                self._answered.wait()

    def _answer(self, asked: float, cpu: float) -> None:
        held = Held(time.perf_counter() - asked, self._cpu() - cpu)
        self.longest = Held(max(held.seconds, self.longest.seconds), max(held.cpu, self.longest.cpu))
        stack, self._stack = self._stack, ""
        self._answered.set()
        if self._ended.is_set():
            return
        if stack and held.seconds >= TELL_AFTER:
            log.warning(
                "the event loop stood for %.2f s, %.2f s of them its own CPU time. It was at:\n%s",
                *held,
                stack,
            )
        if self._limit and held.cpu > self._limit and self._fail is not None:
            said = f"the event loop was held for {held.cpu:.3f} s of CPU time, more than {self._limit:g}"
            self._fail(LoopHeldError(f"{said} (TAGSTREAM_LOOP_LIMIT). It was at:\n{stack}"))

    def _cpu(self) -> float:
        """CPU time of the loop's thread; where that cannot be had, time as it goes by."""
        if sys.platform == "win32":
            return time.perf_counter()
        return time.clock_gettime(time.pthread_getcpuclockid(self._loop_thread))

    def _loops_stack(self) -> str:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001 - the only way to another thread's
        return "".join(traceback.format_stack(frame, FRAMES)) if frame else ""
