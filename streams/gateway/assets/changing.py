"""What all changes of assets have in common: whose event it is, the asset as it is, one change at a time."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from schemas.assets import Asset
from schemas.times import utc_datetime
from schemas.uploads import UploadData, UploadType
from streams.gateway.assets.events import Events, RefusedError, Settled
from streams.gateway.assets.library import Library
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.assets.naming import event_id_of, random_id
from streams.gateway.assets.uploads import as_gateway_error, up_to_date
from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.problems import UnknownAssetError


@dataclass(frozen=True)
class Change:
    """A call that changes assets.

    Attributes:
        action: Such as `rename`.
        until: The loop's time at which waiting ends.
    """

    caller: Caller
    action: str
    until: float
    notification_url: str | None = None

    @property
    def cloud(self) -> str:
        """The caller's cloud."""
        return self.caller.cloud.name

    def event_id(self, row: str, *parts: str) -> str:
        """The id of this call's event about an asset; a signed call that is sent again has the same."""
        if self.caller.repeat is None or self.caller.key is None:
            return random_id()
        return event_id_of(self.action, self.cloud, self.caller.key.id, self.caller.repeat, row, *parts)


class Assets:
    """Assets that are about to be changed."""

    def __init__(self, library: Library, events: Events, clock: Callable[[], float] = time.time) -> None:
        """Prepare.

        Args:
            library: What there is.
            events: Takes what changes.
            clock: Gives seconds since the epoch.
        """
        self.library = library
        self._events = events
        self._clock = clock
        self._locks: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    async def up_to_date(self) -> None:
        """Return once the library has whatever was answered before."""
        await up_to_date(self.library)

    @contextlib.asynccontextmanager
    async def alone(self, cloud: str, row: str) -> AsyncIterator[None]:
        """Change an asset while no other call to this gateway does."""
        lock = self._locks.setdefault((cloud, row), asyncio.Lock())
        async with lock:
            yield

    def known(self, cloud: str, resource_type: str, kind: str, public_id: str) -> LibraryAsset:
        """The asset of a name.

        Raises:
            UnknownAssetError: There is none.
        """
        found = self.library.get(cloud, resource_type, kind, public_id)
        if found is None:
            raise UnknownAssetError(f"Resource not found - {public_id}")
        return found

    async def submit(self, change: Change, event: UploadData, *, waits: bool = True) -> Settled:
        """Publish an event and wait for what becomes of it.

        Raises:
            GatewayError: It was refused, or Kafka does not answer.
        """
        try:
            return await self._events.submit(event, until=change.until if waits else None)
        except RefusedError as refusal:
            raise as_gateway_error(refusal, event.public_id or "") from refusal

    def update(
        self,
        change: Change,
        found: LibraryAsset,
        asset: Asset | None = None,
        add_ons: Sequence[str] = (),
        auto_tagging: float | None = None,
    ) -> UploadData:
        """The event of a change of what is known of an asset, or of add-ons that look at it anew.

        Its bytes and its time stay, so its counts stay in their windows.
        """
        return self._event(
            change,
            UploadType.UPDATED,
            found.row,
            at=found.at,
            asset=asset,
            categorization=[*add_ons],
            auto_tagging=auto_tagging,
        )

    def edit(self, change: Change, found: LibraryAsset, added: list[str], removed: list[str]) -> UploadData:
        """The event of an edit of an image's tags: it counts whatever this machine's clock says."""
        at = max(int(self._clock() * 1000), found.at, found.edited_at + 1)
        by = change.caller.name[:255]
        return self._event(
            change, UploadType.EDITED, found.row, at=at, added=added or None, removed=removed or None, by=by
        )

    def deletion(self, change: Change, found: LibraryAsset, asset: Asset | None = None) -> UploadData:
        """The event of a deletion."""
        at = max(int(self._clock() * 1000), found.at + 1)
        return self._event(change, UploadType.DELETED, found.row, at=at, asset=asset)

    def _event(
        self,
        change: Change,
        kind: UploadType,
        row: str,
        *,
        at: int,
        **more: Any,  # noqa: ANN401 - fields of the event
    ) -> UploadData:
        return UploadData(
            type=kind.value,
            public_id=row,
            event_id=change.event_id(row, kind.value),
            tenant=change.cloud,
            uploaded_at=utc_datetime(at).isoformat(),
            notification_url=change.notification_url,
            **more,
        )


def changed(asset: Asset, **fields: Any) -> Asset:  # noqa: ANN401 - of the asset
    """An asset with other fields, without what an earlier renaming told."""
    return msgspec.structs.replace(asset, **({"renamed_from": None, "renamed_to": None} | fields))
