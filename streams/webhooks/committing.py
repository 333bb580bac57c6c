"""The only task that changes what a partition has committed, and what follows from that."""

import asyncio
import contextlib
from collections.abc import Callable

from streams.webhooks.lanes import Lanes
from streams.webhooks.outbox import Entries, Letter, Outbox
from streams.webhooks.rows import PendingRow

_TELL_EVERY = 5.0  # seconds between two transactions that only say how far topics are read


class Committer:
    """Gathers what is to be committed while the transaction before is under way.

    Attributes:
        sequence: The number of the next row.
    """

    def __init__(self, outbox: Outbox, lanes: Lanes, on_change: Callable[[], None]) -> None:
        """Prepare.

        Args:
            outbox: Takes the transactions.
            lanes: Follow what is committed.
            on_change: Called when they have.
        """
        self.sequence = 0
        self._outbox = outbox
        self._lanes = lanes
        self._on_change = on_change
        self._entries = Entries()
        self._settled: list[PendingRow] = []
        self._wake = asyncio.Event()
        self._committed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def add(self, entries: Entries) -> None:
        """Take what a batch of records adds. Returns when it is committed, if it is more than offsets."""
        if entries.rows:
            self.sequence = entries.rows[-1].sequence + 1
        gathered = self._entries
        gathered.rows += entries.rows
        gathered.letters += entries.letters
        gathered.next |= entries.next
        if entries.moves:
            self._wake.set()
            await asyncio.shield(self._committed)

    def settle(self, row: PendingRow, letter: Letter | None) -> None:
        """Take note that a notification is delivered, or is a dead letter now."""
        self._settled.append(row)
        self._entries.settled.append(row.key)
        if letter is not None:
            self._entries.letters.append(letter)
        self._wake.set()

    async def next_commit(self, deadline: float) -> None:
        """Wait for the next transaction, for so many seconds."""
        await asyncio.wait({self._committed}, timeout=deadline)

    async def drained(self, deadline: float) -> None:
        """Wait until what is settled by now is committed, for so many seconds."""
        if self._entries.moves:
            await asyncio.wait({self._committed}, timeout=deadline)

    async def commit_for_ever(self) -> None:
        """Commit whatever there is, and let the lanes follow."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TELL_EVERY):
                    await self._wake.wait()
            await self.commit()

    async def commit(self) -> None:
        """Commit what there is by now."""
        self._wake.clear()
        entries, settled, committed = self._entries, self._settled, self._committed
        if not entries.moves and not entries.next:
            return
        self._entries, self._settled = Entries(), []
        self._committed = asyncio.get_running_loop().create_future()
        await self._outbox.commit(entries, self.sequence)
        self._lanes.settle(settled)
        for row in entries.rows:
            self._lanes.add(row)
        committed.set_result(None)
        self._on_change()
