"""Profiles: the settings that suit a machine, as lines of NAME=value.

Docker's and Compose's `env_file` and systemd's `EnvironmentFile` read the same lines.
"""

from collections.abc import Mapping
from pathlib import Path

from schemas.errors import SettingsError
from streams.own_files import read_own, replace_own

_MOST_BYTES = 1_000_000


def read_profile(path: Path, known: frozenset[str]) -> dict[str, str]:
    """Read the variables of a profile.

    Args:
        path: The file.
        known: The names that may be in it.

    Raises:
        SettingsError: The file cannot be read, or a line of it.
    """
    try:
        text = read_own(path, _MOST_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        cure = "write one with `tagstream bench-model --write FILE`"
        raise SettingsError(f"the profile {path} cannot be read ({error}): {cure}") from error
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, equals, value = line.strip().partition("=")
        if not equals or name not in known:
            raise SettingsError(f"{path}:{number}: {line.strip()!r} must be NAME=value of a worker's setting")
        found[name] = value
    return found


def write_profile(path: Path, remark: str, values: Mapping[str, str]) -> None:
    """Write a profile.

    Raises:
        OSError: It cannot be written.
    """
    lines = [f"# {line}" for line in remark.splitlines()] + [
        f"{name}={value}" for name, value in values.items()
    ]
    replace_own(path, ("\n".join(lines) + "\n").encode())
