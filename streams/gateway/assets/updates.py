"""Updates: what is known of an asset changes, add-ons look at it again, tags are given and taken."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from schemas.uploads import UploadData
from streams.gateway.assets.answered import Answered
from streams.gateway.assets.changing import Assets, Change, changed
from streams.gateway.assets.events import Settled
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.requests.options import UploadOptions
from streams.gateway.requests.problems import BadCallError

TAG_COMMANDS = ("add", "remove", "replace", "remove_all", "set_exclusive", "exclusive")
CONTEXT_COMMANDS = ("add", "remove_all")
_AT_ONCE = 64  # events of one call that are under way
_Find = Callable[[Sequence[str], Sequence[str]], list[str]]


class Updates:
    """Changes assets that are there."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets

    async def update(
        self, change: Change, resource_type: str, public_id: str, options: UploadOptions
    ) -> Answered:
        """Change what a call says of an asset: tags are replaced, and add-ons that it names look again.

        Raises:
            UnknownAssetError: There is none of this name.
            GatewayError: The change is refused, or Kafka does not answer.
        """
        await self._assets.up_to_date()
        found = self._assets.known(change.cloud, resource_type, options.type, public_id)
        if options.categorization and found.asset.resource_type != "image":
            raise BadCallError("Only images are categorized; leave categorization out")
        async with self._assets.alone(change.cloud, found.row):
            found = self._assets.known(change.cloud, resource_type, options.type, public_id)
            events = [*self._edits(change, found, options), *self._update(change, found, options)]
            waits = not options.is_async
            settled = await asyncio.gather(
                *(self._assets.submit(change, event, waits=waits) for event in events)
            )
        now = self._assets.library.get(change.cloud, resource_type, options.type, public_id) or found
        return Answered(
            now,
            (events[-1].event_id or "") if events else change.event_id(found.row),
            options.categorization or (),
            pending=any(each is Settled.PENDING for each in settled),
            is_async=options.is_async,
        )

    def _edits(self, change: Change, found: LibraryAsset, options: UploadOptions) -> list[UploadData]:
        if options.tags is None or found.asset.resource_type != "image":
            return []
        mine = found.own_tags if options.categorization else found.tags  # add-ons are about to look anew
        added, removed = _without(options.tags, found.tags), _without(mine, options.tags)
        return [self._assets.edit(change, found, added, removed)] if added or removed else []

    def _update(self, change: Change, found: LibraryAsset, options: UploadOptions) -> list[UploadData]:
        fields: dict[str, Any] = {
            name: getattr(options, name)
            for name in ("context", "display_name", "asset_folder")
            if getattr(options, name) is not None
        }
        if options.tags is not None and found.asset.resource_type != "image":
            fields["tags"] = options.tags
        if not fields and not options.categorization:
            return []
        asset = changed(found.asset, **fields) if fields else None
        threshold = options.auto_tagging if options.categorization else None
        return [self._assets.update(change, found, asset, options.categorization or (), threshold)]

    async def edit_tags(
        self,
        change: Change,
        of: tuple[str, str],
        ids: Sequence[str],
        *,
        command: str,
        tags: Sequence[str],
    ) -> list[str]:
        """Give tags to assets, or take them away.

        Args:
            change: The call.
            of: Resource type and delivery type of the assets.
            ids: Their public ids.
            command: What to do, such as `add`.
            tags: The tags.

        Returns:
            The public ids of assets that there are.

        Raises:
            GatewayError: The command is unknown, or Kafka does not answer.
        """
        if command not in TAG_COMMANDS:
            raise BadCallError(f"Invalid command {command[:64]!r} for tags; use {', '.join(TAG_COMMANDS)}")
        if command != "remove_all" and not tags:
            raise BadCallError("Missing required parameter - tag")
        await self._assets.up_to_date()
        exclusive = command in {"set_exclusive", "exclusive"}
        find = {"add": _with, "remove": _without, "replace": _only, "remove_all": _none}.get(command, _with)
        named = await self._found(change, of, ids)
        events = await self._tagged(change, named, find, tags)
        if exclusive:
            others = await asyncio.to_thread(self._others, change.cloud, of[0], tags, {*ids})
            events += await self._tagged(change, others, _without, tags)
        await self._submit_all(change, events)
        return [each.public_id for each in named]

    async def edit_context(
        self,
        change: Change,
        of: tuple[str, str],
        ids: Sequence[str],
        *,
        command: str,
        context: dict[str, str],
    ) -> list[str]:
        """Add to what owners say of assets, or take it away; an empty value takes its key away.

        Args:
            change: The call.
            of: Resource type and delivery type of the assets.
            ids: Their public ids.
            command: `add` or `remove_all`.
            context: What is said of them, by name.

        Returns:
            The public ids of assets that there are.

        Raises:
            GatewayError: The command is unknown, or Kafka does not answer.
        """
        if command not in CONTEXT_COMMANDS:
            raise BadCallError(
                f"Invalid command {command[:64]!r} for context; use {', '.join(CONTEXT_COMMANDS)}"
            )
        await self._assets.up_to_date()
        named = await self._found(change, of, ids)

        def merged(asset: LibraryAsset) -> dict[str, str]:
            both = {} if command == "remove_all" else {**asset.asset.context, **context}
            return {key: value for key, value in both.items() if value}

        await self._change_all(change, named, lambda each: {"context": merged(each)})
        return [each.public_id for each in named]

    async def _found(self, change: Change, of: tuple[str, str], ids: Sequence[str]) -> list[LibraryAsset]:
        found, library = [], self._assets.library
        for each in dict.fromkeys(ids):
            if (asset := library.get(change.cloud, *of, each)) is not None:
                found.append(asset)
            await asyncio.sleep(0)
        return found

    def _others(
        self, cloud: str, resource_type: str, tags: Sequence[str], ids: set[str]
    ) -> list[LibraryAsset]:
        """Assets that have one of the tags and are not named."""
        return [
            each
            for each in self._assets.library.all(cloud)
            if each.asset.resource_type == resource_type
            and each.public_id not in ids
            and not {*tags}.isdisjoint(each.tags)
        ]

    async def _tagged(
        self, change: Change, assets: Sequence[LibraryAsset], find: _Find, tags: Sequence[str]
    ) -> list[UploadData]:
        """The events that give assets the tags that `find` makes of theirs; others have turns between."""
        events = []
        for each in assets:
            if (event := self._retagged(change, each, find(each.tags, tags))) is not None:
                events.append(event)
            await asyncio.sleep(0)
        return events

    def _retagged(self, change: Change, found: LibraryAsset, wanted: list[str]) -> UploadData | None:
        """The event that gives an asset the tags that are wanted, unless it has them."""
        added, removed = _without(wanted, found.tags), _without(found.tags, wanted)
        if not added and not removed:
            return None
        if found.asset.resource_type == "image":
            return self._assets.edit(change, found, added, removed)
        return self._assets.update(change, found, changed(found.asset, tags=wanted))

    async def _change_all(
        self, change: Change, named: Sequence[LibraryAsset], fields: Callable[[LibraryAsset], dict[str, Any]]
    ) -> None:
        async def one(each: LibraryAsset) -> None:
            kind, library = (each.asset.resource_type, each.asset.type), self._assets.library
            async with self._assets.alone(change.cloud, each.row):
                now = library.get(change.cloud, *kind, each.public_id) or each
                asset = changed(now.asset, **fields(now))
                if asset != now.asset:
                    await self._assets.submit(change, self._assets.update(change, now, asset))

        for start in range(0, len(named), _AT_ONCE):
            await asyncio.gather(*map(one, named[start : start + _AT_ONCE]))

    async def _submit_all(self, change: Change, events: Sequence[UploadData]) -> None:
        for start in range(0, len(events), _AT_ONCE):
            some = events[start : start + _AT_ONCE]
            await asyncio.gather(*(self._assets.submit(change, event) for event in some))


def _with(tags: Sequence[str], more: Sequence[str]) -> list[str]:
    return [*tags, *_without(more, tags)]


def _without(tags: Sequence[str], less: Sequence[str]) -> list[str]:
    gone = {*less}
    return [tag for tag in tags if tag not in gone]


def _only(_: Sequence[str], wanted: Sequence[str]) -> list[str]:
    return list(wanted)


def _none(_: Sequence[str], __: Sequence[str]) -> list[str]:
    return []
