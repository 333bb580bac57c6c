"""Dead letters listed, explained and replayed: a replay is the event that it replays, and comes once."""

import ast
import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import click
import msgspec
import pytest
from aiohttp import web
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from hypothesis import given
from hypothesis import strategies as st
from support.cluster import Cluster
from support.fakes import NAMES, RULES, done, record

from schemas.dead_letters import MAX_WHOLE_BYTES, Fault, dead_letter, dead_letter_headers
from schemas.errors import PARSE_CODES
from schemas.origins import (
    REPLAY_HEADERS,
    REPLAY_OF,
    REPLAY_TIME,
    REPLAYS,
    Origin,
    TopicPartitionOffset,
    read_origin,
)
from schemas.reasons import HTTP, REASONS, reason_of
from schemas.replays import failed_place, original_headers, replay_headers, replayed_letter, replays_of
from schemas.uploads import Record, Upload, parse_upload
from streams.app.settings import Settings
from streams.cli.dead_letters.filters import TimeParam
from streams.cli.dead_letters.views import as_json, explanation, line, shown
from streams.cli.local.embedded_broker import EmbeddedBroker
from streams.fold.changes import Changes
from streams.fold.fold import fold
from streams.kafka.admin import ensure_topics
from streams.kafka.connection import KafkaConnection
from streams.kafka.letters.box import DeadLetterBox, choose
from streams.kafka.letters.letters import Letter, ReplayedLetters, Selection
from streams.kafka.letters.replay import Replayer
from streams.kafka.offset_ranges import OffsetRanges, find_offset_ranges, read_offset_ranges
from streams.state.partition import PartitionState

ROOT = Path(__file__).parents[2]
BUSY = Fault("http_503", "fetch", retryable=True, error="SourceBusyError", message="status 503")
BAD = Fault("invalid_event", "parse", retryable=False, error="BadEventError", message="no url")
EVENT = b'{"public_id":"img","url":"http://user@Photos.example:8080/a.jpg"}'
LETTER_TIME = 1_700_000_000_000

header_lists = st.lists(
    st.tuples(st.text() | st.sampled_from(list(REPLAY_HEADERS)), st.none() | st.binary(max_size=40))
)


def letter_record(original: Record, fault: Fault = BUSY, offset: int = 3) -> Record:
    """The dead letter that a worker writes about a record."""
    return Record(
        topic=NAMES.dead_letters,
        partition=original.partition,
        offset=offset,
        timestamp=LETTER_TIME,
        key=original.key,
        value=original.value,
        headers=dead_letter_headers(original, fault),
    )


def letter(fault: Fault = BUSY, value: bytes | None = EVENT, offset: int = 3) -> Letter:
    return Letter.of(letter_record(record(7, value), fault, offset))


def replayed(found: Record, offset: int) -> Record:
    """The record that a replay of a letter publishes."""
    failed = failed_place(found.headers)
    assert failed is not None
    headers = replay_headers(found, failed)
    return record(offset, found.value, found.key, headers=headers, timestamp=LETTER_TIME + 9_000)


def identity(upload: Upload) -> tuple[str, str]:
    return upload.source, upload.id


def test_a_replay_of_a_plain_event_is_the_same_event() -> None:
    """Without `event_id` and `uploaded_at`: its identity and time are those of the first."""
    original = record(7, EVENT)
    upload = parse_upload(replayed(letter_record(original), 20))
    assert (
        identity(upload) == identity(parse_upload(original)) == ("kafka:image.uploads", "image.uploads/0/7")
    )
    assert upload.at == original.timestamp


def test_a_replay_of_a_replay_keeps_the_first_identity() -> None:
    """However often it fails again, it stays one event, and its headers do not grow."""
    first = letter_record(record(7, EVENT, headers=[("a", None)]), offset=3)
    second = letter_record(replayed(first, 20), BAD, offset=4)
    again = replayed(second, 30)
    assert identity(parse_upload(again)) == ("kafka:image.uploads", "image.uploads/0/7")
    assert len(again.headers) == 1 + len(REPLAY_HEADERS)
    assert replayed_letter(again.headers) == TopicPartitionOffset(NAMES.dead_letters, 0, 4)
    assert read_origin(again.headers) == Origin(TopicPartitionOffset("image.uploads", 0, 7), 1_000)


@given(st.sampled_from([b'"event_id":"e1",', b'"uploaded_at":"1970-01-01T00:30:00Z","event_id":"e2",']))
def test_what_the_event_says_itself_counts(fields: bytes) -> None:
    """`event_id` and `uploaded_at` go before the headers of a replay."""
    original = record(7, EVENT.replace(b"{", b"{" + fields))
    before, after = parse_upload(original), parse_upload(replayed(letter_record(original), 20))
    assert identity(before) == identity(after)
    assert after.at == before.at


def test_a_cloud_event_keeps_its_source_and_id() -> None:
    """A CloudEvent's own attributes identify it, whatever the headers of a replay say."""
    attributes = {"specversion": b"1.0", "id": b"1", "source": b"/app", "type": b"image.uploaded"}
    original = record(7, EVENT, headers=[(f"ce_{name}", text) for name, text in attributes.items()])
    assert identity(parse_upload(replayed(letter_record(original), 20))) == ("/app", "1")


@pytest.mark.parametrize(
    ("place", "time"),
    [
        ("image.uploads/0/x", "1"),
        ("image.uploads/0/07", "1"),
        ("image.uploads/0", "1"),
        ("/0/7", "1"),
        ("a\nb/0/7", "1"),
        ("image.uploads/0/7", ""),
        ("image.uploads/0/7", "1e3"),
        ("image.uploads/0/\u0667", "1"),
        ("image.uploads/0/7", "9" * 5000),
    ],
)
def test_headers_that_cannot_be_read_are_no_replay(place: str, time: str) -> None:
    """An event with such headers is taken for what it is: a new one, at its own place and time."""
    headers = [(REPLAY_OF, place.encode()), (REPLAY_TIME, time.encode())]
    upload = parse_upload(record(20, EVENT, headers=headers, timestamp=5_000))
    assert (upload.id, upload.at) == ("image.uploads/0/20", 5_000)


def test_a_forged_origin_gives_no_more_power_than_an_event_id() -> None:
    """Whoever states a place gets the identity that `event_id` could claim as well, and none besides."""
    headers = [(REPLAY_OF, b"image.uploads/0/7"), (REPLAY_TIME, b"0")]
    forged = parse_upload(record(20, EVENT, headers=headers))
    claimed = parse_upload(record(20, EVENT.replace(b"{", b'{"event_id":"image.uploads/0/7",')))
    assert identity(forged) == identity(claimed)


def test_replays_are_counted() -> None:
    """Each replay raises the number in its header; --max-replays leaves out what was replayed so often.

    A letter of an older version, which has the other headers alone, was replayed once.
    """
    found = letter_record(record(7, EVENT))
    for number in range(3):
        assert replays_of(found.headers) == Letter.of(found).replays == number
        assert [Selection(max_replays=most).has(Letter.of(found)) for most in (1, 2, 3)] == [
            number < most for most in (1, 2, 3)
        ]
        found = letter_record(replayed(found, 20 + number), offset=4 + number)
    old = [header for header in found.headers if header[0] != REPLAYS]
    assert replays_of(old) == 1
    assert replays_of([*old, (REPLAYS, b"9" * 50)]) == 1


@given(header_lists)
def test_any_headers(headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever the headers: no exception, and a replay's own come last and once."""
    read_origin(headers)
    replayed_letter(headers)
    assert failed_place(headers) is None
    found = letter_record(record(7, EVENT, headers=headers))
    again = replayed(found, 20).headers
    assert original_headers(again) == [header for header in headers if header[0] not in REPLAY_HEADERS]
    assert [name for name, _ in again[-len(REPLAY_HEADERS) :]] == list(REPLAY_HEADERS)


def test_a_replay_of_what_was_handled_counts_nothing_twice() -> None:
    """Two replays of one letter: the first is counted, the second is the same event and changes nothing."""
    state = PartitionState(0)
    found = letter_record(record(7, EVENT))
    outputs = []
    for offset in (20, 21):
        changes = Changes(state.rows)
        again = replayed(found, offset)
        event = done(offset, parse_upload(again), koala=0.9)
        fold(changes, event, RULES)
        for table, key, value in changes.encoded():
            state.apply(table, key, value)
        outputs.append(len(changes.outputs))
    assert outputs[1] == 0 < outputs[0]


def test_selection() -> None:
    """Each filter excludes what does not fit; none of them excludes nothing."""
    busy, bad = letter(BUSY, offset=3), letter(BAD, b"{not json", offset=4)

    def chosen(**which: object) -> list[int]:
        return [found.record.offset for found in (busy, bad) if Selection(**which).has(found)]  # type: ignore[arg-type]

    assert chosen() == [3, 4]
    assert chosen(reasons=("http_503",)) == chosen(reasons=("http_5*", "timeout")) == [3]
    assert chosen(stages=("parse",)) == [4]
    assert chosen(retryable=True) == [3]
    assert chosen(retryable=False) == [4]
    assert chosen(since=LETTER_TIME) == [3, 4]
    assert chosen(since=LETTER_TIME + 1) == chosen(until=LETTER_TIME) == []
    assert chosen(hosts=("photos.example",)) == chosen(hosts=("PHOTOS.example:8080",)) == [3]
    assert chosen(hosts=("other.example",)) == []
    assert chosen(places={(0, 4)}) == chosen(replayed={(0, 3)}) == [4]


@given(
    st.none() | st.binary() | st.from_regex(r'\{"public_id":.{1,5},"url":"http://.{0,9}"\}').map(str.encode)
)
def test_any_letter_can_be_shown(value: bytes | None) -> None:
    """Whatever the event: a line, an explanation and JSON that a terminal takes for no commands."""
    found = letter(BUSY, value)
    for text in (line(found).plain, explanation(found, "t").plain.replace("\n", ""), as_json(found).decode()):
        assert text.isprintable()
    assert json.loads(as_json(found, everything=True))["cure"]


def test_the_value_of_a_letter_can_be_had_back() -> None:
    """JSON gives a text as it is, and what is no text in base64."""
    assert json.loads(as_json(letter()))["original"] == EVENT.decode()
    assert json.loads(as_json(letter(BUSY, b"\xff")))["original"] == {"base64": "/w=="}
    assert json.loads(as_json(letter(BUSY, None)))["original"] is None


def test_no_escape_sequence_reaches_the_terminal() -> None:
    """What a stranger's event holds is shown, not obeyed."""
    assert shown(b"\x1b]0;x\x07\xff") == "\\x1b]0;x\\x07\\xff"
    assert shown("a\u202eb\u009b") == "a\\u202eb\\x9b"
    assert shown("x" * 10, 4) == "xxxx… (10 characters)"


@given(st.sets(st.integers(0, 300)), st.integers(0, 300))
def test_replayed_letters(offsets: set[int], start: int) -> None:
    """Law: exactly those that were added and are in the ranges are in it."""
    ranges = OffsetRanges("letters", {0: start}, {0: 300})
    found = ReplayedLetters(ranges)
    for offset in offsets:
        found.add(TopicPartitionOffset("letters", 0, offset))
        found.add(TopicPartitionOffset("other", 0, 299 - offset))
        found.add(TopicPartitionOffset("letters", 1, offset))
    expected = {offset for offset in offsets if start <= offset < 300}
    assert {offset for offset in range(-9, 320) if (0, offset) in found} == expected
    assert (1, 5) not in found


@pytest.mark.parametrize(
    ("text", "expected"), [("2026-01-31T12:00:00Z", 1_769_860_800_000), ("2026-01-31", 1_769_817_600_000)]
)
def test_moments(text: str, expected: int) -> None:
    """RFC 3339, without an offset UTC; nonsense is refused with an example."""
    assert TimeParam().convert(text, None, None) == expected
    assert TimeParam().convert("1h", None, None) < TimeParam().convert("59m", None, None)
    for nonsense in ("yesterday", "7w", "", "-1h", "9" * 30):
        with pytest.raises(click.BadParameter, match="12h"):
            TimeParam().convert(nonsense, None, None)


def emitted_codes() -> set[str]:
    """Every code that the sources hand to an error of a bad event, a bad image or a source."""
    calls = {
        "BadEventError": 0, "BadImageError": 0, "SourceGoneError": 0, "SourceBusyError": 0,
        "check_visible": 0, "_rejected": 1,
    }  # fmt: skip
    found: set[str] = set()
    for path in (path for room in ("schemas", "model", "streams") for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                found |= texts_in(node.args[calls[node.func.id]])
    return found


def texts_in(node: ast.expr) -> set[str]:
    if isinstance(node, ast.JoinedStr):
        return {HTTP} if ast.unparse(node) == "f'http_{status}'" else {ast.unparse(node)}
    texts = (part.value for part in ast.walk(node) if isinstance(part, ast.Constant))
    return {text for text in texts if isinstance(text, str) and text}


def test_every_reason_is_explained() -> None:
    """What the code can give as a reason is what the table explains, no more and no less."""
    in_variables = {"invalid_auto_tagging"}
    assert emitted_codes() | in_variables == set(REASONS)
    assert set(PARSE_CODES) < set(REASONS)
    assert all(reason.meaning and reason.cure for reason in REASONS.values())
    assert reason_of("http_404") is REASONS[HTTP]
    assert "no such reason" in reason_of("http_x").meaning


class Photos:
    """A source whose photos can be put in place later. The stub tagger reads the tags out of them."""

    def __init__(self) -> None:
        self.there: dict[str, bytes] = {}
        self.port = 0
        app = web.Application()
        app.router.add_get("/{name}", self._answer)
        self.runner = web.AppRunner(app, access_log=None)

    async def start(self) -> None:
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", 0).start()
        self.port = self.runner.addresses[0][1]

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.port}/{name}"

    async def _answer(self, request: web.Request) -> web.Response:
        data = self.there.get(request.match_info["name"])
        return web.Response(status=404) if data is None else web.Response(body=data)


@pytest.fixture
async def photos() -> AsyncIterator[Photos]:
    source = Photos()
    await source.start()
    yield source
    await source.runner.cleanup()


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path, photos: Photos) -> AsyncIterator[Cluster]:
    environment = {
        "TAGSTREAM_ALLOW_SOURCES": f"127.0.0.1:{photos.port}",
        "TAGSTREAM_TAGGER": "stub",
        "TAGSTREAM_AUTO_TAGGING": "0.4",
        "TAGSTREAM_FETCH_MISSING_FOR": "0",
    }
    cluster = Cluster(kafka, unique, tmp_path, partitions=2, environment=environment)
    try:
        yield cluster
    finally:
        await cluster.close()


async def command(cluster: Cluster, *arguments: str, answer: str = "") -> tuple[int, str, str]:
    """Run `tagstream dead-letters`; return its exit code and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "streams.cli", "dead-letters", *arguments),
        *("--broker", cluster.bootstrap, "--topic-prefix", cluster.names.prefix),
        env={**os.environ, "COLUMNS": "160"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(answer.encode()), 120)
    return process.returncode or 0, out.decode(), err.decode()


async def listed(cluster: Cluster, *arguments: str) -> list[dict[str, object]]:
    code, out, err = await command(cluster, "list", "--json", *arguments)
    assert code == 0, err
    return [json.loads(text) for text in out.splitlines()]


def upload_event(photos: Photos, name: str) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    return name.encode(), b'{"public_id":"%s","url":"%s"}' % (name.encode(), photos.url(name).encode()), []


@pytest.mark.kafka
async def test_letters_are_listed_and_explained(cluster: Cluster, photos: Photos) -> None:
    """Every letter is found by its reason, stage, host, place and time, and explained with its cure."""
    photos.there["text"] = b"no image"
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish_raw([(b"json", b"{not json\x1b[2J", [("x", b"\x1b")])])
    await cluster.until_folded(1)
    await cluster.publish_raw([(b"field", b'{"public_id":"field"}', []), upload_event(photos, "text")])
    await cluster.publish_raw([upload_event(photos, "gone-1"), upload_event(photos, "gone-2")])
    await cluster.until_folded(5)
    found = await listed(cluster)
    reasons = Counter(item["fault"]["reason"] for item in found)  # type: ignore[index]
    assert reasons == {"invalid_json": 1, "invalid_event": 1, "not_an_image": 1, "http_404": 2}
    assert found[0]["key"] == "json"  # the oldest comes first
    times = [item["at"] for item in found]
    assert times == sorted(times)  # type: ignore[type-var]
    assert await listed(cluster, "--reason", "http_*", "--reason", "invalid_json") == [
        item for item in found if item["key"] in {"json", "gone-1", "gone-2"}
    ]
    assert [item["key"] for item in await listed(cluster, "--stage", "decode")] == ["text"]
    assert len(await listed(cluster, "--host", f"127.0.0.1:{photos.port}")) == 3
    assert len(await listed(cluster, "--since", "1h")) == 5
    assert len(await listed(cluster, "--since", str(times[1]))) == 4
    assert len(await listed(cluster, "--until", str(times[1]))) == 1
    assert await listed(cluster, "--until", "1h") == await listed(cluster, "--retryable") == []
    assert await listed(cluster, "--limit", "2") == found[-2:]

    code, out, _ = await command(cluster, "list", "--limit", "1")
    assert code == 0
    assert "the newest 1 of 5 that match" in out
    assert reason_of("http_404").meaning in " ".join(out.split())

    place = str(found[0]["letter"])
    code, out, _ = await command(cluster, "explain", place)
    assert code == 0
    assert "\x1b" not in out
    for expected in (
        f"{cluster.names.uploads}/",
        "{not json\\x1b[2J",
        "x: \\x1b",
        REASONS["invalid_json"].cure,
    ):
        assert expected in out
    code, out, _ = await command(cluster, "explain", place, "--json")
    assert json.loads(out)["headers"] == [["x", "\x1b"]]
    code, _, err = await command(cluster, "explain", "0/999")
    assert (code, "there is no dead letter 0/999" in err) == (78, True)
    code, _, err = await command(cluster, "explain", "nonsense")
    assert (code, "PARTITION/OFFSET, such as 0/12" in err) == (2, True)


@pytest.mark.kafka
async def test_a_mended_source_and_a_replay(cluster: Cluster, photos: Photos) -> None:
    """Photos that were missing and are there now: a replay gives their results and counts them, once."""
    names = [f"photo-{number}" for number in range(40)]
    await cluster.start(0)
    await cluster.until_ready([0])
    for wave in (names[:10], names[10:]):
        await cluster.publish_raw([upload_event(photos, name) for name in wave])
        await until_settled(cluster)
    photos.there = dict.fromkeys(names[10:], b'{"koala": 0.9}')

    code, out, _ = await command(cluster, "replay", "--dry-run")
    assert (code, "40 events would be published" in out) == (0, True)
    code, _, err = await command(cluster, "replay", answer="n\n")
    assert (code, "Abort" in err) == (1, True)
    assert len(await cluster.read(cluster.names.uploads)) == 40

    code, out, _ = await command(cluster, "replay", "--new-only", "--limit", "15", answer="y\n")
    assert (code, "15 of 15 events were published" in out) == (0, True)
    code, out, _ = await command(cluster, "replay", "--new-only", "--yes")
    assert (code, "25 of 25 events were published" in out) == (0, True)
    await until_settled(cluster)
    assert Counter(result["public_id"] for result in await cluster.results()) == Counter(names[10:])
    assert await cluster.counts() == {"koala": 30}

    photos.there = dict.fromkeys(names, b'{"koala": 0.9}')
    failed_again = await listed(cluster, "--new-only")
    assert {item["key"] for item in failed_again} == set(names[:10])
    code, out, _ = await command(cluster, "replay", "--new-only", "--yes")
    assert (code, "10 of 10 events were published" in out) == (0, True)
    await until_settled(cluster)
    results = await cluster.results()
    assert Counter(result["public_id"] for result in results) == Counter(names)
    assert await cluster.counts() == {"koala": 40}
    uploads = await cluster.read(cluster.names.uploads)
    originals = {message.key: message for message in uploads if not message.headers}
    for message in uploads:  # the same bytes in the same partition: there the image's state is
        original = originals[message.key]
        assert (message.value, message.partition) == (original.value, original.partition)
    places = {f"{cluster.names.uploads}/{one.partition}/{one.offset}" for one in originals.values()}
    assert {result["cause"]["id"] for result in results} == places


@pytest.mark.kafka
async def test_a_second_replay_sends_nothing(cluster: Cluster, photos: Photos) -> None:
    """With --new-only nothing is sent twice; without it the repeats are known and change nothing."""
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.publish_raw([upload_event(photos, name) for name in ("a", "b", "c")])
    await cluster.until_folded(3)
    photos.there = dict.fromkeys("abc", b'{"koala": 0.9}')
    first = await listed(cluster)
    code, out, _ = await command(cluster, "replay", str(first[0]["letter"]), "--yes")
    assert (code, "1 of 1 events were published" in out) == (0, True)
    assert [item["letter"] for item in await listed(cluster, "--new-only")] == [
        item["letter"] for item in first[1:]
    ]
    assert "2 of 2" in (await command(cluster, "replay", "--new-only", "--yes"))[1]
    await until_settled(cluster)
    assert await cluster.counts() == {"koala": 3}
    code, out, _ = await command(cluster, "replay", "--new-only", "--yes")
    assert (code, "no dead letter matches" in out) == (0, True)
    assert len(await cluster.read(cluster.names.uploads)) == 6
    assert "3 of 3" in (await command(cluster, "replay", "--yes"))[1]
    await until_settled(cluster)
    assert await cluster.counts() == {"koala": 3}
    assert len(await cluster.results()) == 3


async def until_settled(cluster: Cluster) -> None:
    """Wait until everything that was published is folded in."""
    uploads = await cluster.read(cluster.names.uploads)
    ends = {message.partition: message.offset + 1 for message in uploads}
    await cluster.until_folded(sum(ends.values()))


@pytest.mark.kafka
async def test_a_replay_that_is_cut_short_can_be_completed(
    new_broker: Callable[[], EmbeddedBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker dies in the middle: what was sent is known, and --new-only sends just the rest."""
    monkeypatch.setattr("streams.kafka.letters.replay.DEADLINE", 5.0)
    broker = new_broker()
    await asyncio.to_thread(broker.start)
    connection = KafkaConnection(broker.bootstrap_servers)
    await ensure_topics(connection, Settings(partitions=2))
    await publish_letters(connection, 1200)
    letters = (await choose(await DeadLetterBox.open(connection, NAMES), Selection())).letters()
    replayer = Replayer(connection, NAMES)
    with pytest.raises(KafkaError):
        async with replayer, aclosing(letters), aclosing(with_a_kill(letters, broker, after=700)) as cut:
            await replayer.replay(cut)
    assert (replayer.sent, replayer.in_doubt) == (500, 500)

    await asyncio.to_thread(broker.start)
    connection = KafkaConnection(broker.bootstrap_servers)
    box = await DeadLetterBox.open(connection, NAMES)
    rest = await choose(box, Selection(), new_only=True)
    assert len(rest) == 700
    async with Replayer(connection, NAMES) as again, aclosing(rest.letters()) as remaining:
        await again.replay(remaining)
    assert (again.sent, again.in_doubt, again.foreign) == (700, 0, 0)
    assert len(await choose(box, Selection(), new_only=True)) == 0
    async with aclosing(
        read_offset_ranges(connection, await find_offset_ranges(connection, NAMES.uploads))
    ) as uploads:
        found = Counter([str(replayed_letter(upload.headers)) async for upload in uploads])
    assert len(found) == found.total() == 1200


@pytest.mark.kafka
async def test_a_letter_without_its_event_is_left_alone(kafka: str) -> None:
    """Published again it would be an event without a value, and a second dead letter."""
    original = record(7, b"x" * MAX_WHOLE_BYTES)
    key, value, headers = dead_letter(original, BUSY)
    found = msgspec.structs.replace(letter_record(original), key=key, value=value, headers=headers)
    assert not Letter.of(found).whole
    assert letter().whole

    async def letters() -> AsyncIterator[Letter]:
        yield Letter.of(found)

    async with Replayer(KafkaConnection(kafka), NAMES) as replayer:
        await replayer.replay(letters())
    assert (replayer.sent, replayer.in_doubt, replayer.foreign) == (0, 0, 1)


async def publish_letters(connection: KafkaConnection, count: int) -> None:
    async with AIOKafkaProducer(**connection.aiokafka_options(), linger_ms=20) as producer:
        sends = []
        for number in range(count):
            partition = number % 2
            failed = record(number, EVENT, partition=partition)
            headers = dead_letter_headers(failed, BUSY)
            sends.append(
                await producer.send(NAMES.dead_letters, EVENT, b"k", partition=partition, headers=headers)
            )
        await asyncio.gather(*sends)


async def with_a_kill(
    letters: AsyncGenerator[Letter, None], broker: EmbeddedBroker, after: int
) -> AsyncGenerator[Letter, None]:
    """The letters that were read before and after a kill of the broker."""
    number = 0
    async for found in letters:
        number += 1
        if number == after:
            await asyncio.to_thread(broker.kill)
        yield found
