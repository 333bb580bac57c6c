"""Which addresses a fetch may connect to: the address that was checked is the one that is used.

The check sits in the resolver that the connector asks right before it connects, so no second look-up
can give another answer. Names that are literal addresses never reach a resolver: `check_host` is for
them, and every URL passes it first.
"""

import contextlib
import functools
import ipaddress
import socket
from dataclasses import dataclass
from socket import getaddrinfo

from aiohttp.abc import AbstractResolver, ResolveResult

from schemas.errors import SettingsError
from streams.fetch.dedicated_threads import DedicatedThreads
from streams.fetch.errors import SourceBusyError, SourceGoneError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC: tuple[_Network, ...] = (  # some releases of Python call them global
    ipaddress.IPv4Network("168.63.129.16/32"),  # Azure's services for the machine itself
    ipaddress.IPv4Network("192.0.0.0/24"),  # protocol assignments, Oracle Cloud's metadata among them
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4
    ipaddress.IPv6Network("2001::/23"),  # protocol assignments, Teredo among them
    ipaddress.IPv6Network("3fff::/20"),  # documentation
)
_WEB_PORTS = frozenset({80, 443})

Found = list[tuple[str, socket.AddressFamily]]


@dataclass(frozen=True)
class AddressPolicy:
    """Public addresses on the web's ports, and what the operator allows besides.

    Attributes:
        hosts: Host names and addresses that may be private; None as port allows every port.
        networks: Networks that may be private, on every port.
        setting: Where the operator says so.
    """

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[_Network, ...] = ()
    setting: str = "TAGSTREAM_ALLOW_SOURCES"

    @classmethod
    def parse(cls, text: str, setting: str = "TAGSTREAM_ALLOW_SOURCES") -> "AddressPolicy":
        """Read `HOST`, `HOST:PORT` and `NETWORK` entries, separated by commas.

        Raises:
            SettingsError: An entry is none of these.
        """
        hosts: set[tuple[str, int | None]] = set()
        networks: list[_Network] = []
        for entry in filter(None, (part.strip().lower() for part in text.split(","))):
            if "/" in entry:
                networks.append(_network(entry, setting))
            else:
                hosts.add(_host_and_port(entry, setting))
        return cls(frozenset(hosts), tuple(networks), setting)

    def allows_host(self, host: str, port: int) -> bool:
        """Whether the operator named this host, whatever its address is."""
        return (host, port) in self.hosts or (host, None) in self.hosts

    def allows_address(self, text: str, port: int) -> bool:
        """Whether a connection to this address may be made."""
        address = _canonical(ipaddress.ip_address(text.partition("%")[0]))
        if self.allows_host(str(address), port) or any(address in network for network in self.networks):
            return True
        return "%" not in text and is_public(address) and port in _WEB_PORTS

    def check_host(self, host: str, port: int) -> None:
        """Refuse literal addresses that must not be connected to; names are the resolver's business.

        Raises:
            SourceGoneError: The address or its port is not allowed.
        """
        host = host.rstrip(".")
        if self.allows_host(host, port):
            return
        literal = _literal(host)
        if literal is not None and not self.allows_address(literal, port):
            raise self.refused(host, port)

    def refused(self, host: str, port: int) -> SourceGoneError:
        """The error for a host that must not be connected to."""
        cure = f"only public addresses on ports 80 and 443 are, unless {self.setting} names them"
        return SourceGoneError("refused_address", f"{host}:{port} is refused; {cure}")


def is_public(address: _Address) -> bool:
    """Whether an address is reachable from everywhere, also behind translation prefixes."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address not in _GLOBAL_UNICAST or address.sixtofour:  # 6to4 is deprecated by RFC 7526
            return False
    listed = any(address in network for network in _NOT_PUBLIC)
    return address.is_global and not address.is_multicast and not listed


def _canonical(address: _Address) -> _Address:
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _literal(host: str) -> str | None:
    """The address that a host spells in any form that a resolver or the C library accepts."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(host.partition("%")[0])
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))  # decimal, octal, hex, short forms
    except (OSError, ValueError):
        return None


def _network(entry: str, setting: str) -> _Network:
    try:
        return ipaddress.ip_network(entry)
    except ValueError as error:
        message = f"{setting}: {entry!r} is no network ({error}); write 10.1.0.0/16"
        raise SettingsError(message) from error


def _host_and_port(entry: str, setting: str) -> tuple[str, int | None]:
    if entry.startswith("["):
        host, _, port = entry[1:].partition("]")
        port = port.removeprefix(":")
    elif entry.count(":") > 1:
        host, port = entry, ""
    else:
        host, _, port = entry.partition(":")
    if port and not (port.isascii() and port.isdigit() and len(port) <= len("65535")):
        raise SettingsError(f"{setting}: {entry!r} has no numeric port; write host:8080")
    return host, int(port) if port else None


class NameLookups:
    """Looks names up, at most `limit` at once, those that nobody waits for any more included."""

    def __init__(self, limit: int) -> None:
        self._threads = DedicatedThreads(limit)

    async def addresses(self, host: str, port: int, family: socket.AddressFamily) -> Found:
        """Look up the addresses of a host, in the order in which they should be tried.

        Raises:
            OSError: There are none, or none that can be found now.
            UnicodeError: No host can have such a name.
        """
        return await self._threads.run(functools.partial(_look_up, host, port, family))


def _look_up(host: str, port: int, family: socket.AddressFamily) -> Found:
    found = getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
    return [(str(entry[4][0]), entry[0]) for entry in found]


class CheckedResolver(AbstractResolver):
    """Resolves a name once and gives its addresses only if every one of them is allowed."""

    def __init__(self, policy: AddressPolicy, lookups: NameLookups) -> None:
        self._policy = policy
        self._lookups = lookups

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve for aiohttp's connector.

        Raises:
            SourceGoneError: Any of the addresses is refused, or no host can have such a name.
            SourceBusyError: The name cannot be resolved now.
        """
        try:
            found = await self._lookups.addresses(host, port, family)
        except UnicodeError as error:
            raise SourceGoneError("invalid_url", f"no host can have the name {host[:253]!r}") from error
        except OSError as error:
            raise SourceBusyError("unknown_host", f"cannot resolve {host[:253]!r}: {error}") from error
        if not self._policy.allows_host(host.rstrip("."), port):  # as in `check_host`
            for address, _ in found:
                if not self._policy.allows_address(address, port):
                    raise self._policy.refused(host, port)
        return [_result(host, port, address, kind) for address, kind in found]

    async def close(self) -> None:
        """Nothing to close."""


def _result(host: str, port: int, address: str, family: int) -> ResolveResult:
    return ResolveResult(
        hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
    )
