"""The guard at the door of the query API: it decides from a request's headers and address."""

import time
from collections.abc import Callable, Sequence

from streams.access.callers import ANYBODY, Caller
from streams.access.hosts import Hosts, is_loopback
from streams.access.query_gate import QueryGate
from streams.access.rates import Rates, network_of
from streams.access.refusals import TooOftenError, UnknownCallerError
from streams.access.token_file import TokenFile
from streams.access.tokens import is_token
from streams.errors import SettingsError
from streams.settings import Settings

_HOW = "send `Authorization: Bearer TOKEN`"


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
    def of(cls, settings: Settings, clock: Callable[[], float] = time.monotonic) -> "Guard":
        """Make the guard that an operator asks for.

        Raises:
            SettingsError: Others would reach the API and nobody said who may, or the tokens cannot be used.
        """
        if settings.tokens is None and not settings.open_api and not is_loopback(settings.web_host):
            raise SettingsError(
                f"TAGSTREAM_WEB_HOST={settings.web_host!r} lets others ask: name a file of tokens in "
                "TAGSTREAM_TOKENS (`tagstream token new` makes one), listen on 127.0.0.1, "
                "or say TAGSTREAM_OPEN_API=true if anybody may ask"
            )
        tokens = None if settings.tokens is None else TokenFile(settings.tokens, clock)
        return cls(
            tokens,
            Hosts.of(settings.web_host, settings.web_names, tokens=tokens is not None),
            Rates(settings.rate_limit, settings.rate_burst, clock),
            QueryGate(settings.max_queries, settings.query_timeout),
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
