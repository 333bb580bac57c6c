"""What a source's response, or its lack of one, means for the upload."""

import re
import time
from email.utils import parsedate_to_datetime

import aiohttp
import httpx

from streams.fetch.errors import SourceBusyError, SourceError, SourceGoneError
from streams.fetch.urls import shown

MAX_RETRY_AFTER = 86_400.0
_BUSY_STATUSES = frozenset({202, 408, 423, 425, 429})  # 202, 423, 425: it is being made
_UNPACKED = frozenset({"gzip", "x-gzip", "deflate"})
_COMPRESSIONS = frozenset({"gzip", "x-gzip", "deflate", "compress", "x-compress", "br", "zstd"})


def redirect_target(response: httpx.Response) -> str:
    """The URL that a redirect leads to.

    Raises:
        SourceGoneError: There is none.
    """
    location = response.headers["location"]
    try:
        return str(response.request.url.join(location))
    except (httpx.InvalidURL, ValueError) as error:
        message = f"redirect to {shown(location)}: {error!s:.100}"
        raise SourceGoneError("invalid_url", message) from error


def check_response(response: httpx.Response) -> None:
    """Let only those answers pass whose body is the image.

    Raises:
        SourceGoneError: The image cannot be had.
        SourceBusyError: It cannot be had now.
    """
    if response.status_code != httpx.codes.OK:
        raise _refusal(response)
    codings = _codings(response)
    if not _UNPACKED.issuperset(codings) or len(codings) > 1:
        message = (
            f"{shown(str(response.url))} is compressed ({', '.join(codings):.64}), though identity was asked"
        )
        raise SourceGoneError("invalid_answer", message)


def is_packed(response: httpx.Response) -> bool:
    """Whether the image's bytes are stored compressed, and sent so whatever is asked."""
    return bool(_codings(response))


def _codings(response: httpx.Response) -> list[str]:
    """The compressions of an answer's body; what is no compression says nothing of it."""
    named = re.split(r"[,\s]+", response.headers.get("content-encoding", "").lower())
    return [name for name in named if name in _COMPRESSIONS]


def _refusal(response: httpx.Response) -> SourceError:
    status = response.status_code
    message = f"status {status} from {shown(str(response.url))}"
    if status in _BUSY_STATUSES or status >= httpx.codes.INTERNAL_SERVER_ERROR:
        return SourceBusyError(
            f"http_{status}", message, retry_after_of(response.headers.get("retry-after", ""))
        )
    return SourceGoneError(f"http_{status}", message)


def retry_after_of(text: str) -> float | None:
    """Read the seconds or the date until which a source wants to be left alone."""
    try:
        numeric = text.isascii() and text.isdigit()
        seconds = float(text) if numeric else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def source_fault(error: Exception, url: str) -> SourceError:
    """Turn what the client raised into a source's fault.

    Messages tell the error's class: its text may hold the whole URL.
    """
    detail = getattr(error, "strerror", None)
    message = f"{shown(url)}: {type(error).__name__}" + (f" ({detail!s:.100})" if detail else "")
    if isinstance(error, aiohttp.InvalidURL):
        return SourceGoneError("invalid_url", message)
    if isinstance(error, aiohttp.ClientSSLError):  # also a ValueError where a certificate was not renewed
        return SourceBusyError("connection_failed", message)
    if isinstance(error, (ValueError, aiohttp.ClientResponseError)):
        return SourceGoneError("invalid_answer", message)
    return SourceBusyError("connection_failed", message)
