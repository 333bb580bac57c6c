"""The file of tokens, read again when it changes, so that a token can be revoked without a restart."""

import logging
from collections.abc import Callable
from pathlib import Path

from schemas.errors import SettingsError
from streams.web.access.callers import Caller
from streams.web.access.tokens import read_tokens, signature_of

log = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds


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
        self._clock = clock
        self._tokens = read_tokens(path)
        self._seen: tuple[int, ...] | None = self._tokens.signature
        self._look_at = clock() + LOOK_INTERVAL

    def find(self, token: str) -> Caller | None:
        """Give the owner of a token."""
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_INTERVAL
            self._look()
        return self._tokens.find(token)

    def _look(self) -> None:
        try:
            signature = signature_of(self._path.stat())
        except OSError:
            signature = None
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._tokens = read_tokens(self._path)
        except SettingsError as error:
            log.error("%s. The tokens that were read before hold still", error)  # noqa: TRY400 - no fault of ours
            return
        self._seen = self._tokens.signature
        log.info("%s: %d tokens hold now", self._path, len(self._tokens.callers))
        self._warn_if_empty()

    def _warn_if_empty(self) -> None:
        if not self._tokens.callers:
            log.warning("%s holds no token: nobody may ask; make one with `tagstream token new`", self._path)
