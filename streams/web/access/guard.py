"""The guard at the door of the query API: it decides from a request's headers and address."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from schemas.errors import SettingsError
from streams.web.access.callers import ANYBODY, Caller
from streams.web.access.hosts import Hosts, is_loopback
from streams.web.access.pricing import Purse
from streams.web.access.query_gate import QueryGate
from streams.web.access.rates import Rates, network_of
from streams.web.access.refusals import TooOftenError, UnknownCallerError
from streams.web.access.token_file import TokenFile
from streams.web.access.tokens import is_token

_HOW = "send `Authorization: Bearer TOKEN`"


class AccessSettings(Protocol):
    """Who may ask, how much: see `streams.app.settings.Settings`."""

    @property
    def web_host(self) -> str:
        """Address that the query API listens on."""

    @property
    def web_names(self) -> str:
        """Host names under which it may be asked besides localhost, separated by commas."""

    @property
    def tokens(self) -> Path | None:
        """File of the tokens that may ask."""

    @property
    def open_api(self) -> bool:
        """Whether anybody may ask on an address that others reach."""

    @property
    def rate_limit(self) -> float:
        """Questions per second of one token or address; 0: no limit."""

    @property
    def rate_burst(self) -> int:
        """Questions that may come at once within that."""

    @property
    def max_queries(self) -> int:
        """Most questions in work."""

    @property
    def query_timeout(self) -> float:
        """Seconds after which a question is given up."""

    @property
    def query_share(self) -> float:
        """Seconds of CPU time per second that the questions of one token may take; 0: no limit."""


def check_reach(settings: AccessSettings) -> None:
    """Make sure that somebody said who may ask where others reach the API.

    Raises:
        SettingsError: Nobody did.
    """
    if settings.tokens is None and not settings.open_api and not is_loopback(settings.web_host):
        raise SettingsError(
            f"TAGSTREAM_WEB_HOST={settings.web_host!r} lets others ask; name a file of tokens in "
            "TAGSTREAM_TOKENS (`tagstream token new` makes one), listen on 127.0.0.1, "
            "or say TAGSTREAM_OPEN_API=true if anybody may ask"
        )


class Guard:
    """Knows callers, hosts and limits. Without arguments: anybody on this machine, as often as they like.

    Attributes:
        gate: What limits the work at once.
    """

    def __init__(
        self,
        tokens: TokenFile | None = None,
        hosts: Hosts | None = None,
        rates: Rates | None = None,
        gate: QueryGate | None = None,
    ) -> None:
        self._tokens = tokens
        self._hosts = hosts or Hosts()
        self._rates = rates or Rates(0, 1, time.monotonic)
        self.gate = gate or QueryGate(most=8, seconds=10.0)

    @classmethod
    def of(cls, settings: AccessSettings, clock: Callable[[], float] = time.monotonic) -> "Guard":
        """Make the guard that an operator asks for.

        Raises:
            SettingsError: Others would reach the API and nobody said who may, or the tokens cannot be used.
        """
        check_reach(settings)
        tokens = None if settings.tokens is None else TokenFile(settings.tokens, clock)
        return cls(
            tokens,
            Hosts.of(settings.web_host, settings.web_names, tokens=tokens is not None),
            Rates(settings.rate_limit, settings.rate_burst, clock),
            QueryGate(settings.max_queries, settings.query_timeout, Purse(settings.query_share, clock)),
        )

    def check_host(self, hosts: Sequence[str]) -> None:
        """Refuse a request for another host.

        Args:
            hosts: The request's `Host` headers.

        Raises:
            WrongHostError: It is for none of ours.
        """
        self._hosts.check(hosts)

    def admit(self, authorizations: Sequence[str], peer: str) -> Caller:
        """Let a caller in who is known and does not ask too often.

        Args:
            authorizations: The request's `Authorization` headers.
            peer: Address of whoever asks.

        Raises:
            UnknownCallerError: A token is needed, and this is none.
            TooOftenError: It is too soon.
        """
        try:
            caller = self._identify(authorizations)
        except UnknownCallerError:
            self.count(None, peer)
            raise
        self.count(caller, peer)
        return caller

    def recognize(self, authorizations: Sequence[str]) -> Caller | None:
        """Give the caller if it is known; None: a stranger, where tokens are needed."""
        try:
            return self._identify(authorizations)
        except UnknownCallerError:
            return None

    def count(self, caller: Caller | None, peer: str) -> None:
        """Count one request of a caller, or of an address.

        Raises:
            TooOftenError: It is too soon.
        """
        key = f"token {caller.name}" if caller and caller.name else f"peer {network_of(peer)}"
        seconds = self._rates.take(key)
        if seconds:
            message = f"too many questions; ask again in {max(seconds, 0.001):.3f} s (TAGSTREAM_RATE_LIMIT)"
            raise TooOftenError(message, seconds)

    def _identify(self, authorizations: Sequence[str]) -> Caller:
        if self._tokens is None:
            return ANYBODY
        if not authorizations:
            raise UnknownCallerError("token_missing", f"a token is needed; {_HOW}")
        scheme, _, token = authorizations[0].strip().partition(" ")
        token = token.strip()
        if len(authorizations) > 1 or scheme.lower() != "bearer" or not is_token(token):
            raise UnknownCallerError("invalid_token", f"Authorization holds no bearer token; {_HOW}")
        caller = self._tokens.find(token)
        if caller is None:
            raise UnknownCallerError("invalid_token", "this token is not known here, or no longer")
        return caller
