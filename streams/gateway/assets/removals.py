"""Assets that end, or go on under another name; bytes go after the event that ends their asset."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial

from schemas.assets import row_id
from schemas.names import MAX_NAME
from schemas.times import utc_datetime
from schemas.uploads import UploadData, UploadType
from streams.fetch.object_store import ObjectStore
from streams.gateway.assets.answered import Answered
from streams.gateway.assets.changing import Assets, Change, changed
from streams.gateway.assets.events import Settled
from streams.gateway.assets.intake import forget
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.requests.problems import BadCallError, GatewayError, UnknownAssetError, shown

_AT_ONCE = 64  # deletions of one call that are under way
_NO_TAGS = 1.0  # no confidence is above it: what a renamed image is tagged with is told


class Removals:
    """Ends and renames assets."""

    def __init__(self, assets: Assets, objects: ObjectStore, add_ons: frozenset[str]) -> None:
        """Prepare.

        Args:
            assets: What is there.
            objects: Where their bytes lie.
            add_ons: Names of add-ons that there are.
        """
        self._assets = assets
        self._objects = objects
        self._add_ons = add_ons

    async def destroy(self, change: Change, resource_type: str, kind: str, public_id: str) -> bool:
        """End an asset; tell whether there was one.

        Raises:
            GatewayError: Kafka does not answer.
        """
        await self._assets.up_to_date()
        found = self._assets.library.get(change.cloud, resource_type, kind, public_id)
        if found is None:
            return False
        await self._end(change, found)
        return True

    async def destroy_all(self, change: Change, found: Sequence[LibraryAsset]) -> None:
        """End assets that were found.

        Raises:
            GatewayError: Kafka does not answer; some may have ended.
        """
        for start in range(0, len(found), _AT_ONCE):
            some = found[start : start + _AT_ONCE]
            await asyncio.gather(*(self._end(change, each) for each in some))

    async def _end(self, change: Change, found: LibraryAsset) -> None:
        settled = await self._assets.submit(change, self._assets.deletion(change, found))
        if settled is Settled.COMMITTED:
            await self._forget_bytes(found)

    async def _forget_bytes(self, found: LibraryAsset) -> None:
        """Remove what nobody refers to any more."""
        key = found.asset.object
        if key is None:
            return
        try:
            await self._assets.up_to_date()  # another gateway may just have given it another name
        except GatewayError:
            return  # they are left to the sweeper
        now = self._assets.library.by_asset_id(found.cloud, found.asset.asset_id)
        if now is None or now.asset.object != key:
            await forget(self._objects, key)

    async def rename(
        self,
        change: Change,
        resource_type: str,
        kinds: tuple[str, str],
        names: tuple[str, str],
        *,
        overwrite: bool,
    ) -> Answered:
        """Give an asset another name; a call that was cut off is finished by sending it again.

        Args:
            change: The call.
            resource_type: Of the asset.
            kinds: How it is delivered before and afterwards.
            names: Its public ids before and afterwards.
            overwrite: Whether it takes the place of another asset.

        Raises:
            GatewayError: It is refused, or Kafka does not answer.
        """
        await self._assets.up_to_date()
        first, second = sorted(map(partial(row_id, resource_type), kinds, names))
        async with AsyncExitStack() as alone:  # of two at once the later one finds its name taken, or gone
            await alone.enter_async_context(self._assets.alone(change.cloud, first))
            if second != first:
                await alone.enter_async_context(self._assets.alone(change.cloud, second))
            return await self._rename(change, resource_type, kinds, names, overwrite=overwrite)

    async def _rename(
        self,
        change: Change,
        resource_type: str,
        kinds: tuple[str, str],
        names: tuple[str, str],
        *,
        overwrite: bool,
    ) -> Answered:
        library, cloud = self._assets.library, change.cloud
        found = library.get(cloud, resource_type, kinds[0], names[0])
        there = library.get(cloud, resource_type, kinds[1], names[1])
        begun = there is not None and there.asset.renamed_from == names[0]
        if found is None:
            if there is None or not begun:
                raise UnknownAssetError(f"Resource not found - {names[0]}")
            return Answered(there, change.event_id(there.row))
        if names[0] == names[1] and kinds[0] == kinds[1]:
            raise BadCallError(f"to_public_id {shown(names[1])} already exists: it is the asset's own name")
        if there is not None and not overwrite and there.asset.asset_id != found.asset.asset_id:
            raise BadCallError(f"to_public_id {names[1]} already exists")
        event = self._renaming(change, found, kinds[1], names[1])
        settled = await self._assets.submit(change, event)
        if settled is Settled.COMMITTED:
            await self._check_bytes(change, found, library.get(cloud, resource_type, kinds[1], names[1]))
            asset = changed(found.asset, renamed_to=names[1])
            settled = await self._assets.submit(change, self._assets.deletion(change, found, asset))
            if there is not None and there.asset.asset_id != found.asset.asset_id:
                await self._forget_bytes(there)
        now = library.get(cloud, resource_type, kinds[1], names[1])
        return Answered(now or found, event.event_id or "", pending=settled is Settled.PENDING)

    async def _check_bytes(self, change: Change, found: LibraryAsset, now: LibraryAsset | None) -> None:
        """Take a new name back whose bytes are gone: another gateway destroyed the asset meanwhile.

        Raises:
            UnknownAssetError: It did.
        """
        key = found.asset.object
        if key is None or now is None or now.asset.object != key or await self._objects.find(key) is not None:
            return
        await self._assets.submit(change, self._assets.deletion(change, now))
        raise UnknownAssetError(f"Resource not found - {found.public_id}")

    def _renaming(self, change: Change, found: LibraryAsset, kind: str, name: str) -> UploadData:
        """The event that makes the asset under its new name: the same bytes, and all tags as its own."""
        row = row_id(found.asset.resource_type, kind, name)
        if len(row) > MAX_NAME:
            raise BadCallError(f"to_public_id {shown(name)} is too long; use fewer than 200 characters")
        last, own = self._assets.library.latest(change.cloud, row), found.asset
        at = max(found.at, last.at + 1)  # it is counted where it was
        version = max(own.version, (last.version or 0) + 1)
        is_image = own.resource_type == "image"
        said = [add_on for add_on in found.scores if add_on in self._add_ons]
        asset = changed(
            own,
            type=kind,
            public_id=None if row == name else name,
            version=version,
            renamed_from=found.public_id,
        )
        return UploadData(
            type=UploadType.UPLOADED.value,
            public_id=row,
            url=found.url,
            event_id=change.event_id(row, "renamed", found.row),
            tenant=change.cloud,
            uploaded_at=utc_datetime(at).isoformat(),
            version=version,
            etag=own.etag,
            tags=found.tags if is_image else [],
            categorization=said,
            auto_tagging=_NO_TAGS if said else None,
            keep_edits=False,
            notification_url=change.notification_url,
            asset=asset,
        )
