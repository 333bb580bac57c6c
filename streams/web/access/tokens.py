"""Tokens: made once, shown once, kept as SHA-256 in a TOML file that its owner alone can read.

    [[token]]
    name = "dashboard"
    sha256 = "…"            # of the token, in hex
    scopes = ["read"]       # of read, write, admin; routes need read alone
    tenants = ["acme", ""]  # "" is the default tenant, and what is meant if there is no such line; "*": all

A token has 256 random bits, so its plain hash can be neither guessed nor looked up.
"""

import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from schemas.errors import SettingsError
from schemas.names import VISIBLE
from streams.web.access.callers import DEFAULT_TENANT, EVERY_TENANT, Caller, Scope
from streams.web.access.secret_file import read_secret_file

PREFIX = "ts_"  # so that scanners of repositories and logs can know one
MAX_TOKEN = 512  # characters of what is sent
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
_NEW = "make one with `tagstream token new`"

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=VISIBLE)]
Tenant = Annotated[str, msgspec.Meta(max_length=255)]


class TokenEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[[token]]` of the file."""

    name: Name
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    scopes: Annotated[frozenset[Scope], msgspec.Meta(min_length=1)]
    tenants: str | frozenset[Tenant] = frozenset({DEFAULT_TENANT})


class _Entries(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: list[TokenEntry] = []


@dataclass(frozen=True)
class Tokens:
    """The tokens of one reading of the file.

    Attributes:
        signature: Tells this state of the file from others; see `streams.web.access.secret_file`.
    """

    callers: Sequence[tuple[bytes, Caller]]
    signature: tuple[int, ...] = ()

    def find(self, token: str) -> Caller | None:
        """Give the owner of a token. It takes the same time for each, known or not."""
        digest = hashlib.sha256(token.encode()).digest()
        found: Caller | None = None
        for known, caller in self.callers:
            if hmac.compare_digest(known, digest):
                found = caller
        return found


def is_token(text: str) -> bool:
    """Tell whether a text may be a token at all."""
    return len(text) <= MAX_TOKEN and _BEARER.fullmatch(text) is not None


def new_token() -> str:
    """Make a token of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def lines_of(
    token: str, scopes: Iterable[Scope], tenants: Iterable[str] = (), name: str | None = None
) -> str:
    """Give the lines of a token for the file; the token itself is not in them.

    Args:
        token: The token.
        scopes: What it is for.
        tenants: Whose images; none: those without a tenant.
        name: What it is called; None: after its hash.
    """
    tenants, digest = sorted(set(tenants)), hashlib.sha256(token.encode()).hexdigest()
    fields = {
        "name": name or f"token-{digest[:8]}",
        "sha256": digest,
        "scopes": sorted(set(scopes)),
        "tenants": EVERY_TENANT if EVERY_TENANT in tenants else tenants or [DEFAULT_TENANT],
    }
    # A string or a list of strings is written the same in TOML and in JSON.
    lines = (f"{field} = {json.dumps(value, ensure_ascii=False)}" for field, value in fields.items())
    return "\n".join(["[[token]]", *lines])


def read_tokens(path: Path) -> Tokens:
    """Read the file of tokens.

    Raises:
        SettingsError: It cannot be read, others can read it, or its content is wrong.
    """
    content, signature = read_secret_file(path, "tokens", _NEW)
    return Tokens(_callers(path, content), signature)


def _callers(path: Path, content: bytes) -> list[tuple[bytes, Caller]]:
    try:
        entries = msgspec.toml.decode(content, type=_Entries).token
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no file of tokens: {error}; {_NEW}") from None
    for field in ("name", "sha256"):
        values = [getattr(entry, field) for entry in entries]
        if len(set(values)) < len(values):
            raise SettingsError(f"{path}: two tokens have the same {field}; each needs its own")
    return [(bytes.fromhex(entry.sha256), _caller(path, entry)) for entry in entries]


def _caller(path: Path, entry: TokenEntry) -> Caller:
    if entry.tenants == EVERY_TENANT:
        return Caller(entry.name, entry.scopes, None)
    if isinstance(entry.tenants, str) or EVERY_TENANT in entry.tenants or not entry.tenants:
        rule = 'must be "*" or a list of names such as ["acme", ""]'
        raise SettingsError(f"{path}: tenants of the token {entry.name!r} {rule}")
    return Caller(entry.name, entry.scopes, entry.tenants)
