"""A folder that appears whole under its name, or not at all."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from schemas.errors import SettingsError
from streams.export.files import sync


@contextlib.contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """A folder to write into, beside the target; where all went well it gets the target's name.

    What a killed export has left there is removed first. Two exports to one name exclude each other.

    Raises:
        SettingsError: The target is there, or is being written.
        OSError: The folder cannot be made, or renamed.
    """
    target = target.absolute()
    partial = target.with_name(f".{target.name}.partial")
    if os.path.lexists(target):
        raise SettingsError(f"{target} is there already; name another folder, or move it away")
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target.with_name(f".{target.name}.lock"), target):
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            yield partial
            sync(partial)
            partial.rename(target)
            sync(target.parent)
        finally:
            shutil.rmtree(partial, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path, target: Path) -> Iterator[None]:
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"{target} is being written by another export; name another folder") from None
        yield
        path.unlink(missing_ok=True)
