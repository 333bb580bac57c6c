"""URLs of images: which of them are for us, and what logs may tell of them."""

import re

import httpx

from streams.fetch.errors import SourceGoneError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")  # nothing that two parsers could read differently
_HIERARCHY = re.compile(r"[a-z][a-z0-9+.-]{0,63}:/+", re.IGNORECASE)


def shown(url: str) -> str:
    """A URL fit for logs and messages: no credentials, no query, not endless, on one line."""
    if url[:5].lower() == "data:":
        return "data:…"
    bare = url.partition("?")[0].partition("#")[0]
    start = _HIERARCHY.match(bare)
    if start is None:  # whatever this is, what comes before an @ may be a password
        text = repr(bare.rpartition("@")[2][:64])
    else:
        authority, slash, path = bare[start.end() :].partition("/")
        text = start[0] + authority.rpartition("@")[2] + slash + path
    return "".join(sign if sign.isprintable() else "\ufffd" for sign in text[:200])


def host_of(url: httpx.URL) -> str:
    """The host as it will be looked up; `URL.host` would decode it, and fails on bad Punycode."""
    return url.raw_host.decode("ascii").lower()


def check_url(url: httpx.URL) -> int:
    """Refuse a URL that is not fetched; return its port.

    Raises:
        SourceGoneError: It is not for us.
    """
    if url.scheme not in {"http", "https"}:
        rule = "only http, https, data and what TAGSTREAM_SOURCE_ROOTS names are fetched"
        raise SourceGoneError("invalid_url", f"scheme {url.scheme[:64]!r}: {rule}")
    if not url.raw_host:
        raise SourceGoneError("invalid_url", "the URL names no host")
    if url.userinfo:
        raise SourceGoneError("invalid_url", "credentials in a URL are refused; use a signed URL")
    if not _HOST.fullmatch(host_of(url)):
        raise SourceGoneError("invalid_url", f"{shown(str(url))}: no host has such a name")
    port = url.port if url.port is not None else _DEFAULT_PORTS[url.scheme]
    if not 0 < port < 2**16:
        raise SourceGoneError("invalid_url", f"{shown(str(url))}: ports go from 1 to 65535")
    return port


def too_large(url: str, limit: int) -> SourceGoneError:
    """The error for an image of more bytes than are fetched."""
    return SourceGoneError("image_too_large", f"{shown(url)} has more than {limit} bytes")
