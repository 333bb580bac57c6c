"""Callers: what they may do, and whose images they may ask about."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from streams.web.access.errors import BadQuestionError
from streams.web.access.refusals import ForbiddenError

EVERY_TENANT = "*"
DEFAULT_TENANT = ""
_SHOWN = 5


class Scope(StrEnum):
    """What a caller may do; none of them includes another."""

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"


IN_USE = frozenset({Scope.READ, Scope.WRITE})  # questions need the one, changes by the page the other


@dataclass(frozen=True)
class Caller:
    """Who asks.

    Attributes:
        name: As the token is named; empty: somebody without a token.
        tenants: Whose images it may ask about; None: everybody's.
    """

    name: str
    scopes: frozenset[Scope]
    tenants: frozenset[str] | None

    def require(self, scope: Scope) -> None:
        """Refuse what the caller may not do.

        Raises:
            ForbiddenError: The scope is not among the caller's.
        """
        if scope not in self.scopes:
            message = f"this token is for {_listed(self.scopes)}; this needs one for {scope}"
            raise ForbiddenError("scope_refused", message)

    def with_tenant(self, given: Mapping[str, Sequence[str]]) -> dict[str, Sequence[str]]:
        """Give a question's texts, with the caller's only tenant where they name none.

        Raises:
            BadQuestionError: They name none, and it is not clear which is meant.
        """
        if self.tenants is None or "tenant" in given:
            return dict(given)
        if DEFAULT_TENANT in self.tenants:
            return {**given, "tenant": (DEFAULT_TENANT,)}
        if len(self.tenants) == 1:
            return {**given, "tenant": tuple(self.tenants)}
        message = f"tenant is missing; this token is for {_listed(self.tenants)}: say one of them"
        raise BadQuestionError("invalid_tenant", message)

    def require_tenant(self, tenant: str | None) -> None:
        """Refuse to tell of a tenant that is not the caller's, whether it exists or not.

        Args:
            tenant: Whose images are asked about; None: no tenant's in particular.

        Raises:
            ForbiddenError: The tenant is not among the caller's.
        """
        if self.tenants is not None and tenant not in self.tenants:
            message = f"this token is for the tenant {_listed(self.tenants)}, not for what is asked about"
            raise ForbiddenError("tenant_refused", message)


ANYBODY = Caller("", frozenset({Scope.READ}), None)


def _listed(names: Iterable[str]) -> str:
    shown = sorted(names)
    text = " or ".join(repr(str(name)[:64]) if name else "'' (the default)" for name in shown[:_SHOWN])
    return f"{text} and {len(shown) - _SHOWN} more" if len(shown) > _SHOWN else text
