"""The object store: bytes under keys, in a folder or in a bucket, through obstore.

Gateways write to it, workers read from it. What lies in it has the URL `store:///KEY`, which is the same for
all of them and leads nowhere else: a key is made of plain names, and there is one store.
"""

import functools
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import obstore
from obstore.exceptions import BaseError, NotFoundError, PermissionDeniedError, UnauthenticatedError
from obstore.store import LocalStore, from_url

from schemas.errors import SettingsError
from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.room.admission import Admission
from streams.fetch.roots import BucketObject
from streams.fetch.urls import shown, too_large

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Store

SCHEME = "store"
THUMBNAILS = "_thumbnails/"  # no cloud has such a name
_SETTING = "TAGSTREAM_OBJECT_STORE"
_FORMS = (
    "a folder, file:///FOLDER, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX or https://HOST"
)
_SCHEMES = frozenset({"file", "s3", "s3a", "gs", "az", "azure", "adl", "abfs", "abfss", "http", "https"})
_MAX_KEY = 512
_NAME = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
_KEY = re.compile(rf"{_NAME}(?:/{_NAME})*")
_UNFINISHED = re.compile(r"#\d+$")  # how obstore names a file that is not whole
_PIECE = 1024 * 1024  # bytes that are handed on at a time
_PART = 5 * 1024 * 1024  # bytes of a part of what is written: the least that S3 takes
_FILE_PART = 256 * 1024  # the same in a folder: what writers hold in memory, and there may be hundreds
_CLIENT: Any = {
    "timeout": timedelta(seconds=60),
    "connect_timeout": timedelta(seconds=5),
    "allow_http": True,  # where the operator's endpoint is one, as MinIO's often is
}
_RETRIES: Any = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}


class StoredObject(NamedTuple):
    """What is known of an object. `changed_at` is in seconds since the epoch."""

    key: str
    size: int
    changed_at: float


class ObjectStore:
    """A folder or a bucket of objects. What is in it is never changed in place.

    Attributes:
        place: Where it is, as the operator says.
        folder: The folder that it is; None: it is a bucket.
    """

    def __init__(self, place: str, folder: Path | None) -> None:
        self.place = place
        self.folder = folder
        if folder is None:
            _ = self._store

    @classmethod
    def parse(cls, place: str, data_dir: Path) -> "ObjectStore":
        """Read the setting; empty: a folder in the data directory.

        Raises:
            SettingsError: It names no store, or one that is set up wrongly.
        """
        scheme, hierarchy, rest = place.partition("://")
        if not place or not hierarchy:
            folder = Path(place) if place else data_dir / "objects"
            return cls(place or str(folder), folder.absolute())
        if scheme.lower() not in _SCHEMES:
            raise SettingsError(f"{_SETTING}={place!r}: {scheme[:32]!r} is no kind of store; name {_FORMS}")
        if scheme.lower() == "file":
            if not rest.startswith("/"):
                raise SettingsError(f"{_SETTING}={place!r}: three slashes follow file:; name {_FORMS}")
            return cls(place, Path(rest))
        try:
            return cls(place, None)
        except (BaseError, ValueError, TypeError) as error:
            told = str(error).partition("\n")[0]
            raise SettingsError(f"{_SETTING}={shown(place)}: {told}; name {_FORMS}") from error

    @functools.cached_property
    def _store(self) -> "Store":
        if self.folder is not None:
            return LocalStore(self.folder, mkdir=True)
        return from_url(self.place, client_options=_CLIENT, retry_config=_RETRIES)

    async def fetch(self, url: str, max_bytes: int, admission: Admission) -> bytes:
        """Read what a URL of ours names.

        Raises:
            SourceGoneError: There is no such object, or it has more than `max_bytes`.
            SourceBusyError: It cannot be read now.
        """
        return await read_object(self._store, key_of(url), url, max_bytes, admission)

    async def read(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Give the bytes of an object, or those from `start` to before `end`, piece by piece.

        Raises:
            FileNotFoundError: There is no such object.
            OSError: It cannot be read now.
        """
        options: Any = {"range": {"offset": start} if end is None else (start, end)} if start or end else {}
        try:
            found = await obstore.get_async(self._store, key, options=options)
            async for piece in found.stream(min_chunk_size=_PIECE):
                yield bytes(piece)
        except BaseError as error:
            raise _as_os_error(error, key) from error

    async def put(self, key: str, data: bytes) -> None:
        """Store an object of few bytes.

        Raises:
            OSError: It cannot be stored now.
        """
        try:
            await obstore.put_async(self._store, key, data, use_multipart=False)
        except BaseError as error:
            raise _as_os_error(error, key) from error

    def writer(self, key: str) -> "ObjectWriter":
        """Begin an object of any size: it is there once the writer is closed, and not before."""
        return ObjectWriter(self._store, key, _PART if self.folder is None else _FILE_PART)

    async def find(self, key: str) -> StoredObject | None:
        """What is known of an object; None: there is none.

        Raises:
            OSError: The store does not answer.
        """
        try:
            return _stored(await obstore.head_async(self._store, key))
        except FileNotFoundError:
            return None
        except BaseError as error:
            raise _as_os_error(error, key) from error

    async def delete(self, key: str) -> None:
        """Remove an object, if it is there.

        Raises:
            OSError: The store does not answer.
        """
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except BaseError as error:
            raise _as_os_error(error, key) from error

    async def list(self, prefix: str = "") -> AsyncIterator[list[StoredObject]]:
        """Give all objects below a prefix, some hundred at a time.

        Raises:
            OSError: The store does not answer.
        """
        try:
            async for objects in obstore.list(self._store, prefix or None, chunk_size=500):
                yield [_stored(each) for each in objects]
        except BaseError as error:
            raise _as_os_error(error, prefix) from error

    def unfinished(self) -> Iterator[Path]:
        """Files of writers that ended with their process; in a bucket its own rules remove such parts."""
        if self.folder is not None and self.folder.is_dir():
            yield from (path for path in self.folder.rglob("*#*") if _UNFINISHED.search(path.name))


class Buckets:
    """Buckets that are read with credentials of the environment, each opened when it is first asked for."""

    def __init__(self) -> None:
        self._stores: dict[str, Store] = {}

    async def fetch(self, found: BucketObject, max_bytes: int, admission: Admission) -> bytes:
        """Read an object.

        Raises:
            SourceGoneError: There is no such object, it may not be read, or it is too large.
            SourceBusyError: It cannot be read now.
        """
        store = self._stores.get(found.bucket)
        if store is None:
            try:
                store = from_url(found.bucket, client_options=_CLIENT, retry_config=_RETRIES)
            except (BaseError, ValueError, TypeError) as error:
                raise _fault(error, found.url) from error
            self._stores[found.bucket] = store
        return await read_object(store, found.key, found.url, max_bytes, admission)


async def read_object(store: "Store", key: str, url: str, max_bytes: int, admission: Admission) -> bytes:
    """Read an object that has room in memory.

    Raises:
        SourceGoneError: There is no such object, it may not be read, or it has more than `max_bytes`.
        SourceBusyError: It cannot be read now.
    """
    try:
        found = await obstore.get_async(store, key)
        size = int(found.meta["size"])
        if size > max_bytes:
            raise too_large(url, max_bytes)
        await admission.expect(size)
        pieces = []
        async for piece in found.stream(min_chunk_size=_PIECE):
            await admission.take(len(piece))
            pieces.append(bytes(piece))
    except (BaseError, OSError) as error:
        raise _fault(error, url) from error
    return b"".join(pieces)


class ObjectWriter:
    """Writes one object as its bytes come, in parts; memory holds a few parts at most."""

    def __init__(self, store: "Store", key: str, part: int) -> None:
        self._key = key
        self._file = obstore.open_writer_async(store, key, buffer_size=part, max_concurrency=2)

    async def write(self, data: bytes) -> None:
        """Take more.

        Raises:
            OSError: It cannot be stored now.
        """
        try:
            await self._file.write(data)
        except BaseError as error:
            raise _as_os_error(error, self._key) from error

    async def close(self) -> None:
        """Make the object be there. One that is not closed never is.

        Raises:
            OSError: It cannot be stored now.
        """
        try:
            await self._file.close()
        except BaseError as error:
            raise _as_os_error(error, self._key) from error


def thumbnail_key(digest: str) -> str:
    """Where the small picture of an image lies, by the digest of the image's bytes."""
    return f"{THUMBNAILS}{digest[:2]}/{digest}.webp"


def url_of(key: str) -> str:
    """The URL of an object, for events."""
    return f"{SCHEME}:///{key}"


def key_of(url: str) -> str:
    """The key that a URL of ours names.

    Raises:
        SourceGoneError: It is none.
    """
    key = url[len(f"{SCHEME}:///") :]
    if url[: len(SCHEME) + 4].lower() != f"{SCHEME}:///" or len(key) > _MAX_KEY or not _KEY.fullmatch(key):
        rule = f"{SCHEME}:///KEY, whose names have letters, digits, _, - and dots within"
        raise SourceGoneError("invalid_url", f"{shown(url)}: an object's URL is {rule}")
    return key


def _stored(meta: Any) -> StoredObject:  # noqa: ANN401 - obstore's mapping
    return StoredObject(meta["path"], int(meta["size"]), meta["last_modified"].timestamp())


def _as_os_error(error: Exception, key: str) -> OSError:
    if isinstance(error, FileNotFoundError):
        return FileNotFoundError(f"object {key} is not there")
    return OSError(f"object {key}: {str(error).partition(chr(10))[0]:.200}")


def _fault(error: Exception, url: str) -> SourceError:
    if isinstance(error, FileNotFoundError | NotFoundError | IsADirectoryError):
        return SourceGoneError("object_missing", f"{shown(url)} is not in the object store")
    told = str(error).partition("\n")[0]
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        status, rule = 403, "the bucket lets nobody with these credentials read it"
        return SourceGoneError(f"http_{status}", f"{shown(url)}: {rule}")
    return SourceBusyError("connection_failed", f"{shown(url)}: {told:.200}")
