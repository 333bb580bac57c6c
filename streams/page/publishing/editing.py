"""What people say of images' tags by the page."""

import asyncio

import msgspec

from schemas.names import MAX_NAME
from schemas.uploads import UploadData, UploadType
from streams.page.publishing.events import Events, checked
from streams.page.requests import AnyRequest, Writing, body_of
from streams.web.access.errors import BadQuestionError
from streams.web.replies import Json

MOST = 500  # images of one edit
MOST_TAGS = 20
_PATIENCE = 10.0  # seconds in which edits are usually folded


class Edit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tags that belong on images, and tags that do not."""

    public_ids: list[str]
    added: list[str] = []
    removed: list[str] = []
    tenant: str = ""


class Edited(msgspec.Struct, frozen=True):
    """What came of an edit.

    Attributes:
        published: How many images it was published for.
        folded: Whether answers tell it already.
    """

    published: int
    folded: bool


class Editing:
    """Publishes edits."""

    def __init__(self, events: Events, writing: Writing) -> None:
        self._events = events
        self._writing = writing

    async def edit(self, request: AnyRequest) -> Json:
        """Publish an edit of each image.

        Raises:
            QuestionError: It is none, or the caller may not edit.
        """
        edit = await body_of(request, Edit)
        caller = self._writing.admit(request, edit.tenant)
        if not 1 <= len(edit.public_ids) <= MOST:
            message = f"public_ids names {len(edit.public_ids)} images; name 1 to {MOST}"
            raise BadQuestionError("invalid_public_ids", message)
        if (tags := len(edit.added) + len(edit.removed)) > MOST_TAGS:
            message = f"added and removed name {tags} tags; name {MOST_TAGS} at most"
            raise BadQuestionError("invalid_tags", message)
        events = await asyncio.to_thread(_events, edit, caller.name)
        places = await self._events.publish(events)
        folded = await self._events.until_folded(places, _PATIENCE)
        return Json(msgspec.json.encode(Edited(len(events), folded)))


def _events(edit: Edit, by: str) -> list[UploadData]:
    return [checked(_event(edit, public_id, by)) for public_id in edit.public_ids]


def _event(edit: Edit, public_id: str, by: str) -> UploadData:
    return UploadData(
        type=UploadType.EDITED.value,
        public_id=public_id,
        added=edit.added or None,
        removed=edit.removed or None,
        by=by[:MAX_NAME] or None,
        tenant=edit.tenant or None,
    )
