"""Calls that change: updates of an asset, deletions of some, of many, of all."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from litestar.types import ASGIApp

from streams.gateway.admin_api.finding import Finder
from streams.gateway.admin_api.listing import Chosen, of_prefix, of_tag, of_type
from streams.gateway.admin_api.routes import ASSET, CLOUD, OF_KIND, OF_TYPE
from streams.gateway.answers import Addresses, Json, admin_answer, phash_of
from streams.gateway.assets.answered import Answered
from streams.gateway.assets.changing import Change
from streams.gateway.assets.events import LONGEST_WAIT
from streams.gateway.assets.library_asset import LibraryAsset
from streams.gateway.assets.removals import Removals
from streams.gateway.assets.updates import Updates
from streams.gateway.assets.uploads import up_to_date
from streams.gateway.calls import Answer, Call, Route, route
from streams.gateway.cursors import encode_cursor
from streams.gateway.requests.authentication import Caller
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.options import read_options
from streams.gateway.requests.problems import BadCallError
from streams.gateway.search.search import Place, Query, SortKey

MAX_DELETED = 1000  # assets of one call; what is left is told as `partial`
MAX_IDS = 1000
_OLDEST_FIRST = (SortKey("created_at", descending=False),)


@dataclass
class Changing:
    """Updates and deletes.

    Attributes:
        finder: Looks through the assets.
        updates: Changes assets.
        removals: Ends them.
        add_ons: Names of those that there are.
        at: Where assets are served.
    """

    finder: Finder
    updates: Updates
    removals: Removals
    add_ons: Collection[str]
    at: Addresses

    def routes(self) -> list[Route]:
        """Give the routes below `/v1_1/`."""
        return [
            route("DELETE", rf"{CLOUD}/resources", self.delete_by_asset_ids),
            route("DELETE", rf"{OF_TYPE}/tags/(?P<tag>.+)", self.delete_by_tag),
            route("DELETE", OF_KIND, self.delete),
            route("POST PUT", ASSET, self.update),
        ]

    async def update(self, call: Call) -> ASGIApp:
        """Change an asset's tags and context, have add-ons look at it anew."""
        caller, given = await self._asked(call, Right.WRITE)
        public_id = call.parts["public_id"]
        fields = given.without("public_id", "folder", "public_id_prefix", "type")
        options = read_options(fields, self.add_ons, update=True)
        options = replace(options, type=call.parts["type"])
        call.writes(caller, "update", [public_id])
        change = _change(caller, "update", options.notification_url)
        done = await self.updates.update(change, call.parts["resource_type"], public_id, options)
        more = phash_of(done.asset, asked=options.phash) | _pending(done)
        return Answer(admin_answer(done.asset, self.at) | more)

    async def delete(self, call: Call) -> ASGIApp:
        """Delete the assets of some names, of a prefix, or all of a type."""
        caller, given = await self._asked(call, Right.DELETE)
        if _keeps_originals(given):
            return Answer(_deleted({}))
        resource_type, kind = call.parts["resource_type"], call.parts["type"]
        ids = given.array("public_ids", most=MAX_IDS)
        if ids is not None:
            get = partial(self.finder.library.get, call.cloud, resource_type, kind)
            return await self._delete_named(call, (caller, given), ids, get)
        prefix, everything = given.text("prefix"), given.flag("all")
        if not prefix and not everything:
            raise BadCallError("Missing required parameter - public_ids: name them, or a prefix, or all=true")
        chosen = of_type(resource_type, kind)
        if prefix:
            chosen = chosen.and_(of_prefix(prefix))
        return await self._delete_chosen(call, (caller, given), chosen)

    async def delete_by_tag(self, call: Call) -> ASGIApp:
        """Delete the assets that have a tag."""
        caller, given = await self._asked(call, Right.DELETE)
        if _keeps_originals(given):
            return Answer(_deleted({}))
        chosen = of_type(call.parts["resource_type"], "").and_(of_tag(call.parts["tag"]))
        return await self._delete_chosen(call, (caller, given), chosen)

    async def delete_by_asset_ids(self, call: Call) -> ASGIApp:
        """Delete assets by their ids."""
        caller, given = await self._asked(call, Right.DELETE)
        if _keeps_originals(given):
            return Answer(_deleted({}))
        ids = given.array("asset_ids", most=MAX_IDS)
        if ids is None:
            raise BadCallError("Missing required parameter - asset_ids")
        get = partial(self.finder.library.by_asset_id, call.cloud)
        return await self._delete_named(call, (caller, given), ids, get)

    async def _asked(self, call: Call, right: Right) -> tuple[Caller, Fields]:
        caller = call.admit_admin(right)
        return caller, (await call.form()).fields

    async def _delete_named(
        self,
        call: Call,
        asked: tuple[Caller, Fields],
        ids: Sequence[str],
        get: Callable[[str], LibraryAsset | None],
    ) -> Answer:
        await up_to_date(self.finder.library)
        found = {name: asset for name in dict.fromkeys(ids) if (asset := get(name)) is not None}
        await self._end(call, *asked, [*found.values()])
        return Answer(_deleted({name: "deleted" if name in found else "not_found" for name in ids}))

    async def _delete_chosen(self, call: Call, asked: tuple[Caller, Fields], chosen: Chosen) -> Answer:
        """Delete so many; whoever asks again, with or without the cursor, goes on with the others."""
        await up_to_date(self.finder.library)
        query = Query(chosen.test, _OLDEST_FIRST, MAX_DELETED, chosen.needle)
        page = await self.finder.find(call.cloud, query)
        await self._end(call, *asked, page.hits)
        return Answer(_deleted({found.public_id: "deleted" for found in page.hits}, page.last))

    async def _end(self, call: Call, caller: Caller, given: Fields, found: Sequence[LibraryAsset]) -> None:
        call.writes(caller, "delete", [each.public_id for each in found])
        await self.removals.destroy_all(_change(caller, "delete", given.text("notification_url")), found)


def _keeps_originals(given: Fields) -> bool:
    """Whether only what was derived from assets is to be deleted, of which there is nothing."""
    return given.flag("keep_original") or bool(given.array("transformations"))


def _deleted(deleted: Mapping[str, str], rest: Place | None = None) -> Json:
    """The answer of a deletion; `rest` is where what is left begins."""
    counts = {name: {"original": 1, "derived": 0} for name, what in deleted.items() if what == "deleted"}
    more = {"next_cursor": encode_cursor(rest, "delete")} if rest is not None else {}
    return {"deleted": deleted, "deleted_counts": counts, "partial": rest is not None, **more}


def _change(caller: Caller, action: str, notification_url: str | None) -> Change:
    return Change(caller, action, asyncio.get_running_loop().time() + LONGEST_WAIT, notification_url)


def _pending(done: Answered) -> Json:
    """What is told where add-ons have not looked yet."""
    if not (done.pending and done.add_ons):
        return {}
    told = {name: {"status": "pending"} for name in done.add_ons}
    return {"status": "pending", "info": {"categorization": told}}
