"""Calls that ask: lists, single assets, searches, tags, and what there is in all."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from litestar.types import ASGIApp

from streams.gateway.admin_api.account import (
    config_answer,
    day_of,
    folders_answer,
    folders_below,
    stock_of,
    today_of,
    usage_answer,
)
from streams.gateway.admin_api.finding import Finder
from streams.gateway.admin_api.listing import (
    MAX_IDS,
    Chosen,
    Told,
    listing,
    of_asset_folder,
    of_context,
    of_prefix,
    of_tag,
    of_type,
)
from streams.gateway.admin_api.tags import DEFAULT_RESULTS, MAX_RESULTS, TagPage, tags_of_page
from streams.gateway.answers import Addresses, Json, admin_answer, phash_of
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.assets.uploads import up_to_date
from streams.gateway.calls import Answer, Call
from streams.gateway.cursors import decode_cursor, encode_cursor
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.problems import UnknownAssetError, shown
from streams.gateway.search.queries import read_search, search_answer

RESOURCE_TYPES = ("image", "raw", "video")
NOT_KEPT = {"versions": "versions", "related": "related_assets"}
"""Lists that an asset may be asked for, which are empty: by the parameter that asks."""


@dataclass
class Reading:
    """Answers questions.

    Attributes:
        finder: Looks through the assets.
        at: Where assets are served.
        file_limit: Bytes that an upload may have.
    """

    finder: Finder
    at: Addresses
    file_limit: int
    _requests: int = 0

    def __post_init__(self) -> None:
        self._library = self.finder.library

    async def ping(self, call: Call) -> ASGIApp:
        """Say that key and secret are right."""
        await self._asked(call)
        return Answer({"status": "ok"})

    async def resource_types(self, call: Call) -> ASGIApp:
        """List the types of assets."""
        await self._asked(call)
        return Answer({"resource_types": RESOURCE_TYPES})

    async def resources(self, call: Call) -> ASGIApp:
        """List assets of a type, or those that are named."""
        given = await self._asked(call)
        resource_type, kind = call.parts["resource_type"], call.parts.get("type", "")
        if (ids := given.array("public_ids", most=MAX_IDS)) is not None and kind:
            return await self._named(given, ids, partial(self._library.get, call.cloud, resource_type, kind))
        prefix = given.text("prefix")
        return await self._list(
            call, given, of_type(resource_type, kind), of_prefix(prefix) if prefix else None
        )

    async def by_tag(self, call: Call) -> ASGIApp:
        """List assets that have a tag."""
        given = await self._asked(call)
        return await self._list(
            call, given, of_type(call.parts["resource_type"], ""), of_tag(call.parts["tag"])
        )

    async def by_context(self, call: Call) -> ASGIApp:
        """List assets whose context has a key."""
        given = await self._asked(call)
        chosen = of_context(given.required("key"), given.text("value"))
        return await self._list(call, given, of_type(call.parts["resource_type"], ""), chosen)

    async def by_asset_folder(self, call: Call) -> ASGIApp:
        """List assets of an asset folder."""
        given = await self._asked(call)
        folder = of_asset_folder((given.text("asset_folder") or "").strip("/"))
        return await self._list(call, given, folder, counted=True)

    async def by_asset_ids(self, call: Call) -> ASGIApp:
        """List assets by their ids."""
        given = await self._asked(call)
        ids = given.array("asset_ids", most=MAX_IDS) or []
        return await self._named(given, ids, partial(self._library.by_asset_id, call.cloud))

    async def resource(self, call: Call) -> ASGIApp:
        """Tell all of one asset."""
        given = await self._asked(call)
        named = (call.parts["resource_type"], call.parts["type"], call.parts["public_id"])
        found = self._library.get(call.cloud, *named)
        if found is None:
            await up_to_date(self._library)  # another gateway may have answered its upload just now
            found = self._library.get(call.cloud, *named)
        return self._one(found, named[-1], given)

    async def resource_by_asset_id(self, call: Call) -> ASGIApp:
        """Tell all of the asset of an id."""
        given = await self._asked(call)
        asset_id = call.parts["asset_id"]
        found = self._library.by_asset_id(call.cloud, asset_id)
        if found is None:
            await up_to_date(self._library)
            found = self._library.by_asset_id(call.cloud, asset_id)
        return self._one(found, asset_id, given)

    async def search(self, call: Call) -> ASGIApp:
        """Find assets by an expression."""
        given = await self._asked(call)
        begun = time.monotonic()
        search = read_search(given, self._now(call))
        page = await self.finder.find(call.cloud, search.query)
        return Answer(search_answer(search, page, int((time.monotonic() - begun) * 1000), self.at))

    async def tags(self, call: Call) -> ASGIApp:
        """List the tags of a type of assets."""
        given = await self._asked(call)
        prefix, cursor = given.text("prefix") or "", given.text("next_cursor")
        question = f"tags {call.parts['resource_type']} {prefix}"
        most = given.whole_number("max_results", 1, MAX_RESULTS, DEFAULT_RESULTS)
        after = "" if cursor is None else str(decode_cursor(cursor, question, (str,))[0])
        page = TagPage(call.parts["resource_type"], prefix, after, most + 1)
        tags = await self.finder.look(call.cloud, partial(tags_of_page, page))
        more = {"next_cursor": encode_cursor([tags[most - 1]], question)} if len(tags) > most else {}
        return Answer({"tags": tags[:most], **more})

    async def usage(self, call: Call) -> ASGIApp:
        """Tell how much there is."""
        await self._asked(call)
        day = day_of(call.parts.get("date", ""), today_of(call.door.clock()))
        stock = await self.finder.look(call.cloud, stock_of)
        return Answer(usage_answer(stock, self._requests, self.file_limit, day))

    async def config(self, call: Call) -> ASGIApp:
        """Tell how the cloud is set up."""
        given = await self._asked(call)
        changed = call.door.credentials.now.signature[:1] or (0,)
        return Answer(config_answer(call.cloud, changed[0] // 1_000_000, settings=given.flag("settings")))

    async def folders(self, call: Call) -> ASGIApp:
        """List the folders below one."""
        await self._asked(call)
        parent = call.parts.get("folder", "").strip("/")
        names = await self.finder.look(call.cloud, partial(folders_below, parent=parent))
        if parent and not names and not await self._is_folder(call.cloud, parent):
            raise UnknownAssetError(f"Can't find folder with path {shown(parent)}")
        return Answer(folders_answer(parent, names))

    async def presets(self, call: Call) -> ASGIApp:
        """List the presets of the operator's file, or tell one."""
        await self._asked(call)
        known = call.door.credentials.now.clouds[call.cloud].presets
        told = [
            {"name": each.name, "unsigned": each.unsigned, "settings": dict(each.options)}
            for each in known.values()
        ]
        if not (name := call.parts.get("name", "")):
            return Answer({"presets": told})
        for preset in told:
            if preset["name"] == name:
                return Answer(preset)
        raise UnknownAssetError(f"Can't find upload preset named {shown(name)}")

    async def _asked(self, call: Call) -> Fields:
        """Let a caller in who may read, and give what it says; some send it in the body of a GET."""
        call.admit_admin(Right.READ)
        self._requests += 1
        return (await call.form()).fields

    async def _list(self, call: Call, given: Fields, *chosen: Chosen | None, counted: bool = False) -> Answer:
        first, *others = (each for each in chosen if each is not None)
        for each in others:
            first = first.and_(each)
        asked = listing(given, first, self._now(call))
        page = await self.finder.find(call.cloud, asked.query)
        return Answer(asked.answer(page, self.at) | ({"total_count": page.total} if counted else {}))

    async def _named(
        self, given: Fields, names: Iterable[str], get: Callable[[str], LibraryAsset | None]
    ) -> Answer:
        names, told = [*dict.fromkeys(names)], Told.of(given)
        if not all(map(get, names)):
            await up_to_date(self._library)
        found = (get(name) for name in names)
        return Answer({"resources": [told.answer(each, self.at) for each in found if each is not None]})

    def _one(self, found: LibraryAsset | None, name: str, given: Fields) -> Answer:
        if found is None:
            raise UnknownAssetError(f"Resource not found - {name}")
        asked: Json = {told: [] for flag, told in NOT_KEPT.items() if given.flag(flag)}
        asked |= phash_of(found, asked=given.flag("phash"))
        return Answer(admin_answer(found, self.at) | asked)

    async def _is_folder(self, cloud: str, name: str) -> bool:
        siblings = partial(folders_below, parent=name.rpartition("/")[0])
        return name.rpartition("/")[2] in await self.finder.look(cloud, siblings)

    @staticmethod
    def _now(call: Call) -> int:
        return int(call.door.clock() * 1000)
