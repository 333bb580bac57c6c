"""The Upload API: calls that bring files, and calls that change assets."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from litestar.types import ASGIApp

from streams.fetch.object_store import ObjectStore
from streams.gateway.answers import Addresses, pending_answer, phash_of, upload_answer
from streams.gateway.assets.answered import Answered
from streams.gateway.assets.changing import Change
from streams.gateway.assets.events import LONGEST_WAIT
from streams.gateway.assets.intake import Intake
from streams.gateway.assets.remote import RemoteFiles
from streams.gateway.assets.removals import Removals
from streams.gateway.assets.updates import Updates
from streams.gateway.assets.uploads import UploadCall, Uploads
from streams.gateway.calls import Answer, Call, Route, route
from streams.gateway.chunked_uploads import ChunkedUploads
from streams.gateway.requests.authentication import Caller, check_before_file
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.options import DELIVERY_TYPES, UploadOptions, read_options
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError, shown
from streams.gateway.requests.texts import context_of, public_id_of, tags_of, url_of

_TYPE = "(?P<resource_type>image|raw|video|auto)"
_CLOUD = "(?P<cloud>[^/]+)"
_MAX_IDS = 1000


@dataclass(frozen=True)
class UploadLimits:
    """What an upload may bring and ask for.

    Attributes:
        add_ons: Names of those that there are.
        max_bytes: Bytes of a file.
    """

    add_ons: Collection[str]
    max_bytes: int


@dataclass(frozen=True)
class Actions:
    """What calls come to."""

    uploads: Uploads
    chunked: ChunkedUploads
    updates: Updates
    removals: Removals
    remote: RemoteFiles


class UploadApi:
    """Answers calls of the Upload API."""

    def __init__(self, actions: Actions, objects: ObjectStore, limits: UploadLimits, at: Addresses) -> None:
        """Prepare.

        Args:
            actions: What can be done.
            objects: Where bytes go.
            limits: What may be asked for.
            at: Where assets are served.
        """
        self._do = actions
        self._objects = objects
        self._limits = limits
        self._at = at

    def routes(self) -> list[Route]:
        """Give the routes below `/v1_1/`."""
        return [
            route("POST", rf"{_CLOUD}/{_TYPE}/upload", self.upload),
            route("POST", rf"{_CLOUD}/upload", self.upload),
            route("POST", rf"{_CLOUD}/{_TYPE}/explicit", self.explicit),
            route("POST", rf"{_CLOUD}/{_TYPE}/destroy", self.destroy),
            route("POST", rf"{_CLOUD}/{_TYPE}/rename", self.rename),
            route("POST", rf"{_CLOUD}/{_TYPE}/tags", self.tags),
            route("POST", rf"{_CLOUD}/{_TYPE}/context", self.context),
        ]

    async def upload(self, call: Call) -> ASGIApp:
        """Take a file, or a chunk of one, and make an asset of it."""
        until = _until()
        place = self._do.chunked.place_of(call, self._limits.max_bytes)
        intake = _GuardedIntake(call, self._objects, self._limits.max_bytes, place[2] if place else None)
        try:
            form = await call.form(intake)
            caller = call.admit_signed(form.fields, Right.WRITE, "upload")
            options = self._options(call, caller, form.fields)
            if not intake.is_whole:
                await self._do.remote.load(form.fields.required("file"), intake)
            elif place is None:
                self._do.chunked.check(call, intake.file.size, self._limits.max_bytes)
        except BaseException:
            await intake.discard()
            raise
        uploaded = UploadCall(caller, options, intake.file, until, _upload_id(call))
        if place is None:
            done = await self._do.uploads.upload(uploaded)
        else:
            taken = await self._do.chunked.take(uploaded, place, intake)
            if isinstance(taken, dict):
                return Answer(taken)
            done = taken
        call.writes(caller, "upload", [done.asset.public_id])
        more = {"done": True} if _upload_id(call) else {}
        return self.answer(done, caller, more | phash_of(done.asset, asked=options.phash))

    async def explicit(self, call: Call) -> ASGIApp:
        """Change what is known of an asset, or let add-ons look at it again."""
        fields, caller, change = await self._begin(call, "explicit")
        fields.required("public_id")
        options = self._options(call, caller, fields)
        public_id = options.public_id or ""
        call.writes(caller, "explicit", [public_id])
        done = await self._do.updates.update(change, _resource_type(call), public_id, options)
        return self.answer(done, caller, phash_of(done.asset, asked=options.phash))

    async def destroy(self, call: Call) -> ASGIApp:
        """End an asset."""
        fields, caller, change = await self._begin(call, "destroy", Right.DELETE)
        public_id = public_id_of(fields.required("public_id"))
        call.writes(caller, "destroy", [public_id])
        there = await self._do.removals.destroy(
            change, _resource_type(call), _kind(fields, "type"), public_id
        )
        return Answer({"result": "ok" if there else "not found"})

    async def rename(self, call: Call) -> ASGIApp:
        """Give an asset another name."""
        fields, caller, change = await self._begin(call, "rename")
        names = (
            public_id_of(fields.required("from_public_id"), "from_public_id"),
            public_id_of(fields.required("to_public_id"), "to_public_id"),
        )
        kind = _kind(fields, "type")
        kinds = (kind, _kind(fields, "to_type") if fields.text("to_type") else kind)
        call.writes(caller, "rename", names)
        done = await self._do.removals.rename(
            change, _resource_type(call), kinds, names, overwrite=fields.flag("overwrite")
        )
        return self.answer(done, caller)

    async def tags(self, call: Call) -> ASGIApp:
        """Give tags to assets, or take them away."""
        fields, caller, change = await self._begin(call, "tags")
        ids = fields.array("public_ids", most=_MAX_IDS) or []
        command = fields.required("command")
        call.writes(caller, f"tags {shown(command)}", ids)
        found = await self._do.updates.edit_tags(
            change,
            (_resource_type(call), _kind(fields, "type")),
            ids,
            command=command,
            tags=tags_of(fields, "tag") or [],
        )
        return Answer({"public_ids": found})

    async def context(self, call: Call) -> ASGIApp:
        """Say of assets what their owner wants, or take it back."""
        fields, caller, change = await self._begin(call, "context")
        ids = fields.array("public_ids", most=_MAX_IDS) or []
        command = fields.required("command")
        call.writes(caller, f"context {shown(command)}", ids)
        found = await self._do.updates.edit_context(
            change,
            (_resource_type(call), _kind(fields, "type")),
            ids,
            command=command,
            context=context_of(fields) or {},
        )
        return Answer({"public_ids": found})

    async def _begin(
        self, call: Call, action: str, right: Right = Right.WRITE
    ) -> tuple[Fields, Caller, Change]:
        """Read a call without a file, and let its caller in."""
        form = await call.form()
        caller = call.admit_signed(form.fields, right, action)
        return form.fields, caller, Change(caller, action, _until(), url_of(form.fields, "notification_url"))

    def _options(self, call: Call, caller: Caller, fields: Fields) -> UploadOptions:
        return read_options(
            fields,
            self._limits.add_ons,
            resource_type=call.parts.get("resource_type") or fields.text("resource_type") or "image",
            preset=caller.preset,
            signed=caller.key is not None,
        )

    def answer(self, done: Answered, caller: Caller, more: dict[str, Any] | None = None) -> Answer:
        """Give the answer of a call that was accepted."""
        asset = done.asset.asset
        if done.is_async and done.pending:
            return Answer(
                pending_answer(asset.resource_type, asset.type, done.asset.public_id, done.event_id)
            )
        told = dict(more or {})
        if done.existing:
            told["existing"] = True
        if done.pending and done.add_ons:
            told |= {"info": {"categorization": _pending(done.add_ons)}, "status": "pending"}
        return Answer(upload_answer(done.asset, caller, self._at, add_ons=done.add_ons, more=told))


class _GuardedIntake(Intake):
    """Takes a file, unless what came before it shows already that it is in vain."""

    def __init__(self, call: Call, objects: ObjectStore, most: int, key: str | None) -> None:
        super().__init__(objects, call.cloud, most, key)
        self._call = call

    async def begin(self, part: FilePart, fields: Fields) -> None:
        check_before_file(self._call.door.credentials.now, self._call.cloud, self._call.scope, fields)
        if part.name != "file":
            raise BadCallError(f"A file was sent as {shown(part.name)!r}; send it as file")
        await super().begin(part, fields)


def _until() -> float:
    return asyncio.get_running_loop().time() + LONGEST_WAIT


def _upload_id(call: Call) -> str | None:
    return call.header("x-unique-upload-id") if call.header("content-range") else None


def _resource_type(call: Call) -> str:
    named = call.parts["resource_type"]
    return "image" if named == "auto" else named


def _kind(fields: Fields, name: str) -> str:
    kind = fields.text(name) or "upload"
    if kind not in DELIVERY_TYPES:
        raise BadCallError(
            f"Invalid value {shown(kind)} for parameter {name}: use {', '.join(DELIVERY_TYPES)}"
        )
    return kind


def _pending(add_ons: Sequence[str]) -> dict[str, Any]:
    return {name: {"status": "pending"} for name in add_ons}
