"""Headers that requests to sources carry by the operator's file, by host: a name, a key to be let in."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from schemas.errors import SettingsError

_SETTING = "TAGSTREAM_SOURCE_HEADERS"
_MOST = 50  # headers of one host
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_VALUE = re.compile(r"[\x20-\x7e]{1,4096}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]{0,127})\}")
_PLACE = re.compile(r"(?:(https?)://)?(\*|\*\.[a-z0-9.-]{1,250}|[a-z0-9._-]{1,253})(?::([0-9]{1,5}))?")
_OURS = frozenset(
    {
        *("host", "connection", "content-length", "transfer-encoding", "accept-encoding", "te", "upgrade"),
        *("expect", "range", "trailer", "proxy-authorization"),
    }
)
_FORM = '[hosts."photos.example.com"], with a port or https:// before it where that matters'


@dataclass(frozen=True)
class HostHeaders:
    """Headers for a host.

    Attributes:
        scheme: Only for requests by this one; empty: by https, where headers hold secrets, else by any.
        host: Its name, `*.NAME` for those below it, `*` for all.
        port: Only for this one; empty: for any.
    """

    scheme: str
    host: str
    port: str
    headers: Mapping[str, str]
    has_secrets: bool

    def fits(self, url: httpx.URL) -> bool:
        """Whether a request to a URL carries them."""
        name = url.raw_host.decode("ascii").lower()
        below = self.host.startswith("*.") and name.endswith(self.host[1:])
        port = str(url.port or (443 if url.scheme == "https" else 80))
        schemes = {self.scheme} if self.scheme else {"https"} if self.has_secrets else {"http", "https"}
        named = self.host in {"*", name} or below
        return named and self.port in {"", port} and url.scheme in schemes


@dataclass(frozen=True)
class RequestHeaders:
    """The headers of all hosts; none by default. Of several that fit, later sections win."""

    hosts: tuple[HostHeaders, ...] = ()

    def of(self, url: httpx.URL) -> dict[str, str]:
        """What a request to a URL carries besides our own."""
        return {name: value for each in self.hosts if each.fits(url) for name, value in each.headers.items()}

    @classmethod
    def read(cls, path: Path | None, environment: Mapping[str, str]) -> "RequestHeaders":
        """Read the operator's file.

        Args:
            path: Where it is; None: there is none.
            environment: What `${NAME}` in it stands for.

        Raises:
            SettingsError: It cannot be read, or breaks a rule. No value of a header is told.
        """
        if path is None:
            return cls()
        try:
            content = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            fault = f"the headers cannot be read ({error.strerror}); create the file, or name another"
            raise SettingsError(f"{_SETTING}={path}: {fault}") from None
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            raise SettingsError(f"{_SETTING}={path}: no TOML in UTF-8 ({type(error).__name__})") from None
        hosts = content.get("hosts")
        if not isinstance(hosts, dict) or len(content) > 1:
            raise SettingsError(f"{_SETTING}={path}: only sections {_FORM} are known")
        try:
            return cls(tuple(_host(place, section, environment) for place, section in hosts.items()))
        except ValueError as error:
            raise SettingsError(f"{_SETTING}={path}: {error}") from None


def _host(place: str, section: Any, environment: Mapping[str, str]) -> HostHeaders:  # noqa: ANN401 - TOML
    found = _PLACE.fullmatch(place.lower())
    if found is None:
        raise ValueError(f"hosts.{place[:64]!r} is no host; write {_FORM}")
    if not isinstance(section, dict) or len(section) > _MOST:
        raise ValueError(f"hosts.{place!r} must be a section of at most {_MOST} headers")
    headers = dict(_headers(place, section, environment))
    secret = any(isinstance(value, str) and _VARIABLE.search(value) for value in section.values())
    if secret and found[2] == "*":
        raise ValueError("hosts.'*' holds a secret, which strangers' servers would be told; name its host")
    return HostHeaders(found[1] or "", found[2], found[3] or "", headers, secret)


def _headers(
    place: str, section: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    for name, told in section.items():
        where = f"hosts.{place!r}.{name[:64]}"
        if not _NAME.fullmatch(name) or name.lower() in _OURS:
            raise ValueError(f"{where} is no header that can be set; leave it out")
        if not isinstance(told, str):
            raise ValueError(  # noqa: TRY004 - the file's fault, as the others
                f'{where} must be a text, such as "Bearer ${{PHOTOS_TOKEN}}"'
            )
        for variable in _VARIABLE.findall(told):
            if variable not in environment:
                raise ValueError(f"{where} names ${{{variable}}}, which the environment lacks; set it")
        value = _VARIABLE.sub(lambda found: environment[found[1]], told)
        if not _VALUE.fullmatch(value):
            raise ValueError(f"{where} must have 1 to 4096 visible ASCII characters, blanks included")
        yield name, value
