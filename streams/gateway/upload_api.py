"""The Upload API: calls that bring files, and calls that change assets."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from litestar.types import ASGIApp

from streams.fetch.object_store import ObjectStore
from streams.gateway.answers import Addresses, pending_answer, upload_answer
from streams.gateway.assets.answered import Answered
from streams.gateway.assets.events import LONGEST_WAIT
from streams.gateway.assets.intake import Intake, StoredFile
from streams.gateway.assets.remote import RemoteFiles
from streams.gateway.assets.uploads import UploadCall, Uploads
from streams.gateway.calls import Answer, Call, Route, route
from streams.gateway.requests.authentication import Caller, check_before_file
from streams.gateway.requests.credentials import Right
from streams.gateway.requests.fields import Fields
from streams.gateway.requests.options import UploadOptions, read_options
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError

_TYPE = "(?P<resource_type>image|raw|video|auto)"
_CLOUD = "(?P<cloud>[^/]+)"


@dataclass(frozen=True)
class UploadLimits:
    """What an upload may bring and ask for.

    Attributes:
        add_ons: Names of those that there are.
        max_bytes: Bytes of a file.
    """

    add_ons: Collection[str]
    max_bytes: int


class UploadApi:
    """Answers calls of the Upload API."""

    def __init__(
        self,
        uploads: Uploads,
        objects: ObjectStore,
        remote: RemoteFiles,
        limits: UploadLimits,
        at: Addresses,
    ) -> None:
        """Prepare.

        Args:
            uploads: Makes assets of files.
            objects: Where bytes go.
            remote: Loads files that are given by a URL.
            limits: What may be asked for.
            at: Where assets are served.
        """
        self._uploads = uploads
        self._objects = objects
        self._remote = remote
        self._limits = limits
        self._at = at

    def routes(self) -> list[Route]:
        """Give the routes below `/v1_1/`."""
        return [
            route("POST", rf"{_CLOUD}/{_TYPE}/upload", self.upload),
            route("POST", rf"{_CLOUD}/upload", self.upload),
        ]

    async def upload(self, call: Call) -> ASGIApp:
        """Take a file and make an asset of it."""
        until = asyncio.get_running_loop().time() + LONGEST_WAIT
        intake = _GuardedIntake(call, self._objects, self._limits.max_bytes)
        try:
            form = await call.form(intake)
            fields = form.fields
            caller = call.admit_signed(fields, Right.WRITE, "upload")
            options = self._options(call, caller, fields)
            if not intake.is_whole:
                await self._load(fields, intake)
            call.writes(caller, "upload", [options.public_id or ""])
        except BaseException:
            await intake.discard()
            raise
        done = await self._uploads.upload(UploadCall(caller, options, intake.file, until))
        call.writes(caller, "upload", [done.asset.public_id])
        return self.answer(done, caller)

    async def _load(self, fields: Fields, intake: Intake) -> StoredFile:
        return await self._remote.load(fields.required("file"), intake)

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
            told["info"] = {"categorization": _pending(done.add_ons)}
            told["status"] = "pending"
        return Answer(upload_answer(done.asset, caller, self._at, add_ons=done.add_ons, more=told))


class _GuardedIntake(Intake):
    """Takes a file, unless what came before it shows already that it is in vain."""

    def __init__(self, call: Call, objects: ObjectStore, most: int) -> None:
        super().__init__(objects, call.cloud, most)
        self._call = call

    async def begin(self, part: FilePart, fields: Fields) -> None:
        check_before_file(self._call.door.credentials.now, self._call.cloud, self._call.scope, fields)
        if part.name != "file":
            raise BadCallError(f"A file was sent as {part.name!r}; send it as file")
        await super().begin(part, fields)


def _pending(add_ons: Sequence[str]) -> dict[str, Any]:
    return {name: {"status": "pending"} for name in add_ons}
