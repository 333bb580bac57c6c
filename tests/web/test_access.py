"""Who may ask: tokens and their file, host names, rates, work at once. No HTTP here."""

import asyncio
import hashlib
import logging
import os
import stat
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from streams.app.settings import Settings
from streams.cli.main import main
from streams.web.access import tokens as tokens_module
from streams.web.access.callers import ANYBODY, Caller, Scope
from streams.web.access.errors import BadQuestionError
from streams.web.access.guard import Guard
from streams.web.access.hosts import Hosts, is_loopback
from streams.web.access.query_gate import QUEUE, QueryGate
from streams.web.access.rates import Rates, network_of
from streams.web.access.refusals import (
    BusyError,
    ForbiddenError,
    TooOftenError,
    UnknownCallerError,
    WrongHostError,
)
from streams.web.access.secret_file import LOOK_INTERVAL, MAX_BYTES
from streams.web.access.token_file import TokenFile
from streams.web.access.tokens import Tokens, is_token, lines_of, new_token, read_tokens

TOKEN = "ts_0123456789"  # noqa: S105 - known to nobody
PEER = "192.0.2.7"
READ = frozenset({Scope.READ})


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines), "utf-8")
    path.chmod(0o600)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with one token."""
    return write(tmp_path / "tokens.toml", lines_of(TOKEN, READ, ["acme"], "dashboard"))


# The file


def test_a_new_token_is_found_and_only_its_hash_is_kept(tmp_path: Path) -> None:
    """What is printed for the file leads back to scopes and tenants, and holds nothing that could be sent."""
    token = new_token()
    lines = lines_of(token, [Scope.WRITE, Scope.READ], ["b", "a"], 'the "board" of Zoë')
    caller = read_tokens(write(tmp_path / "t", lines)).find(token)
    assert caller == Caller('the "board" of Zoë', frozenset({Scope.READ, Scope.WRITE}), frozenset({"a", "b"}))
    assert token not in lines
    assert hashlib.sha256(token.encode()).hexdigest() in lines
    assert len({new_token() for _ in range(100)}) == 100
    assert is_token(token)


@given(st.lists(st.text(st.characters(exclude_categories=["C"]), max_size=255), max_size=4))
def test_tenants_of_all_names_come_back(tenants: list[str]) -> None:
    """Quotes, backslashes and every script survive the way through the file; none means the default one."""
    [entry] = tomllib.loads(lines_of(TOKEN, READ, tenants))["token"]
    expected = "*" if "*" in tenants else sorted(set(tenants)) or [""]
    assert entry["tenants"] == expected


@pytest.mark.parametrize(
    ("line", "tenants"),
    [
        ("", frozenset({""})),
        ('tenants = ["a", ""]', frozenset({"a", ""})),
        ('tenants = "*"', None),
    ],
)
def test_tenants_of_a_token(tmp_path: Path, line: str, tenants: frozenset[str] | None) -> None:
    """No line is the default tenant, a star everybody."""
    first, *rest = lines_of(TOKEN, READ).splitlines()
    kept = [text for text in rest if not text.startswith("tenants")]
    caller = read_tokens(write(tmp_path / "t", first, *kept, line)).find(TOKEN)
    assert caller is not None
    assert caller.tenants == tenants


GOOD = lines_of(TOKEN, READ)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("[[token", "is no file of tokens"),
        ("\xff", "is no file of tokens"),
        ("token = 1", "is no file of tokens"),
        ("tokens = []", "unknown field `tokens`"),
        (GOOD.replace("read", "root"), "token"),
        (GOOD.replace('["read"]', "[]"), "length >= 1"),
        (GOOD.replace('sha256 = "', 'sha256 = "0'), "sha256"),
        (GOOD.replace("sha256", "token"), "unknown field `token`"),
        (f"{GOOD}\n{GOOD}", "two tokens have the same name"),
        (f"{GOOD}\n{lines_of(TOKEN, READ, name='other')}", "two tokens have the same sha256"),
        (GOOD.replace('[""]', '"acme"'), 'must be "*" or a list of names'),
        (GOOD.replace('[""]', '["*"]'), 'must be "*" or a list of names'),
        (GOOD.replace('[""]', "[]"), 'must be "*" or a list of names'),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, content: str, fault: str) -> None:
    """The message names the file and the place."""
    path = tmp_path / "tokens.toml"
    path.write_bytes(content.encode("latin-1"))
    path.chmod(0o600)
    with pytest.raises(SettingsError, match=r"tokens\.toml") as caught:
        read_tokens(path)
    assert fault in str(caught.value)


@pytest.mark.parametrize("mode", [0o604, 0o602, 0o601, 0o620, 0o644, 0o666, 0o777])
def test_a_file_that_others_can_reach_is_refused(file: Path, mode: int) -> None:
    """Others that read or write it, and a group that writes it; the message says what to type."""
    file.chmod(mode)
    with pytest.raises(SettingsError, match=f"mode {mode:04o}.*chmod 600"):
        read_tokens(file)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o440])
def test_a_file_of_ones_own_is_read(file: Path, mode: int) -> None:
    """Also if a group may read it: that is how containers are given secrets."""
    file.chmod(mode)
    assert read_tokens(file).find(TOKEN) is not None


def test_no_file_is_a_fault_with_a_cure(tmp_path: Path) -> None:
    """A missing file, a directory, and a pipe that nobody writes to, which must not block."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    for name, fault in {"none": "tagstream token new", "": "cannot be read", "pipe": "regular file"}.items():
        with pytest.raises(SettingsError, match=fault):
            read_tokens(tmp_path / name)
    huge = write(tmp_path / "huge", "#" * (MAX_BYTES + 1))
    with pytest.raises(SettingsError, match="more than 1000000 bytes"):
        read_tokens(huge)


def test_every_token_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """In constant time and without an early exit: as many comparisons for the first as for none."""
    compared: list[bytes] = []

    def compare(known: bytes, given: bytes) -> bool:
        compared.append(known)
        return known == given

    monkeypatch.setattr(tokens_module.hmac, "compare_digest", compare)
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(5)]
    tokens = Tokens([(digest, replace(ANYBODY, name=str(number))) for number, digest in enumerate(digests)])
    for token, name in (("0", "0"), ("4", "4"), ("5", None)):
        compared.clear()
        found = tokens.find(token)
        assert (found.name if found else None) == name
        assert compared == digests


# The file while the worker runs


def look(tokens: TokenFile, clock: Clock, token: str = TOKEN) -> Caller | None:
    clock.now += LOOK_INTERVAL
    return tokens.find(token)


def test_a_token_is_added_and_revoked_without_a_restart(file: Path) -> None:
    """Within a second of the change; an empty file lets nobody in."""
    clock = Clock()
    tokens = TokenFile(file, clock)
    assert tokens.find("ts_new") is None
    write(file, lines_of("ts_new", READ))
    assert look(tokens, clock, "ts_new") is not None
    assert tokens.find(TOKEN) is None
    write(file, "")
    assert look(tokens, clock, "ts_new") is None


def test_a_file_that_takes_anothers_place_is_noticed(file: Path) -> None:
    """Also with the same size and time of change, as an atomic replacement by a tool may have it."""
    clock, status = Clock(), file.stat()
    tokens = TokenFile(file, clock)
    other = write(file.with_name("other"), lines_of("ts_9876543210", READ, ["acme"], "dashboard"))
    assert other.stat().st_size == status.st_size
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(file)
    assert look(tokens, clock, "ts_9876543210") is not None
    assert tokens.find(TOKEN) is None


@pytest.mark.parametrize("damage", ["broken", "missing", "opened"])
def test_a_broken_file_keeps_the_tokens(file: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    """The tokens that were read before hold; the log has one error, not one per question."""
    clock = Clock()
    tokens = TokenFile(file, clock)
    good = file.read_text("utf-8")
    if damage == "broken":
        write(file, "[[token]]")
    elif damage == "missing":
        file.unlink()
    else:
        file.chmod(0o644)
    for _ in range(3):
        assert look(tokens, clock) is not None
    [error] = [entry for entry in caplog.records if entry.levelno == logging.ERROR]
    assert "hold still" in error.getMessage()
    write(file, good.replace("dashboard", "board"))
    found = look(tokens, clock)
    assert found is not None
    assert found.name == "board"


def test_the_file_is_not_looked_at_for_every_question(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a second at most."""
    looks: list[Path] = []
    real = Path.stat
    tokens = TokenFile(file, clock := Clock())
    monkeypatch.setattr(Path, "stat", lambda path: looks.append(path) or real(path))
    for _ in range(100):
        tokens.find(TOKEN)
    assert looks == []
    clock.now += LOOK_INTERVAL
    for _ in range(100):
        tokens.find(TOKEN)
    assert looks == [file]


def test_a_file_that_is_emptied_is_a_warning(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A worker that nobody may ask tags all the same. At its start the check of tokens says so."""
    clock = Clock()
    tokens = TokenFile(file, clock)
    write(file, "")
    clock.now += LOOK_INTERVAL
    assert tokens.find(TOKEN) is None
    assert "nobody may ask" in caplog.text


# The command


def say(*words: str) -> Result:
    return CliRunner().invoke(main, ["token", "new", *words])


def test_the_command_prints_token_and_lines_apart(tmp_path: Path) -> None:
    """Standard output can be appended to the file; the token goes to the terminal, once."""
    words = ("--scope", "read", "--tenant", "a", "--tenant", "b\\", "--name", "n")
    first, second = say(*words), say()
    assert (first.exit_code, second.exit_code) == (0, 0)
    tokens = read_tokens(write(tmp_path / "t", first.stdout + second.stdout))
    shown = [word for result in (first, second) for word in result.stderr.split() if word.startswith("ts_")]
    assert len(shown) == 2
    assert tokens.find(shown[0]) == Caller("n", READ, frozenset({"a", "b\\"}))
    other = tokens.find(shown[1])
    assert other is not None
    assert (other.scopes, other.tenants) == (READ, frozenset({""}))
    assert "ts_" not in first.stdout + second.stdout


@pytest.mark.parametrize(
    "words",
    [("--scope", "all"), ("--scope", "admin"), ("--tenant", "\n"), ("--name", ""), ("--tenant", "\udcff")],
)
def test_the_command_refuses_what_the_file_would_not_hold(words: tuple[str, str]) -> None:
    """Exit code 2, and no token; nor for what no route needs: it would open nothing."""
    result = say(*words)
    assert result.exit_code == 2
    assert "ts_" not in result.output


# Callers


ACME = Caller("t", READ, frozenset({"acme"}))
TWO = Caller("t", READ, frozenset({"acme", "zoo"}))
OWN = Caller("t", READ, frozenset({"", "acme"}))
ALL = Caller("t", READ, None)


@pytest.mark.parametrize(
    ("caller", "given_tenant", "asked"),
    [
        (ACME, None, "acme"),
        (ACME, "acme", "acme"),
        (TWO, "zoo", "zoo"),
        (OWN, None, ""),
        (OWN, "", ""),
        (OWN, "acme", "acme"),
        (ALL, None, ""),
        (ALL, "whoever", "whoever"),
        (ANYBODY, None, ""),
    ],
)
def test_whose_images_are_asked_about(caller: Caller, given_tenant: str | None, asked: str) -> None:
    """Those that are named, else the token's only tenant's, else those without one."""
    texts = {} if given_tenant is None else {"tenant": [given_tenant]}
    meant = caller.with_tenant(texts).get("tenant", [""])[0]
    assert meant == asked
    caller.require_tenant(meant)


@pytest.mark.parametrize(
    ("caller", "tenant"), [(ACME, ""), (ACME, "zoo"), (TWO, ""), (OWN, "zoo"), (TWO, None)]
)
def test_other_tenants_are_refused(caller: Caller, tenant: str | None) -> None:
    """The default tenant as well, and questions about no tenant in particular. Own names are told alone."""
    with pytest.raises(ForbiddenError) as caught:
        caller.require_tenant(tenant)
    assert tenant is None or tenant not in str(caught.value) or tenant == ""
    assert "acme" in str(caught.value)


def test_a_token_of_several_tenants_says_which() -> None:
    """400 with the choice."""
    with pytest.raises(BadQuestionError, match="'acme' or 'zoo'"):
        TWO.with_tenant({})


def test_scopes_do_not_include_each_other() -> None:
    """Whoever may write need not read, and nobody without a token writes."""
    writer = Caller("t", frozenset({Scope.WRITE}), None)
    writer.require(Scope.WRITE)
    ANYBODY.require(Scope.READ)
    for caller, scope in (
        (writer, Scope.READ),
        (writer, Scope.ADMIN),
        (ANYBODY, Scope.WRITE),
        (ACME, Scope.ADMIN),
    ):
        with pytest.raises(ForbiddenError, match=f"this needs one for {scope}"):
            caller.require(scope)


# Where the worker listens


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_on_loopback_no_token_is_needed(host: str) -> None:
    """This machine's programs ask as they are."""
    assert is_loopback(host)
    assert Guard.of(Settings(web_host=host)).admit((), "127.0.0.1") is ANYBODY


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "192.0.2.1", "example.com", "localhost.evil.com", "2130706433"]
)
def test_elsewhere_somebody_must_say_who_may_ask(host: str, file: Path) -> None:
    """Tokens, or that anybody may; the refusal names both, and loopback."""
    with pytest.raises(SettingsError) as caught:
        Guard.of(Settings(web_host=host))
    for cure in ("TAGSTREAM_TOKENS", "tagstream token new", "127.0.0.1", "TAGSTREAM_OPEN_API=true"):
        assert cure in str(caught.value)
    assert Guard.of(Settings(web_host=host, open_api=True)).admit((), PEER) is ANYBODY
    for open_api in (False, True):  # tokens hold all the same
        guard = Guard.of(Settings(web_host=host, tokens=file, open_api=open_api))
        with pytest.raises(UnknownCallerError):
            guard.admit((), PEER)


def test_tokens_hold_on_loopback_as_well(file: Path) -> None:
    """Where they are named they are needed."""
    guard = Guard.of(Settings(tokens=file))
    assert guard.admit([f"Bearer {TOKEN}"], PEER).name == "dashboard"
    with pytest.raises(UnknownCallerError, match="a token is needed"):
        guard.admit((), PEER)


@pytest.mark.parametrize("text", [f"bearer {TOKEN}", f"BEARER   {TOKEN} ", f"Bearer {TOKEN}"])
def test_ways_to_say_a_token(file: Path, text: str) -> None:
    """The scheme's case and blanks around do not matter."""
    assert Guard.of(Settings(tokens=file)).admit([text], PEER).name == "dashboard"


WORDS = st.text(max_size=60) | st.sampled_from(
    ["Bearer", "bearer ", "Basic ", TOKEN, " ", "\t", ",", '"', "="]
)


@given(st.lists(st.lists(WORDS, max_size=4).map("".join), max_size=3))
def test_hostile_authorizations(values: list[str]) -> None:
    """Whatever is sent is either the token, once, after its scheme, or it is 401 with what is asked for."""
    known = hashlib.sha256(TOKEN.encode()).digest()
    guard = Guard(TokensOf(Tokens([(known, ACME)])))
    right = (
        len(values) == 1
        and values[0].strip().lower().startswith("bearer ")
        and values[0].strip()[7:].strip() == TOKEN
    )
    assert (guard.recognize(values) is ACME) == right
    if right:
        assert guard.admit(values, PEER) is ACME
        return
    with pytest.raises(UnknownCallerError) as caught:
        guard.admit(values, PEER)
    assert caught.value.status == 401
    assert caught.value.headers["www-authenticate"].startswith('Bearer realm="tagstream"')
    assert TOKEN not in str(caught.value)


class TokensOf(TokenFile):
    """Tokens without a file."""

    def __init__(self, tokens: Tokens) -> None:
        self._fixed = tokens

    def find(self, token: str) -> Caller | None:
        return self._fixed.find(token)


# Host names


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST:6066",
        "localhost.",
        "127.0.0.1",
        "127.0.0.1:80",
        "[::1]",
        "[::1]:6066",
        "board.example:1",
    ],
)
def test_hosts_that_are_ours(host: str) -> None:
    """Loopback under its names, whatever the port, and what was named."""
    Hosts.of("127.0.0.1", "board.example, Other.Example", tokens=False).check([host])


STRANGE = [
    [],
    [""],
    ["evil.example"],
    ["localhost.evil.example"],
    ["127.0.0.1.evil.example"],
    ["localhost", "localhost"],
    ["localhost", "evil.example"],
    ["evil.example:localhost"],
    ["localhost@evil.example"],
    ["evil.example@localhost"],
    ["evil.example#localhost"],
    ["localhost/evil"],
    ["localhost,evil.example"],
    ["localhost evil.example"],
    ["localhost:6066:1"],
    ["[::1"],
    ["[::1]evil"],
    ["[localhost]"],
    ["::1"],
    ["127.0.0.1\x00"],
    ["localhost\u3002"],
    ["0.0.0.0"],
    ["192.0.2.1"],
    ["2130706433"],
    ["127.1"],
]


@pytest.mark.parametrize("values", STRANGE, ids=str)
def test_hosts_that_are_not_ours(values: list[str]) -> None:
    """Other names, addresses and forms: a page that was rebound to 127.0.0.1 gets 421, as does no host."""
    with pytest.raises(WrongHostError) as caught:
        Hosts.of("127.0.0.1", "", tokens=False).check(values)
    assert caught.value.status == 421


@given(st.text(max_size=80))
def test_hostile_hosts(text: str) -> None:
    """Any text is accepted or refused; what is accepted begins with a name of ours."""
    try:
        Hosts.of("127.0.0.1", "", tokens=False).check([text])
    except WrongHostError:
        return
    assert text.lower().startswith(("localhost", "127.0.0.1", "[::1]"))


def test_hosts_elsewhere() -> None:
    """Without tokens addresses will do, names must be said; with tokens a foreign page has none to send."""
    open_to_all = Hosts.of("0.0.0.0", "worker", tokens=False)
    for host in ("10.0.0.7:6066", "[fd00::7]:6066", "worker", "localhost"):
        open_to_all.check([host])
    with pytest.raises(WrongHostError):
        open_to_all.check(["evil.example"])
    Hosts.of("0.0.0.0", "", tokens=True).check(["any.example"])
    with pytest.raises(WrongHostError):
        Hosts.of("0.0.0.0", "board.example", tokens=True).check(["any.example"])
    with pytest.raises(WrongHostError):
        Hosts.of("127.0.0.1", "", tokens=True).check(["any.example"])


@pytest.mark.parametrize("name", ["http://a", "a:80", "a b", "*", "-"])
def test_names_that_are_none(name: str) -> None:
    """Scheme, port and wildcards are refused at start."""
    with pytest.raises(SettingsError, match="TAGSTREAM_WEB_NAMES"):
        Guard.of(Settings(web_names=name))


# Rates


def test_a_burst_and_then_the_rate() -> None:
    """A full bucket's worth at once, then one per tenth of a second; the wait that is told is enough."""
    rates = Rates(10, 3, clock := Clock())
    assert [rates.take("a") for _ in range(3)] == [0, 0, 0]
    seconds = rates.take("a")
    assert seconds == pytest.approx(0.1)
    assert rates.take("b") == 0
    clock.now += seconds
    assert rates.take("a") == 0
    assert rates.take("a") > 0
    clock.now += 1000
    assert [rates.take("a") > 0 for _ in range(4)] == [False, False, False, True]


@given(
    st.floats(0.1, 1000),
    st.integers(1, 100),
    st.lists(st.floats(0, 10), max_size=200),
)
def test_no_more_than_the_law_allows(rate: float, burst: int, pauses: list[float]) -> None:
    """At any time at most burst + rate * seconds questions have come through; a refusal costs nothing."""
    rates, begin = Rates(rate, burst, clock := Clock()), 1000.0
    passed = 0
    for pause in pauses:
        clock.now += pause
        passed += rates.take("a") == 0
        assert passed <= burst + rate * (clock.now - begin) + 1e-3
    clock.now += burst / rate + 1
    assert all(rates.take("a") == 0 for _ in range(burst))


def test_buckets_take_bounded_memory() -> None:
    """Whoever was not heard for longest is forgotten."""
    rates = Rates(1, 1, Clock(), most=100)
    for number in range(1000):
        assert rates.take(str(number)) == 0
    assert rates.buckets == 100
    assert rates.take("999") > 0
    assert rates.take("0") == 0


def test_no_limit() -> None:
    """0 stands for none."""
    rates = Rates(0, 1, Clock())
    assert not any(rates.take("a") for _ in range(1000))
    assert rates.buckets == 0


def test_whose_bucket_it_is() -> None:
    """An IPv6 network has one bucket, not 2 to the power of 64; IPv4 is itself, however it is written."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:2") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.7") == network_of("192.0.2.7") != network_of("192.0.2.8")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("") == ""


def test_tokens_and_addresses_are_counted_apart(file: Path) -> None:
    """Who guesses tokens runs out of questions; the token's owner at the same address does not."""
    guard = Guard.of(Settings(tokens=file, rate_limit=1, rate_burst=2), Clock())
    for _ in range(2):
        with pytest.raises(UnknownCallerError):
            guard.admit(["Bearer guess"], PEER)
    with pytest.raises(TooOftenError) as caught:
        guard.admit(["Bearer guess"], PEER)
    assert (caught.value.status, caught.value.headers) == (429, {"retry-after": "1"})
    for peer in (PEER, "198.51.100.1"):
        guard.admit([f"Bearer {TOKEN}"], peer)
    with pytest.raises(TooOftenError):
        guard.admit([f"Bearer {TOKEN}"], "203.0.113.1")


# Work at once


async def test_work_at_once_is_bounded() -> None:
    """So many are in work, four times as many wait, the next one is sent away; then there is room again."""
    gate, release, most = QueryGate(2, 5), asyncio.Event(), 0
    working = 0

    async def work() -> int:
        nonlocal working, most
        working += 1
        most = max(most, working)
        await release.wait()
        working -= 1
        return 1

    tasks = [asyncio.create_task(gate.run(work)) for _ in range(2 * (1 + QUEUE))]
    await asyncio.sleep(0.01)
    with pytest.raises(BusyError, match="10 questions are in work or wait") as caught:
        await gate.run(work)
    assert (caught.value.status, caught.value.headers) == (503, {"retry-after": "1"})
    release.set()
    assert await asyncio.gather(*tasks) == [1] * 10
    assert most == 2
    assert await gate.run(work) == 1


async def test_one_caller_leaves_room_for_others() -> None:
    """It has half of the places, in work and in all; others are worked on at once, however slow it is."""
    gate, release, working = QueryGate(4, 5), asyncio.Event(), set[str]()

    async def work(name: str) -> str:
        working.add(name)
        await release.wait()
        return name

    def asked(caller: str, questions: int) -> list[asyncio.Task[str]]:
        names = [f"{caller} {number}" for number in range(questions)]
        return [asyncio.create_task(gate.run(partial(work, name), caller)) for name in names]

    greedy = asked("greedy", 10)
    await asyncio.sleep(0.01)
    for _ in range(2):
        with pytest.raises(BusyError, match="10 of your questions are in work or wait") as caught:
            await gate.run(partial(work, "one more"), "greedy")
        assert (caught.value.code, caught.value.status) == ("busy", 503)
        assert caught.value.headers == {"retry-after": "1"}
    assert working == {"greedy 0", "greedy 1"}
    modest = asked("modest", 2)
    await asyncio.sleep(0.01)
    assert {"modest 0", "modest 1"} <= working
    others = asked("other", 8)
    await asyncio.sleep(0.01)
    with pytest.raises(BusyError, match="20 questions are in work or wait"):
        await gate.run(partial(work, "one more"), "late")
    release.set()
    assert len(await asyncio.gather(*greedy, *modest, *others)) == 20
    assert await gate.run(partial(work, "again"), "greedy") == "again"
    assert gate._shares == {}


async def test_a_caller_whose_questions_never_end() -> None:
    """Those that were given up hold its places, not others'; with one place in work others wait for it."""
    gate = QueryGate(2, 0.05)
    for _ in range(3):
        with pytest.raises(BusyError, match="no answer"):
            await gate.run(asyncio.Event().wait, "greedy")

    async def quick() -> str:
        return "quick"

    assert await gate.run(quick, "modest") == "quick"
    with pytest.raises(BusyError, match="no answer"):
        await gate.run(quick, "greedy")
    await gate.close()
    assert gate._shares == {}


async def test_a_question_that_takes_too_long() -> None:
    """It is given up, but its place is free only when its work has ended; those behind it give up, too."""
    gate, release = QueryGate(1, 0.05), asyncio.Event()
    ended: list[str] = []

    async def slow() -> None:
        await release.wait()
        ended.append("slow")

    async def quick() -> str:
        ended.append("quick")
        return "quick"

    for work in (slow, quick):
        with pytest.raises(BusyError, match=r"no answer after 0\.05 s") as caught:
            await gate.run(work)
        assert caught.value.code == "query_timeout"
    assert ended == []
    release.set()
    assert await gate.run(quick) == "quick"
    assert ended == ["slow", "quick"]


async def test_faults_come_through(caplog: pytest.LogCaptureFixture) -> None:
    """To whoever asked, or to the log if nobody waits any more."""
    gate, release = QueryGate(1, 0.05), asyncio.Event()

    async def bad() -> None:
        await release.wait()
        raise ZeroDivisionError

    with pytest.raises(BusyError):
        await gate.run(bad)
    release.set()
    with pytest.raises(ZeroDivisionError):
        await gate.run(bad)
    assert "a question that was given up failed: ZeroDivisionError()" in caplog.text


async def test_closing_ends_what_is_in_work() -> None:
    """A stop waits for no question."""
    gate = QueryGate(1, 60)
    asking = [asyncio.create_task(gate.run(asyncio.Event().wait)) for _ in range(3)]
    await asyncio.sleep(0.01)
    await gate.close()
    answers: list[Any] = await asyncio.gather(*asking, return_exceptions=True)
    assert all(isinstance(answer, asyncio.CancelledError) for answer in answers)


def test_the_modes_are_those_of_posix(file: Path) -> None:
    """The fixture writes what the tests above take for granted."""
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
