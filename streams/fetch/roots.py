"""Folders and buckets that an operator names as sources; what lies below one of them may be fetched.

A URL is split into names before anything is looked for, and whole names are compared. So a name that could
lead up again is refused wherever it stands, and who asks for what is outside learns nothing about it.
"""

import re
import urllib.parse
from dataclasses import dataclass

import httpx

from schemas.errors import SettingsError
from streams.fetch.errors import SourceGoneError
from streams.fetch.urls import check_url, shown

MAX_URL = 12_288  # a path of 4096 bytes, the most that Linux takes, with each of them percent-encoded
FILE = "file"
_SETTING = "TAGSTREAM_SOURCE_ROOTS"
SIGNED = frozenset({"s3", "gs", "az"})
"""Schemes of buckets that may be read with credentials."""

_NOT_FOR_BUCKETS = frozenset({"http", "https", "data", FILE})
_URL = re.compile(r"([a-z][a-z0-9+.-]{0,31})://([a-z0-9._:$-]{0,255})((?:/[^?#]*)?)", re.IGNORECASE)
_HALF_ENCODED = re.compile(r"%(?![0-9a-f]{2})", re.IGNORECASE)
# Up, or nowhere, also for servers that read a \\ as a / and skip what follows a semicolon.
_STEP = re.compile(rb"(?:^|[/\\])\.\.?(?:;[^/\\]*)?(?:[/\\]|\Z)")
_ENTRY = re.compile(r"(.*?)=(https?://.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Location:
    """Where a URL leads.

    Attributes:
        scheme: Its scheme, in lower case.
        authority: Host or bucket.
        parts: The parts of its path, as they are written.
        names: The same, decoded.
    """

    scheme: str
    authority: str
    parts: tuple[str, ...]
    names: tuple[bytes, ...]

    @classmethod
    def parse(cls, url: str) -> "Location":
        """Split a URL.

        Raises:
            ValueError: It is none that can be read in one way only; the message says why.
        """
        found = _URL.fullmatch(url) if len(url) <= MAX_URL else None
        if found is None:
            form = f"scheme://name/path, at most {MAX_URL} characters, with ? and # as %3F and %23"
            raise ValueError(f"it needs the form {form}")
        scheme, authority, path = found.groups()
        parts = tuple(path[1:].split("/")) if path else ()
        if _HALF_ENCODED.search(path):
            raise ValueError("two hexadecimal digits follow a %, which is itself written %25")
        names = tuple(map(urllib.parse.unquote_to_bytes, parts))
        twice = map(urllib.parse.unquote_to_bytes, names)  # by a server that decodes once more than it should
        if any(b"\0" in name or _STEP.search(name) for name in (*names, *twice)):
            raise ValueError("no part of a path may be . or .. or hold a null, encoded or not")
        scheme = scheme.lower()
        if scheme == FILE:
            if authority.lower() not in {"", "localhost"}:
                raise ValueError("files have no host: three slashes follow file:")
            if b"" in names or any(b"/" in name for name in names):
                raise ValueError("each part of a file's path has a name without a slash")
            authority = ""
        return cls(scheme, authority, parts, names)


@dataclass(frozen=True)
class Root:
    """A folder or bucket that the operator named.

    Attributes:
        url: Its own URL, without a slash at its end.
        base: Where a bucket is to be had over HTTP, without a slash at its end; empty: it is a folder, or
            a bucket that is read with credentials.
        location: Where `url` leads.
    """

    url: str
    base: str
    location: Location

    @property
    def is_signed(self) -> bool:
        """Whether it is a bucket that is read by its own protocol, with credentials of the environment."""
        return not self.base and self.location.scheme != FILE

    def holds(self, location: Location) -> bool:
        """Whether something lies below this root."""
        own, names = self.location, location.names
        same = (own.scheme, own.authority) == (location.scheme, location.authority)
        return same and len(names) > len(own.names) and names[: len(own.names)] == own.names


@dataclass(frozen=True)
class RootedFile:
    """A file below a folder that the operator named.

    Attributes:
        url: Its URL.
        root: The folder's URL.
        folder: The folder's path.
        names: The names of folders below it that lead to the file, and its own.
    """

    url: str
    root: str
    folder: bytes
    names: tuple[bytes, ...]


@dataclass(frozen=True)
class BucketObject:
    """An object in a bucket that is read with credentials.

    Attributes:
        url: Its URL.
        bucket: The bucket's.
        key: Its key.
    """

    url: str
    bucket: str
    key: str


@dataclass(frozen=True)
class SourceRoots:
    """All roots; none by default."""

    roots: tuple[Root, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "SourceRoots":
        """Read `file:///FOLDER`, `s3://BUCKET[/PREFIX]` and `SCHEME://BUCKET[/PREFIX]=http(s)://BASE[/PATH]`.

        They are separated by commas.

        Raises:
            SettingsError: An entry is none of these, or there twice.
        """
        roots = tuple(_root(entry) for entry in filter(None, map(str.strip, text.split(","))))
        places = [(root.location.scheme, root.location.authority, root.location.names) for root in roots]
        for root, place in zip(roots, places, strict=True):
            if places.count(place) > 1:
                raise SettingsError(f"{_SETTING} names {root.url!r} more than once; name each root once")
        return cls(roots)

    def http_url(self, url: str) -> str:
        """The URL under which an object in a bucket is fetched; any other URL as it is.

        Raises:
            SourceGoneError: It lies in none of the buckets.
        """
        if url.partition(":")[0].lower() not in {root.location.scheme for root in self.roots if root.base}:
            return url
        root, location = self._find(url)
        parts = location.parts[len(root.location.parts) :]
        if not any(parts):
            raise SourceGoneError("invalid_url", f"{shown(url)} names a bucket and no object in it")
        return "/".join((root.base, *parts))

    def object_at(self, url: str) -> BucketObject | None:
        """The object that a URL names in a bucket that is read with credentials; None: it is in none.

        Raises:
            SourceGoneError: It lies in none of the buckets, or names none of their objects.
        """
        scheme = url.partition(":")[0].lower()
        if scheme not in {root.location.scheme for root in self.roots if root.is_signed}:
            return None
        root, location = self._find(url)
        if not root.is_signed:
            return None
        try:
            key = b"/".join(location.names).decode()
        except UnicodeDecodeError:
            raise SourceGoneError("invalid_url", f"{shown(url)}: the key of an object is UTF-8") from None
        if not key or key.endswith("/"):
            raise SourceGoneError("invalid_url", f"{shown(url)} names a bucket and no object in it")
        return BucketObject(url, f"{location.scheme}://{location.authority}", key)

    def file_at(self, url: str) -> RootedFile:
        """The file that a URL names.

        Raises:
            SourceGoneError: It lies in none of the folders.
        """
        root, location = self._find(url)
        depth = len(root.location.names)
        folder = b"/" + b"/".join(root.location.names)
        return RootedFile(url, root.url, folder, location.names[depth:])

    def _find(self, url: str) -> tuple[Root, Location]:
        try:
            location = Location.parse(url)
        except ValueError as error:
            raise SourceGoneError("invalid_url", f"{shown(url)}: {_reason(error)}") from error
        holding = [root for root in self.roots if root.holds(location)]
        if not holding:
            message = f"{shown(url)} lies in none of the folders and buckets that {_SETTING} names"
            raise SourceGoneError("invalid_url", message)
        return max(holding, key=lambda root: len(root.location.names)), location


def _root(entry: str) -> Root:
    mapped = _ENTRY.fullmatch(entry)
    named, base = mapped.groups() if mapped else (entry, "")
    named = named.removesuffix("/") if named.count("/") > len("//") else named
    base = base.rstrip("/")
    try:
        return Root(named, base, _bucket(named, base) if base else _folder(named))
    except (ValueError, SourceGoneError) as error:
        value = "=".join(map(shown, mapped.groups() if mapped else entry.split("=", 1)))
        cure = "write file:///srv/photos or s3://photos=https://photos.example.com"
        raise SettingsError(f"{_SETTING}: {value} is no root ({_reason(error)}); {cure}") from error


def _folder(url: str) -> Location:
    scheme, hierarchy, _ = url.partition("://")
    if hierarchy and scheme.lower() in SIGNED and "=" not in url:
        location = Location.parse(url)
        if not location.authority:
            raise ValueError(f"{scheme}:// is no bucket's name")
        return location
    if hierarchy and scheme.lower() != FILE:
        raise ValueError("a bucket needs =http(s)://, where it is to be had")
    location = Location.parse(url)
    if not location.names:
        raise ValueError("it is the whole file system; name a folder")
    return location


def _bucket(url: str, base: str) -> Location:
    location = Location.parse(url)
    if location.scheme in _NOT_FOR_BUCKETS or not location.authority:
        raise ValueError(f"{location.scheme}://{location.authority} is no bucket's name")
    try:
        check_url(httpx.URL(base))
    except httpx.InvalidURL as error:
        raise ValueError(f"{error!s:.100}") from error
    if "?" in base or "#" in base:
        raise ValueError("what is appended to cannot end in a query or fragment")
    return location


def _reason(error: Exception) -> str:
    return "it is no text" if isinstance(error, UnicodeError) else str(error)
