"""Gives each due notification of a partition to a request of its own, as many as may be under way."""

import asyncio
import contextlib
import time

from streams.webhooks.committing import Committer
from streams.webhooks.delivering import Attempt, Deliverer, Result
from streams.webhooks.lanes import Lanes, Turn
from streams.webhooks.meter import WebhookMeter

_LONGEST_SLEEP = 60.0  # seconds


class Sender:
    """Sends what is due. The slots are shared by all partitions of a process."""

    def __init__(
        self,
        lanes: Lanes,
        deliverer: Deliverer,
        committer: Committer,
        slots: asyncio.Semaphore,
        meter: WebhookMeter | None = None,
    ) -> None:
        self._lanes = lanes
        self._deliverer = deliverer
        self._committer = committer
        self._slots = slots
        self._meter = meter
        self._wake = asyncio.Event()
        self._closing = False
        self._under_way: set[asyncio.Task[None]] = set()

    def wake(self) -> None:
        """Look again whose turn it is."""
        self._wake.set()

    async def finish(self, deadline: float) -> None:
        """Begin no other request, and wait for those under way, for so many seconds."""
        self._closing = True
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=deadline)

    async def send_for_ever(self) -> None:
        """Send whatever is due."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._slots.acquire()
                turn = None if self._closing else self._lanes.next(time.monotonic())
                if turn is None:
                    self._slots.release()
                    await self._sleep()
                    continue
                task = tasks.create_task(self._send(turn))
                self._under_way.add(task)
                task.add_done_callback(self._under_way.discard)

    async def _sleep(self) -> None:
        due = None if self._closing else self._lanes.due_in(time.monotonic())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_SLEEP if due is None else due):
                await self._wake.wait()
        self._wake.clear()

    async def _send(self, turn: Turn) -> None:
        started = time.monotonic()
        try:
            attempt = await self._deliverer.deliver(turn)
        finally:
            self._slots.release()
        self._note(attempt, time.monotonic() - started)
        if attempt.result in {Result.FAILED, Result.POSTPONED}:
            until = time.monotonic() + attempt.wait
            self._lanes.put_off(turn.row, until, failed=attempt.result is Result.FAILED)
            self._wake.set()
            return
        if attempt.result is Result.DELIVERED:
            self._lanes.answered(turn.row, time.monotonic())
        self._committer.settle(turn.row, attempt.letter)

    def _note(self, attempt: Attempt, seconds: float) -> None:
        if self._meter is not None:
            self._meter.note_attempt(attempt.result, seconds)
