"""Schemas in a registry: registered beside the work, so that a registry that is away holds nothing up."""

import asyncio
import contextlib
import logging
import os
from collections.abc import Iterable
from contextlib import AsyncExitStack

from schemas.contracts.channels import TopicSchema, topic_schemas
from schemas.topics import TopicNames
from streams.app.services.service import Spawn, WebPart
from streams.fetch.sending.schema_registry import RegistryError, SchemaRegistry
from streams.state.replica import Replica

log = logging.getLogger(__name__)

_FIRST, _LONGEST = 1.0, 60.0  # seconds until the registry is asked again


class RegisteringSchemas:
    """Registers the schema of each topic, by the topic's name (Confluent's TopicNameStrategy).

    Attributes:
        headers: The header of each topic whose schema is registered; it fills while the worker works.
    """

    web = WebPart()
    waits_for = None

    def __init__(self, url: str, names: TopicNames) -> None:
        self.headers: dict[str, tuple[str, bytes]] = {}
        self._url = url
        self._names = names
        self._task: asyncio.Task[None] | None = None

    async def open(self, stack: AsyncExitStack) -> None:
        """Begin at once: mostly it is done before the first record is written.

        Raises:
            SettingsError: What the registry is asked with is incomplete.
        """
        registry = SchemaRegistry.at(self._url, os.environ)
        stack.push_async_callback(registry.aclose)
        self._task = asyncio.create_task(self._register_all(registry))
        self._task.add_done_callback(_tell_fault)
        stack.push_async_callback(self.stop)

    async def start(self, _replica: Replica, _spawn: Spawn) -> None:
        """Nothing more: records go without the header until the registry has answered."""

    async def stop(self) -> None:
        """Ask no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _register_all(self, registry: SchemaRegistry) -> None:
        waiting, wait = [*topic_schemas(self._names)], _FIRST
        while waiting := await self._register(registry, waiting):
            topics = ", ".join(each.topic for each in waiting)
            log.warning("asking for %s again in %g s; until then records go without the header", topics, wait)
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST)
        log.info(
            "schemas are registered at %s; records of %s name theirs", registry.url, ", ".join(self.headers)
        )

    async def _register(self, registry: SchemaRegistry, waiting: Iterable[TopicSchema]) -> list[TopicSchema]:
        """Try each; return those that are not registered."""
        left = []
        for each in waiting:
            try:
                header = await registry.register(f"{each.topic}-value", each.text)
            except RegistryError as error:
                log.warning("the schema of topic %s is not registered: %s", each.topic, error)
                left.append(each)
                continue
            if each.written:
                self.headers[each.topic] = header
        return left


def _tell_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("schemas are not registered", exc_info=error)
