"""Files of secrets: read only where nobody else can, and again when they change."""

import logging
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from schemas.errors import SettingsError

log = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds
MAX_BYTES = 1_000_000


class HasSignature(Protocol):
    """What was read from a file, with what tells that the file is another one since."""

    @property
    def signature(self) -> tuple[int, ...]:
        """That of the file: see `signature_of`."""


Held = TypeVar("Held", bound=HasSignature)


class WatchedFile(Generic[Held]):
    """What a file of secrets holds now, so that one can be revoked without a restart."""

    def __init__(
        self,
        path: Path,
        what: str,
        clock: Callable[[], float],
        read: Callable[[Path], Held],
        tell: Callable[[Held], None],
    ) -> None:
        """Read the file.

        Args:
            path: The file.
            what: What it holds, such as `tokens`.
            clock: Gives seconds; it never goes back.
            read: Reads it.
            tell: Says in the log what holds now.

        Raises:
            SettingsError: The file cannot be used.
        """
        self._path = path
        self._what = what
        self._clock = clock
        self._read = read
        self._tell = tell
        self._held = read(path)
        self._seen: tuple[int, ...] | None = self._held.signature
        self._look_at = clock() + LOOK_INTERVAL

    @property
    def now(self) -> Held:
        """What it holds; it is looked at once a second at most."""
        if self._clock() >= self._look_at:
            self._look_at = self._clock() + LOOK_INTERVAL
            self._look()
        return self._held

    def _look(self) -> None:
        try:
            signature = signature_of(self._path.stat())
        except OSError:
            signature = None
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._held = self._read(self._path)
        except SettingsError as error:
            kept = f"The {self._what} that were read before hold still"
            log.error("%s. %s", error, kept)  # noqa: TRY400 - no fault of ours
            return
        self._seen = self._held.signature
        self._tell(self._held)


def read_secret_file(path: Path, what: str, cure: str) -> tuple[bytes, tuple[int, ...]]:
    """A file's content, a byte more than it may have at most, and its signature.

    Raises:
        SettingsError: It cannot be read, is no regular file or too large, or others can read it.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            _check_file(path, what, status)
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: the {what} cannot be read ({error.strerror}); {cure}") from None
    return content, signature_of(status)


def signature_of(status: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is written, replaced, or opened to others."""
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe may have nobody at its other end


def _check_file(path: Path, what: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"{path}: the {what} must be in a regular file")
    # A group may read: that is how containers get secrets. Whoever writes makes some of their own.
    if os.name == "posix" and status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsError(
            f"{path}: others may read or write the {what} (mode {mode:04o}); chmod 600 {path}"
        )
    if status.st_size > MAX_BYTES:
        raise SettingsError(f"{path}: the {what} take more than {MAX_BYTES} bytes")
