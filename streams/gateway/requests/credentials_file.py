"""The file of credentials: read again when it changes, so that a key can be revoked without a restart."""

import json
import logging
import os
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from schemas.errors import SettingsError
from streams.gateway.requests.credentials import Cloud, CloudEntry, Credentials, Entries, Preset, PresetEntry
from streams.gateway.requests.problems import BadCallError

log = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds
MAX_BYTES = 1_000_000
KEY_DIGITS = 15
_HOW = "docs/gateway.md shows one"
_Named = TypeVar("_Named", bound="_HasName")


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


class CredentialsFile:
    """The credentials that hold now."""

    def __init__(
        self, path: Path, clock: Callable[[], float], check_preset: Callable[[Preset], None] | None = None
    ) -> None:
        """Read the file.

        Args:
            path: The file.
            clock: Gives seconds; it never goes back.
            check_preset: Raises BadCallError for options that no upload may have.

        Raises:
            SettingsError: The file cannot be used.
        """
        self._path = path
        self._clock = clock
        self._check_preset = check_preset
        self._held = read_credentials(path, check_preset)
        self._seen: tuple[int, ...] | None = self._held.signature
        self._look_at = clock() + LOOK_INTERVAL

    @property
    def now(self) -> Credentials:
        """Give the credentials; the file is looked at once a second at most."""
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
            self._held = read_credentials(self._path, self._check_preset)
        except SettingsError as error:
            log.error("%s. The credentials that were read before hold still", error)  # noqa: TRY400 - no fault of ours
            return
        self._seen = self._held.signature
        log.info("%s: %d keys of %d clouds hold now", self._path, self._held.keys, len(self._held.clouds))


def read_credentials(path: Path, check_preset: Callable[[Preset], None] | None = None) -> Credentials:
    """Read the file.

    Raises:
        SettingsError: It cannot be read, others can read it, or its content is wrong.
    """
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            status = os.fstat(file.fileno())
            _check_file(path, status)
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: the credentials cannot be read ({error.strerror}); {_HOW}") from None
    try:
        entries = msgspec.toml.decode(content, type=Entries)
        clouds = [_cloud(entry) for entry in _distinct(entries.cloud, "clouds")]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise SettingsError(f"{path} is no file of credentials: {error}; {_HOW}") from None
    for preset in (preset for cloud in clouds for preset in cloud.presets.values()):
        _checked(path, preset, check_preset)
    return Credentials(clouds, signature_of(status))


def new_credentials(cloud: str) -> tuple[str, str, str]:
    """Make a key and a secret for a cloud.

    Returns:
        The key's id, its secret, and the lines of both for the file.
    """
    key, secret = str(secrets.randbelow(9 * 10**14) + 10 ** (KEY_DIGITS - 1)), secrets.token_urlsafe(20)
    lines = [
        "[[cloud]]",
        f"name = {json.dumps(cloud)}",
        "",
        "[[cloud.key]]",
        f'id = "{key}"',
        f'secret = "{secret}"',
    ]
    return key, secret, "\n".join([*lines, ""])


def signature_of(status: os.stat_result) -> tuple[int, ...]:
    """Give what changes when a file is written, replaced, or opened to others."""
    return (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino, status.st_mode)


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))  # a pipe may have nobody at its other end


def _check_file(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SettingsError(f"{path}: the credentials must be in a regular file")
    if os.name == "posix" and status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        mode = stat.S_IMODE(status.st_mode)
        raise SettingsError(
            f"{path}: others may read or write the credentials (mode {mode:04o}); chmod 600 {path}"
        )
    if status.st_size > MAX_BYTES:
        raise SettingsError(f"{path}: the credentials take more than {MAX_BYTES} bytes")


def _cloud(entry: CloudEntry) -> Cloud:
    urls = entry.notification_url
    ids = [key.id for key in entry.key]
    if len(set(ids)) < len(ids):
        raise ValueError(f"two keys of the cloud {entry.name!r} have the same id; each needs its own")
    presets = [_preset(each) for each in entry.preset]
    return Cloud(
        entry.name,
        {key.id: key for key in entry.key},
        {preset.name: preset for preset in _distinct(presets, f"presets of the cloud {entry.name!r}")},
        entry.signature_algorithm,
        [urls] if isinstance(urls, str) else urls,
        entry.ambiguous_signatures,
    )


def _preset(entry: dict[str, Any]) -> Preset:
    head = msgspec.convert(entry, PresetEntry)
    options = {name: _text(value) for name, value in entry.items() if name not in {"name", "unsigned"}}
    return Preset(head.name, head.unsigned, options)


def _text(value: Any) -> str:  # noqa: ANN401 - TOML
    """An option's value as a call would send it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "|".join(f"{_escaped(name)}={_escaped(_text(each))}" for name, each in value.items())
    return ",".join(map(_text, value)) if isinstance(value, list) else str(value)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("=", "\\=").replace("|", "\\|")


def _checked(path: Path, preset: Preset, check: Callable[[Preset], None] | None) -> None:
    try:
        if check is not None:
            check(preset)
    except BadCallError as error:
        raise SettingsError(f"{path}: preset {preset.name!r}: {error}") from None


def _distinct(entries: Sequence[_Named], what: str) -> Sequence[_Named]:
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what} are called {name!r}; each needs a name of its own")
    return entries
