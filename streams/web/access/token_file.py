"""The file of tokens, read again when it changes, so that a token can be revoked without a restart."""

import logging
from collections.abc import Callable
from pathlib import Path

from streams.web.access.callers import Caller
from streams.web.access.secret_file import WatchedFile
from streams.web.access.tokens import Tokens, read_tokens

log = logging.getLogger(__name__)


class TokenFile:
    """The tokens that hold now."""

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        """Read the file.

        Args:
            path: The file.
            clock: Gives seconds; it never goes back.

        Raises:
            SettingsError: The file cannot be used.
        """
        self._path = path
        self._file = WatchedFile(path, "tokens", clock, read_tokens, self._tell)

    def find(self, token: str) -> Caller | None:
        """Give the owner of a token."""
        return self._file.now.find(token)

    def _tell(self, tokens: Tokens) -> None:
        log.info("%s: %d tokens hold now", self._path, len(tokens.callers))
        if not tokens.callers:
            log.warning("%s holds no token: nobody may ask; make one with `tagstream token new`", self._path)
