"""Watchlists: of which tags a tenant is told, by the operator's file."""

import re
import tomllib
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cached_property
from pathlib import Path
from typing import Annotated

import msgspec

from schemas.errors import SettingsError
from streams.rises.rise import LEAST_SCORE

_MOST_BYTES = 1_000_000
_SETTING = "TAGSTREAM_WATCHLISTS"
_FORM = 'a table per tenant such as [tenants.acme] with tags = ["cat", "dog*"]; "" is what has no tenant'


@dataclass(frozen=True)
class Watchlist:
    """Which tags are watched.

    Attributes:
        tags: Names and patterns (`*`, `?`), in any case and composition; None: all are.
        least_score: The score at which a rise begins.
    """

    tags: tuple[str, ...] | None = None
    least_score: float = LEAST_SCORE

    def has(self, tag: str) -> bool:
        """Whether a tag is watched."""
        return self.tags is None or self._pattern.fullmatch(_plain(tag)) is not None

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile("|".join(translate(_plain(tag)) for tag in self.tags or ()))


class _Tenant(msgspec.Struct, forbid_unknown_fields=True):
    tags: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=255)]], msgspec.Meta(max_length=1000)
    ]
    least_score: Annotated[float, msgspec.Meta(ge=1, le=1e6)] = LEAST_SCORE


class _File(msgspec.Struct, forbid_unknown_fields=True):
    tenants: dict[str, _Tenant] = {}


@dataclass(frozen=True)
class Watchlists:
    """Those of all tenants; of one without a list all tags are watched."""

    tenants: Mapping[str, Watchlist] = field(default_factory=dict)

    def of(self, tenant: str) -> Watchlist:
        """A tenant's."""
        return self.tenants.get(tenant, Watchlist())

    @classmethod
    def read(cls, path: Path | None) -> "Watchlists":
        """Read the operator's file; None: there is none.

        Raises:
            SettingsError: It cannot be read, or breaks a rule.
        """
        if path is None:
            return cls()
        try:
            with path.open("rb") as file:
                raw = file.read(_MOST_BYTES + 1)
            if len(raw) > _MOST_BYTES:
                raise SettingsError(f"{_SETTING}={path}: it has more than {_MOST_BYTES} bytes; shorten it")
            found = msgspec.convert(tomllib.loads(raw.decode("utf-8-sig")), _File)
        except OSError as error:
            cure = "create the file, or leave the setting out"
            raise SettingsError(f"{_SETTING}={path} cannot be read ({error.strerror}); {cure}") from None
        except (ValueError, msgspec.ValidationError) as error:
            raise SettingsError(f"{_SETTING}={path}: {error}; a file of watchlists has {_FORM}") from None
        return cls({name: Watchlist(tuple(one.tags), one.least_score) for name, one in found.tenants.items()})


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
