"""The query API over HTTP, as the commands ask it."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import TracebackType
from typing import Generic, Self, TypeVar

import httpx
import msgspec

from schemas.answers.trends import Answer, Problem
from streams.app.exit import EXIT_UNUSABLE

A_co = TypeVar("A_co", bound=Answer, covariant=True)
A = TypeVar("A", bound=Answer)

_TIMEOUT = httpx.Timeout(30.0, connect=5.0)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_CURE = "start `tagstream worker` or `tagstream run`, or say where one is with --api or TAGSTREAM_API"
_TOKEN_CURE = "say one with --token or TAGSTREAM_TOKEN"  # noqa: S105 - no secret


class NoAnswerError(Exception):
    """The API could not be asked: something must be changed first. The message names fault and cure."""

    exit_code = EXIT_UNUSABLE


class RefusedError(NoAnswerError):
    """The API does not answer this question; the message is its reason."""

    exit_code = 1


@dataclass(frozen=True)
class Received(Generic[A_co]):
    """An answer.

    Attributes:
        answer: What it says.
        line: Its JSON as it came, without line breaks.
    """

    answer: A_co
    line: bytes


class QueryClient:
    """Asks one worker; a context manager. Its methods may be called from several threads."""

    def __init__(self, api: str, token: str | None = None) -> None:
        """Prepare.

        Args:
            api: URL of the query API; without a scheme it is http.
            token: Sent as a bearer token.

        Raises:
            NoAnswerError: The URL or the token is none.
        """
        url = _url(api)
        self.url = str(url.copy_with(userinfo=b"")).rstrip("/")
        headers = {"accept": "application/json"}
        if token:
            if not (token.isascii() and token.isprintable()):
                raise NoAnswerError(f"the token holds a character that no header may; {_TOKEN_CURE}")
            headers["authorization"] = f"Bearer {token}"
        # A proxy is for the world outside, and would not find this machine's loopback.
        trust_env = url.host not in _LOOPBACK
        self._http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT, trust_env=trust_env)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, parameters: Sequence[tuple[str, str]], kind: type[A]) -> Received[A]:
        """Ask a question.

        Args:
            path: Path of the route, quoted.
            parameters: Names and texts; a name may come several times.
            kind: Type of the answer.

        Raises:
            RefusedError: The API gives a reason instead of an answer.
            NoAnswerError: It cannot be reached, or is something else.
        """
        try:
            response = self._http.get(path, params=list(parameters))
        except httpx.TimeoutException as error:
            raise NoAnswerError(
                f"no answer from {self.url} in time ({type(error).__name__}); {_CURE}"
            ) from error
        except (httpx.RequestError, httpx.InvalidURL) as error:
            raise NoAnswerError(f"no query API at {self.url} ({error}); {_CURE}") from error
        if response.status_code != HTTPStatus.OK:
            raise self._refusal(response)
        try:
            answer = msgspec.json.decode(response.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise self._stranger(response) from error
        return Received(answer, response.content.replace(b"\r", b"").replace(b"\n", b""))

    def _refusal(self, response: httpx.Response) -> NoAnswerError:
        try:
            reason = msgspec.json.decode(response.content, type=Problem).reason
        except (msgspec.MsgspecError, UnicodeDecodeError):
            reason = None
        if reason is not None and response.status_code != HTTPStatus.UNAUTHORIZED:
            return RefusedError(reason)
        if response.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            said = f": {reason}" if reason else ""
            return NoAnswerError(
                f"{self.url} does not let you in ({response.status_code}{said}); {_TOKEN_CURE}"
            )
        return self._stranger(response)

    def _stranger(self, response: httpx.Response) -> NoAnswerError:
        kind = response.headers.get("content-type", "no content type")
        return NoAnswerError(
            f"{self.url} is no query API of this version: it answers {response.request.url.path} "
            f"with {response.status_code} and {kind}; say another with --api or TAGSTREAM_API"
        )


def _url(api: str) -> httpx.URL:
    try:
        url = httpx.URL(api if "://" in api else f"http://{api}")
    except httpx.InvalidURL as error:
        fault = str(error)
    else:
        fault = "" if url.scheme in {"http", "https"} and url.host else "it needs http or https, and a host"
    if fault:
        raise NoAnswerError(f"{api!r} is no URL of a query API ({fault}); such as http://127.0.0.1:6066")
    return url
