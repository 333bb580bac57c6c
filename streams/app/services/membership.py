"""A role's part in a group of its own: joined at the start, left at the stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol

from streams.app.services.service import Spawn


class Member(Protocol):
    """What works as the group says, until it is cancelled."""

    assigned: asyncio.Event

    def run(self) -> Coroutine[Any, Any, None]:
        """Join, and work."""


class Membership:
    """Whether a process is in a group yet."""

    def __init__(self, group: str) -> None:
        """Prepare; `group` is what people call it."""
        self._group = group
        self._member: Member | None = None
        self._running: asyncio.Task[None] | None = None

    @property
    def waits_for(self) -> str | None:
        """The group's first word on what is ours; None: it was said."""
        joined = self._member is not None and self._member.assigned.is_set()
        return None if joined else f"joining the group of {self._group}"

    async def join(self, member: Member, spawn: Spawn) -> None:
        """Begin to work, and wait until the group has said on what."""
        self._member = member
        self._running = spawn(member.run())
        await member.assigned.wait()

    async def leave(self) -> None:
        """Let what is under way end, give everything back and leave."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)
