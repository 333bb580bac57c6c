"""What a role has to be for the worker to run it."""

from asyncio import Task
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Protocol

from litestar.types import ControllerRouterHandler, Middleware

from streams.state.replica import Replica
from streams.web.door import Entry

Spawn = Callable[[Coroutine[Any, Any, None]], Task[None]]
"""Runs something in the background; the process ends where it fails, and ends it where that stops."""


@dataclass(frozen=True)
class WebPart:
    """What a role serves besides questions: see `streams.web.app.create_api`."""

    handlers: Sequence[ControllerRouterHandler] = ()
    entries: Mapping[str, Entry] = field(default_factory=dict)
    middleware: Sequence[Middleware] = ()
    cookies: bool = False


class Service(Protocol):
    """One role at work.

    It is made with the worker, opened before Kafka has been asked, started once the topics are there, and
    stopped before the state is saved. `stop` also comes where `start` was not called, or was cancelled.
    """

    @property
    def web(self) -> WebPart:
        """What it serves, from the moment at which the worker listens."""

    @property
    def waits_for(self) -> str | None:
        """What it waits for before it works, as `/readyz` tells it; None: it works."""

    async def open(self, stack: AsyncExitStack) -> None:
        """Load what needs no Kafka; the stack ends it. What is refused here ends the worker with 78."""

    async def start(self, replica: Replica, spawn: Spawn) -> None:
        """Begin to work with the state."""

    async def stop(self) -> None:
        """Finish what is in work, and begin nothing."""
