"""The role `page`: all of it, for people, in a browser."""

from contextlib import AsyncExitStack
from dataclasses import fields, replace

from schemas.topics import TopicNames
from streams.app.assembly import fetch_limits
from streams.app.services.query_indexes import QueryIndexes
from streams.app.services.service import Spawn, WebPart
from streams.app.settings import Settings, variable
from streams.fetch.addresses import AddressPolicy
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import ObjectStore
from streams.fetch.roots import SourceRoots
from streams.fetch.urls import shown
from streams.kafka.connection import KafkaConnection
from streams.page.operations import Operations, Setting, Worker
from streams.page.page import Page
from streams.page.requests import Writing
from streams.page.session import Known
from streams.state.replica import Replica
from streams.web.access.hosts import is_loopback

_AT_ONCE = 8  # large pictures that are fetched; half of them from one host


class ShowingPage:
    """Serves the page beside the query API."""

    waits_for: str | None = None

    def __init__(
        self,
        settings: Settings,
        connection: KafkaConnection,
        names: TopicNames,
        indexes: QueryIndexes,
        worker: Worker,
    ) -> None:
        objects = ObjectStore.parse(settings.object_store, settings.data_dir)
        self._fetcher = fetcher_of(settings, objects) if settings.page_fetches else None
        self._page = Page(
            connection,
            names,
            objects,
            self._fetcher,
            known=Known(
                needs_token=settings.tokens is not None,
                thumbnails=settings.thumbnails,
                threshold=settings.auto_tagging,
                add_ons=list(settings.default_add_ons),
            ),
            writing=writing_of(settings),
            operations=Operations(
                worker, sorted(settings.chosen_roles), _in_force(settings), indexes.freshness.as_of
            ),
            tenants=lambda: indexes.tenants,
            most=settings.max_image_bytes,
        )
        self.web = WebPart(handlers=self._page.handlers(), entries=self._page.entries(), cookies=True)

    async def open(self, stack: AsyncExitStack) -> None:
        """Be ready to fetch; its files are read already."""
        if self._fetcher is not None:
            await stack.enter_async_context(self._fetcher)

    async def start(self, replica: Replica, _spawn: Spawn) -> None:
        """Connect to Kafka."""
        await self._page.open(replica.states)

    async def stop(self) -> None:
        """Let those who watch go."""
        await self._page.close()


def fetcher_of(settings: Settings, objects: ObjectStore) -> Fetcher:
    """What gets large pictures: apart from that of uploads, so that whoever looks takes nothing of theirs."""
    limits = replace(
        fetch_limits(settings),
        max_bytes_in_flight=2 * settings.max_image_bytes,
        concurrency=_AT_ONCE,
        per_host=_AT_ONCE // 2,
    )
    policy, roots = AddressPolicy.parse(settings.allow_sources), SourceRoots.parse(settings.source_roots)
    return Fetcher(policy, limits, roots, objects)


def writing_of(settings: Settings) -> Writing:
    """Who may change something: whoever asks, where no token is needed and nobody comes from afar."""
    near = settings.open_page or is_loopback(settings.web_host)
    return Writing(local=settings.tokens is None and near)


def _in_force(settings: Settings) -> list[Setting]:
    """The settings as pages show them. None of them is a secret; a store's address may hold one."""
    told = []
    for each in fields(settings):
        value = getattr(settings, each.name)
        text = "" if value is None else shown(str(value)) if each.name == "object_store" else str(value)
        told.append(Setting(variable(each.name), text, each.metadata["help"], value != each.default))
    return told
