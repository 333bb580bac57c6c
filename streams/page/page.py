"""The page put together: its files, and what it asks for besides the query API."""

from collections.abc import Callable, Iterable, Mapping

from litestar.handlers import HTTPRouteHandler

from schemas.topics import TopicNames
from streams.fetch.fetcher import Fetcher
from streams.fetch.object_store import ObjectStore
from streams.kafka.connection import KafkaConnection
from streams.page.dead_letters import DeadLetters
from streams.page.files import page_files
from streams.page.operations import Operations
from streams.page.pictures import Pictures
from streams.page.publishing.editing import Editing
from streams.page.publishing.events import Events, FoldedState
from streams.page.publishing.uploading import Uploading
from streams.page.requests import Writing, handler
from streams.page.serving import file_handler
from streams.page.session import Known, Sessions
from streams.page.watching.feed import Feed
from streams.page.watching.live import Live
from streams.web.door import Entry


class Page:
    """All that the role serves."""

    def __init__(
        self,
        connection: KafkaConnection,
        names: TopicNames,
        objects: ObjectStore,
        fetcher: Fetcher | None = None,
        *,
        known: Known,
        writing: Writing,
        operations: Operations,
        tenants: Callable[[], Iterable[str]],
        most: int,
    ) -> None:
        """Prepare.

        Args:
            connection: How to reach Kafka.
            names: The deployment's topics.
            objects: Where pictures are.
            fetcher: Gets large ones that lie elsewhere; None: these are not shown.
            known: What all pages are told.
            writing: Who may change something.
            operations: What operators are told.
            tenants: Those with images.
            most: Bytes that a photo may have.
        """
        self._files = page_files()
        self._feed = Feed(connection, names)
        self._events = Events(connection, names)
        self._pictures = Pictures(objects, fetcher)
        self._sessions = Sessions(known, writing, tenants)
        self._live = Live(self._feed)
        self._letters = DeadLetters(connection, names, writing)
        self._operations = operations
        self._editing = Editing(self._events, writing)
        self._uploading = Uploading(self._events, self._feed, objects, writing, most)

    def handlers(self) -> list[HTTPRouteHandler]:
        """What answers."""
        return [
            *(file_handler(path, file) for path, file in self._files.items()),
            handler("GET", "/page/session", self._sessions.show),
            handler("POST", "/page/session", self._sessions.sign_in),
            handler("DELETE", "/page/session", self._sessions.sign_out),
            handler("GET", "/page/thumbnails/{public_id:str}", self._pictures.thumbnail),
            handler("GET", "/page/pictures/{public_id:str}", self._pictures.picture),
            handler("GET", "/page/live", self._live.stream),
            handler("GET", "/page/dead-letters", self._letters.show),
            handler("POST", "/page/dead-letters/replay", self._letters.replay),
            handler("GET", "/page/health", self._operations.health),
            handler("GET", "/page/settings", self._operations.settings),
            handler("POST", "/page/edits", self._editing.edit),
            handler("POST", "/page/uploads", self._uploading.upload),
        ]

    def entries(self) -> dict[str, Entry]:
        """What those get who are not signed in yet."""
        return {**dict.fromkeys(self._files, Entry.COUNTED), "/page/session": Entry.COUNTED}

    async def open(self, states: Mapping[int, FoldedState]) -> None:
        """Connect, and show these states."""
        for part in (self._pictures, self._operations):
            part.states.update(states)
        self._events.states = states
        await self._events.open()

    async def close(self) -> None:
        """Let go of whoever watches, and of Kafka."""
        await self._feed.close()
        await self._events.close()
