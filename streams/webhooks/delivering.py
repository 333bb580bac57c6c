"""Sending one notification: signed with its cloud's key, and what becomes of it."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from streams.fetch.errors import SourceBusyError, SourceGoneError
from streams.fetch.urls import shown
from streams.webhooks.backoff import Backoff
from streams.webhooks.lanes import Turn
from streams.webhooks.messages.signing import SigningKey, signed_headers
from streams.webhooks.outbox import Letter
from streams.webhooks.rows import PendingRow, encode

log = logging.getLogger(__name__)

_NOT_ASKED = "circuit_open"
_MAX_MESSAGE = 1000
_MAX_ASKED = 3600.0  # seconds that a receiver may make us wait
REASON, MESSAGE, FAILED = "tagstream.reason", "tagstream.message", "tagstream.failed-at"


class Posts(Protocol):
    """What sends: see `streams.fetch.sending.poster.Poster`."""

    async def post(
        self, url: str, body: bytes, headers: Mapping[str, str], subject: str, sender: str
    ) -> None:
        """Send a body."""


class Receivers(Protocol):
    """Who is told, and with whose key: what the operator says of clouds."""

    def urls(self, cloud: str) -> Sequence[str]:
        """Where a cloud's notifications go whose events name no address."""

    def key(self, cloud: str, wanted: str | None) -> SigningKey | None:
        """The key that signs a cloud's notifications: the wanted one, if it is there. None: there is none."""


class Result(StrEnum):
    """What became of an attempt."""

    DELIVERED = "delivered"
    FAILED = "failed"
    POSTPONED = "postponed"
    GIVEN_UP = "given_up"


class Attempt(NamedTuple):
    """An attempt and what became of it.

    Attributes:
        wait: Seconds until the next one.
        letter: The dead letter, where it is given up.
    """

    result: Result
    wait: float = 0.0
    letter: Letter | None = None


class Deliverer:
    """Sends notifications. Knows nothing of their order."""

    def __init__(
        self,
        posts: Posts,
        receivers: Receivers,
        backoff: Backoff,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._posts = posts
        self._receivers = receivers
        self._backoff = backoff
        self._clock = clock

    async def deliver(self, turn: Turn) -> Attempt:
        """Send a notification once."""
        row = turn.row
        key = self._receivers.key(row.cloud, row.api_key)
        if key is None:
            message = f"cloud {row.cloud!r} has no key that could sign it; name one in the credentials file"
            return Attempt(Result.GIVEN_UP, letter=self.letter(row, "no_key", message))
        body = msgspec.json.encode(row.body | {"signature_key": key.key})
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "tagstream",
            "Idempotency-Key": f"{row.body.get('request_id', row.key)}",
            **signed_headers(body, int(self._clock()), key),
        }
        try:
            await self._posts.post(row.url, body, headers, row.asset, row.cloud)
        except SourceGoneError as error:
            return Attempt(Result.GIVEN_UP, letter=self.letter(row, error.code, str(error)))
        except SourceBusyError as error:
            return self._failed(turn, error)
        return Attempt(Result.DELIVERED)

    def _failed(self, turn: Turn, error: SourceBusyError) -> Attempt:
        row, asked = turn.row, min(error.retry_after or 0.0, _MAX_ASKED)
        if self._backoff.gives_up(self._clock() - row.since / 1000):
            return Attempt(Result.GIVEN_UP, letter=self.letter(row, error.code, str(error)))
        if error.code == _NOT_ASKED:
            return Attempt(Result.POSTPONED, asked + self._backoff.wait(row.sequence, 1))
        attempt = turn.attempts + 1
        if attempt == 1:
            log.warning("notification %s of %r is not taken, and sent again: %s", row.kind, row.asset, error)
        return Attempt(Result.FAILED, max(self._backoff.wait(row.sequence, attempt), asked))

    def letter(self, row: PendingRow, reason: str, message: str) -> Letter:
        """The dead letter of a notification."""
        log.error("notification %s of %r to %s is given up: %s", row.kind, row.asset, shown(row.url), message)
        told = {REASON: reason, MESSAGE: message[:_MAX_MESSAGE], FAILED: str(int(self._clock() * 1000))}
        headers = [(name, text.encode(errors="replace")) for name, text in told.items()]
        return Letter(row.letter or letter_key(row), encode(row), headers)


def letter_key(row: PendingRow) -> str:
    """The key of a notification's dead letter: the same however often it is sent again."""
    return f"{row.body.get('request_id', '')}-{row.key}"
