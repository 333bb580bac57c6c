"""A process's own files and folders: for its user alone, whatever the umask; and never trusted to be files.

What lies in a data directory may hold addresses with signatures, and may have been damaged or replaced since.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

_FOLDER, _FILE = 0o700, 0o600


def make_own_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, and those above it that are missing likewise.

    Raises:
        OSError: It cannot be made.
    """
    path = path.absolute()
    missing = [each for each in (path, *path.parents) if not each.exists()]
    for folder in reversed(missing):
        folder.mkdir(_FOLDER, exist_ok=True)


def close_to_others(path: Path) -> None:
    """Let nobody else enter a folder that holds nothing but our files, if it is ours.

    Raises:
        OSError: It is not there.
    """
    with suppress(PermissionError):  # a volume that an orchestrator made belongs to somebody else
        path.chmod(stat.S_IMODE(path.stat().st_mode) & _FOLDER)


def create_own(path: Path) -> BinaryIO:
    """Open a new file for writing, in the place of whatever has the name.

    Raises:
        OSError: It cannot be made.
    """
    path.unlink(missing_ok=True)  # a pipe would be waited for, a link followed
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE), "wb")


def replace_own(path: Path, content: bytes) -> None:
    """Write a whole file so that a crash leaves the old one or the new one.

    Raises:
        OSError: It cannot be written.
    """
    draft = path.with_suffix(".draft")
    with create_own(draft) as file:
        file.write(content)
    draft.replace(path)


def open_own(path: Path) -> BinaryIO:
    """Open a file for reading, at once: a pipe has nobody at its other end.

    Raises:
        OSError: It cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    return os.fdopen(descriptor, "rb")


def read_own(path: Path, most: int) -> bytes:
    """Read a file that has so many bytes at most.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger.
    """
    with open_own(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(f"{path} has more than {most} bytes")
    return content
