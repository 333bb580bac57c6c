"""Reading files below folders that an operator named: what is there and nowhere else, whoever wrote the name.

Each name is opened in the folder before it and is never a link, so that no name and no change meanwhile leads
out. A folder that another machine serves may never answer: reading has threads of its own, some per root.
"""

import contextlib
import errno
import functools
import os
import stat
from collections.abc import Iterator

from streams.fetch.dedicated_threads import DedicatedThreads
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.room.admission import Admission
from streams.fetch.roots import RootedFile
from streams.fetch.urls import shown, too_large

_NOT_THERE = frozenset(
    {
        errno.EACCES, errno.EILSEQ, errno.EINVAL, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENODEV,
        errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EPERM,
    }
)  # fmt: skip
_RULE = "only a regular file is read, through no link, which is there and which the worker's user may read"


class SourceFiles:
    """Reads files, at most `limit` of a root at once, those that nobody waits for any more included."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._threads: dict[str, DedicatedThreads] = {}

    async def read(self, file: RootedFile, max_bytes: int, admission: Admission) -> bytes:
        """Read a file's bytes.

        Raises:
            SourceGoneError: There is no such file, or it has more than `max_bytes`.
            SourceBusyError: It cannot be read now.
        """
        threads = self._threads.setdefault(file.root, DedicatedThreads(self._limit))
        try:
            size = await threads.run(functools.partial(_size, file))
            if size > max_bytes:
                raise too_large(file.url, max_bytes)
            await admission.expect(size)
            data = await threads.run(functools.partial(_content, file, size))
        except OSError as error:
            raise _fault(error, file) from error
        await admission.take(len(data))
        return data


def _size(file: RootedFile) -> int:
    with _opened(file) as descriptor:
        return os.fstat(descriptor).st_size


def _content(file: RootedFile, size: int) -> bytes:
    """Read no more than there is room for."""
    with _opened(file) as descriptor, os.fdopen(descriptor, "rb", closefd=False) as stream:
        data = stream.read(size + 1)
    if len(data) != size:
        raise SourceBusyError("connection_failed", f"{shown(file.url)} changed while it was read")
    return data


@contextlib.contextmanager
def _opened(file: RootedFile) -> Iterator[int]:
    with _folder_of(file) as folder:
        name = file.names[-1]
        _check_kind(os.stat(name, dir_fd=folder, follow_symlinks=False))  # opening a device may do something
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY  # a pipe would wait for its writer
        descriptor = os.open(name, flags, dir_fd=folder)
    try:
        _check_kind(os.fstat(descriptor))
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _folder_of(file: RootedFile) -> Iterator[int]:
    flags = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)  # to pass through takes no right to list
    try:
        folder = os.open(file.folder, flags)  # the operator's own path may lead through links
    except OSError as error:
        message = f"{file.root}, which TAGSTREAM_SOURCE_ROOTS names, cannot be opened: {error.strerror}"
        raise SourceBusyError("connection_failed", message) from error
    try:
        for name in file.names[:-1]:
            below = os.open(name, flags | os.O_NOFOLLOW, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def _check_kind(found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "no regular file")


def _fault(error: OSError, file: RootedFile) -> SourceError:
    message = f"{shown(file.url)}: {error.strerror}"
    if error.errno in _NOT_THERE:
        return SourceGoneError("unreadable_file", f"{message}; {_RULE}")
    return SourceBusyError("connection_failed", message)
