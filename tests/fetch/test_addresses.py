"""What the fetcher may connect to, without a network: a scripted name service stands in for DNS."""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from streams.fetch.addresses import AddressPolicy, CheckedResolver, NameLookups, is_public
from streams.fetch.errors import SourceBusyError, SourceGoneError

if TYPE_CHECKING:
    from collections.abc import Iterable


def words(text: str) -> list[str]:
    return text.split()


PRIVATE = words("""
    0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16
    169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1
    198.18.0.1 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 :: ::1
    ::127.0.0.1 ::8.8.8.8 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:a9fe:a9fe ::ffff:0:127.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::10.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::8.8.8.8 100::1 2001::1
    2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:0:808:808:0:0:80ff:fffe 2001:10::1 2001:20::1 2001:db8::1
    2002:808:808::1
    2002:7f00:1:: 2002:a00:1:: 2002:a9fe:a9fe::1 2002:c0a8:101:: 3fff::1 5f00::1 4000::1 fc00::1
    fd00:ec2::254 fd20:ce::254 fe80::1 fe80::1%eth0 fec0::1 ff02::1 ff0e::1 2606:4700::1111%eth0
""")

PUBLIC = words("""
    1.1.1.1 8.8.8.8 93.184.216.34 172.32.0.1 192.169.0.1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
    2606:4700:4700::1111 2a00:1450:4001::8a
""")

SPELLINGS = words("""
    127.0.0.1 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0x7f.0.0.1 0177.1 0177.0.0.1 017700000001
    127.0.0.1. 0 127.0.0.1.. 0x0 00 0xA9FEA9FE 2852039166 169.254.43518 ::1 0:0:0:0:0:0:0:1 ::1%lo
    ::1%25lo fe80::1%1
""")


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    """No address of the machine, its neighbours, its cloud or a translator to them is connected to."""
    assert not AddressPolicy().allows_address(address, 80)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """Public addresses are connected to, on the web's ports only."""
    policy = AddressPolicy()
    assert policy.allows_address(address, 80)
    assert policy.allows_address(address, 443)
    assert not any(policy.allows_address(address, port) for port in (0, 22, 25, 6379, 8080, 9092))


@given(st.ip_addresses(v=4))
def test_disguises(address: ipaddress.IPv4Address) -> None:
    """An IPv6 address that leads to an IPv4 address is as public as that one; 6to4 never is."""
    number = int(address)
    mapped = ipaddress.IPv6Address(0xFFFF << 32 | number)
    translated = ipaddress.IPv6Address(0x64FF9B << 96 | number)
    six_to_four = ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1)
    policy = AddressPolicy()
    expected = is_public(address)
    assert [policy.allows_address(str(each), 80) for each in (mapped, translated)] == [expected] * 2
    assert not policy.allows_address(str(six_to_four), 80)


@pytest.mark.parametrize("host", SPELLINGS)
def test_spellings_of_private_addresses(host: str) -> None:
    """A literal address is refused in every spelling that a resolver understands."""
    with pytest.raises(SourceGoneError) as caught:
        AddressPolicy().check_host(host, 80)
    assert caught.value.code == "refused_address"


@given(st.text(max_size=40), st.integers(0, 65535))
def test_any_host(host: str, port: int) -> None:
    """A host passes or is refused, whatever its text is."""
    with suppress(SourceGoneError):
        AddressPolicy().check_host(host, port)


def test_allowed_sources() -> None:
    """The operator allows hosts, ports of hosts, and networks; all else stays refused."""
    policy = AddressPolicy.parse(
        "Minio:9000, photos.local, 10.1.0.0/16,[::1]:8080,fd00::/8, 127.0.0.1:81,fe80::2"
    )
    assert policy.allows_host("minio", 9000)
    assert not policy.allows_host("minio", 80)
    assert policy.allows_host("photos.local", 1)
    for host, port in [("10.1.2.3", 9), ("::1", 8080), ("fd00::1", 1), ("127.0.0.1", 81), ("127.1", 81)]:
        policy.check_host(host, port)
    policy.check_host("photos.local.", 8080)
    for host, port in [("10.2.0.1", 80), ("::1", 80), ("127.0.0.1", 80), ("127.1", 80), ("fe80::1%eth0", 80)]:
        with pytest.raises(SourceGoneError):
            policy.check_host(host, port)


def test_no_allowed_sources() -> None:
    """Empty text allows nothing besides public addresses."""
    assert AddressPolicy.parse(" , ") == AddressPolicy()


@pytest.mark.parametrize(
    "text", ["10.1.0.1/16", "10.0.0.0/33", "host:http", "host:²", "host:-1", "host:123456", "[::1]:x", "a/b"]
)
def test_unreadable_sources(text: str) -> None:
    """An entry that means nothing is the operator's fault, named with its setting and a cure."""
    with pytest.raises(SettingsError, match=r"TAGSTREAM_ALLOW_SOURCES: .*; write "):
        AddressPolicy.parse(text)


class ScriptedNames:
    """A name service whose answers are given one after the other; the last one stays."""

    def __init__(self, *answers: Iterable[str]) -> None:
        self.answers = [list(answer) for answer in answers]
        self.asked = 0

    def getaddrinfo(self, host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        answer = self.answers[min(self.asked, len(self.answers) - 1)]
        self.asked += 1
        if not answer:
            raise socket.gaierror(-2, f"Name or service not known: {host}")
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in answer]
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in zip(families, answer, strict=True)
        ]


async def resolve(
    monkeypatch: pytest.MonkeyPatch, names: ScriptedNames, policy: AddressPolicy | None = None, port: int = 80
) -> list[str]:
    monkeypatch.setattr("streams.fetch.addresses.getaddrinfo", names.getaddrinfo)
    results = await CheckedResolver(policy or AddressPolicy(), NameLookups(1)).resolve("photos.example", port)
    assert all(result["flags"] == socket.AI_NUMERICHOST for result in results)
    return [result["host"] for result in results]


async def test_a_public_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is looked up once, and the addresses that were checked are the ones that are given."""
    names = ScriptedNames(["93.184.216.34", "2606:4700::1111"])
    assert await resolve(monkeypatch, names) == ["93.184.216.34", "2606:4700::1111"]
    assert names.asked == 1


async def test_rebinding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that turns private after it was public gives its public address once, then is refused."""
    names = ScriptedNames(["93.184.216.34"], ["127.0.0.1"])
    assert await resolve(monkeypatch, names) == ["93.184.216.34"]
    with pytest.raises(SourceGoneError, match=r"photos\.example:80 is refused"):
        await resolve(monkeypatch, names)


@pytest.mark.parametrize("private", ["10.0.0.1", "::1", "fe80::1%eth0", "64:ff9b::7f00:1", "169.254.169.254"])
async def test_one_private_among_public(monkeypatch: pytest.MonkeyPatch, private: str) -> None:
    """One refused address refuses the whole name, wherever it stands."""
    for answer in (["8.8.8.8", private, "1.1.1.1"], ["8.8.8.8", private], [private, "8.8.8.8"]):
        with pytest.raises(SourceGoneError) as caught:
            await resolve(monkeypatch, ScriptedNames(answer))
        assert caught.value.code == "refused_address"


async def test_a_public_name_on_another_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other ports than the web's are refused for names as well."""
    with pytest.raises(SourceGoneError):
        await resolve(monkeypatch, ScriptedNames(["8.8.8.8"]), port=6379)


async def test_an_allowed_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that the operator allowed may be private; what else leads there may not."""
    names = ScriptedNames(["10.0.0.1"])
    allowed = AddressPolicy.parse("photos.example:8080")
    assert await resolve(monkeypatch, names, allowed, 8080) == ["10.0.0.1"]
    with pytest.raises(SourceGoneError):
        await resolve(monkeypatch, names, allowed, 80)


async def test_an_unknown_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name without an address may get one later."""
    with pytest.raises(SourceBusyError) as caught:
        await resolve(monkeypatch, ScriptedNames([]))
    assert caught.value.code == "unknown_host"


async def test_a_name_that_is_no_name() -> None:
    """The real resolver's complaints about a name become the source's fault."""
    for host in ("a" * 64 + ".invalid", "..", "a..b", "x" * 5000):
        with pytest.raises(SourceGoneError) as caught:
            await CheckedResolver(AddressPolicy(), NameLookups(1)).resolve(host, 80)
        assert caught.value.code == "invalid_url"
        assert len(str(caught.value)) < 500
