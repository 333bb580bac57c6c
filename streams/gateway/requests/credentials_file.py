"""The file of credentials: read again when it changes, so that a key can be revoked without a restart."""

import functools
import json
import logging
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from schemas.errors import SettingsError
from streams.gateway.requests.credentials import Cloud, CloudEntry, Credentials, Entries, Preset, PresetEntry
from streams.gateway.requests.problems import BadCallError
from streams.web.access.secret_file import WatchedFile, read_secret_file

log = logging.getLogger(__name__)

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
        read = functools.partial(read_credentials, check_preset=check_preset)
        self._file = WatchedFile(path, "credentials", clock, read, self._tell)

    @property
    def now(self) -> Credentials:
        """Give the credentials; the file is looked at once a second at most."""
        return self._file.now

    def _tell(self, held: Credentials) -> None:
        log.info("%s: %d keys of %d clouds hold now", self._path, held.keys, len(held.clouds))


def read_credentials(path: Path, check_preset: Callable[[Preset], None] | None = None) -> Credentials:
    """Read the file.

    Raises:
        SettingsError: It cannot be read, others can read it, or its content is wrong.
    """
    content, signature = read_secret_file(path, "credentials", _HOW)
    try:
        entries = msgspec.toml.decode(content, type=Entries)
        clouds = [_cloud(entry) for entry in _distinct(entries.cloud, "clouds")]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError) as error:
        raise SettingsError(f"{path} is no file of credentials: {error}; {_HOW}") from None
    for preset in (preset for cloud in clouds for preset in cloud.presets.values()):
        _checked(path, preset, check_preset)
    return Credentials(clouds, signature)


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
