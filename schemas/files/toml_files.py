"""Files of the operator in TOML, and faults that name the file."""

import tomllib
from pathlib import Path
from typing import Any

from schemas.errors import SettingsError


class FileFaultsError(SettingsError):
    """A file of the operator cannot be used.

    Attributes:
        faults: Each with its key, the value, the rule that it breaks, and the cure.
    """

    what = "file"
    """What the file holds, as messages say it."""
    most_bytes = 1_000_000
    """Larger ones are refused."""

    def __init__(self, path: Path, faults: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {fault}" for fault in faults))
        self.faults = faults


def read_bounded(path: Path, error: type[FileFaultsError]) -> bytes:
    """Read what is in a file, one byte more than is allowed at most.

    Raises:
        FileFaultsError: It cannot be read; of the kind that was named.
    """
    try:
        with path.open("rb") as file:
            return file.read(error.most_bytes + 1)
    except OSError as fault:
        told = f"the {error.what} cannot be read ({fault.strerror}); create the file, or name another"
        raise error(path, [told]) from None


def check_size(raw: bytes, path: Path, error: type[FileFaultsError]) -> None:
    """Refuse a file that is too large.

    Raises:
        FileFaultsError: It is.
    """
    if len(raw) > error.most_bytes:
        told = f"the {error.what} take more than {error.most_bytes} bytes; keep fewer of them"
        raise error(path, [told])


def parse_toml(raw: bytes, path: Path, error: type[FileFaultsError], cure: str) -> dict[str, Any]:
    """Read TOML.

    Args:
        raw: The file's bytes.
        path: Where they are from, for the messages.
        error: What is raised.
        cure: What to do where it is none.

    Raises:
        FileFaultsError: It is no TOML, or no UTF-8.
    """
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        raise error(path, [f"byte {fault.start} is no UTF-8; save the file as UTF-8"]) from None
    except (tomllib.TOMLDecodeError, RecursionError) as fault:
        told = f"no TOML: {fault}; {cure}; https://toml.io describes the format"
        raise error(path, [told]) from None
