"""The role `webhooks`: what is committed is told to receivers."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import NoReturn

from schemas.topics import TopicNames
from streams.app.services.membership import Membership
from streams.app.services.service import Spawn, WebPart
from streams.app.settings import Settings, variable
from streams.app.telemetry import WorkerTelemetry
from streams.fetch.addresses import AddressPolicy
from streams.fetch.sending.poster import Poster
from streams.gateway.answers import Addresses
from streams.gateway.requests.credentials_file import CredentialsFile
from streams.kafka.admin import ensure_more_topics
from streams.kafka.connection import KafkaConnection
from streams.state.replica import Replica
from streams.webhooks.backoff import Backoff
from streams.webhooks.delivering import Deliverer
from streams.webhooks.intake import Intake
from streams.webhooks.lanes import Room
from streams.webhooks.messages.describing import AssetDescription
from streams.webhooks.messages.signing import SigningKey
from streams.webhooks.service import WebhookService
from streams.webhooks.unit import Sending


class Telling:
    """Tells receivers, as a member of a group of its own."""

    web = WebPart()

    def __init__(
        self,
        settings: Settings,
        connection: KafkaConnection,
        telemetry: WorkerTelemetry,
        end_process: Callable[[str, BaseException], NoReturn],
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._telemetry = telemetry
        self._end_process = end_process
        self._service: WebhookService | None = None
        self._group = Membership("webhooks")

    @property
    def waits_for(self) -> str | None:
        """The group's first word on what is ours."""
        return self._group.waits_for

    async def open(self, stack: AsyncExitStack) -> None:
        """Read who is told, and by whose keys.

        Raises:
            SettingsError: That, or which addresses are allowed, cannot be read.
        """
        settings, names = self._settings, TopicNames.of(self._settings)
        receivers = CloudReceivers(CredentialsFile(settings.credentials_file, time.monotonic))
        policy = AddressPolicy.parse(settings.allow_webhooks, variable("allow_webhooks"))
        most = settings.webhook_concurrency
        poster = await stack.enter_async_context(
            Poster(policy, deadline=settings.webhook_timeout, at_once=most)
        )
        backoff = Backoff(
            settings.webhook_retry_first, settings.webhook_retry_longest, settings.webhook_budget
        )
        sending = Sending(
            intake=Intake(names, receivers, AssetDescription(_addresses(settings))),
            deliverer=Deliverer(poster, receivers, backoff),
            room=Room(per_receiver=settings.webhook_backlog, rows=4 * settings.webhook_backlog),
            slots=asyncio.Semaphore(most),
            end_process=self._end_process,
            meter=self._telemetry.webhooks,
        )
        self._service = WebhookService(self._connection, names, sending)
        self._telemetry.read_webhooks(self._service)

    async def start(self, _replica: Replica, spawn: Spawn) -> None:
        """Make the topics that are missing, and join the group."""
        if self._service is None:
            raise RuntimeError("it was not opened")
        names = TopicNames.of(self._settings)
        await ensure_more_topics(self._connection, self._settings, names.webhook_configs)
        await self._group.join(self._service, spawn)

    async def stop(self) -> None:
        """Let requests under way end, give the partitions back and leave."""
        await self._group.leave()


class CloudReceivers:
    """Who is told, as the file of credentials says now."""

    def __init__(self, file: CredentialsFile) -> None:
        self._file = file

    def urls(self, cloud: str) -> Sequence[str]:
        """Where a cloud's notifications go whose events name no address."""
        found = self._file.now.cloud(cloud)
        return found.notification_urls if found else ()

    def key(self, cloud: str, wanted: str | None) -> SigningKey | None:
        """The key that signs a cloud's notifications."""
        found = self._file.now.cloud(cloud)
        if found is None:
            return None
        key = found.keys.get(wanted or "") or found.signing_key
        return SigningKey(key.id, key.secret, found.signature_algorithm.value)


def _addresses(settings: Settings) -> Addresses:
    """Where gateways serve assets, as their answers say it."""
    return Addresses.of(settings.gateway_url or f"http://{settings.gateway_host}:{settings.gateway_port}")
