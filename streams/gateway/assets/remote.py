"""Files that a caller names by a URL: fetched by the rules for the URLs of events, and stored."""

from collections.abc import AsyncIterator
from urllib.parse import unquote, urlsplit

from streams.fetch.errors import SourceError
from streams.fetch.fetcher import Fetcher
from streams.fetch.urls import shown
from streams.gateway.assets.intake import Intake, StoredFile
from streams.gateway.requests.parts import FilePart
from streams.gateway.requests.problems import BadCallError

_SCHEMES = ("http://", "https://")


class RemoteFiles:
    """Loads files over HTTP."""

    def __init__(self, fetcher: Fetcher) -> None:
        """Prepare.

        Args:
            fetcher: Reaches no folder and no object store: callers are strangers.
        """
        self._fetcher = fetcher

    async def load(self, url: str, intake: Intake) -> StoredFile:
        """Load a file.

        Raises:
            BadCallError: It cannot be loaded.
        """
        text = url.strip()
        if not text.lower().startswith(_SCHEMES):
            cure = "send a file, an http or https URL, or a data: URI with base64"
            raise BadCallError(f"Invalid value for parameter file: {shown(text)}; {cure}")
        try:
            fetched = await self._fetcher.fetch(text)
        except SourceError as error:
            raise BadCallError(f"Error in loading {shown(text)} - {error}") from None
        with fetched:
            return await intake.take(FilePart("file", name_in(text), ""), _pieces(fetched.data))


def name_in(url: str) -> str | None:
    """The file name at the end of a URL's path; None: there is none."""
    return unquote(urlsplit(url).path.rpartition("/")[2], errors="replace") or None


async def _pieces(data: bytes, size: int = 256 * 1024) -> AsyncIterator[bytes]:
    for start in range(0, max(len(data), 1), size):
        if piece := data[start : start + size]:
            yield piece
