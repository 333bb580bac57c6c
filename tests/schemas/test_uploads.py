"""Upload events: what is accepted, what it comes to, and what is refused with which code."""

import contextlib
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import PARSE_CODES, BadEventError
from schemas.uploads import (
    MAX_BESIDES_BYTES,
    MAX_CONTEXT_DEPTH,
    MAX_EVENT_BYTES,
    MAX_LANGUAGE,
    MAX_LANGUAGES,
    MAX_PASSED_ON_BYTES,
    MAX_TAGS,
    Record,
    Upload,
    UploadData,
    UploadType,
    parse_upload,
    rank_of,
)

HOUR_MS = 3_600_000
KAFKA_TIME = 1_770_000_000_000  # 2026-02-02T02:40:00Z
URL = "https://example.com/koala.jpg"
STRUCTURED = ("Content-Type", b"Application/CloudEvents+json; charset=UTF-8")
BINARY = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_source", b"shop"),
    ("ce_type", b"image.uploaded"),
)


def record(value: bytes | None, **fields: object) -> Record:
    rest = {"key": b"koala", "timestamp": KAFKA_TIME, "headers": ()} | fields
    return Record(topic="image.uploads", partition=2, offset=7, value=value, **rest)  # type: ignore[arg-type]


def parse(**data: object) -> Upload:
    return parse_upload(record(json.dumps({"url": URL, **data}).encode()))


def structured(**attributes: object) -> Upload:
    event = {"specversion": "1.0", "id": "e1", "source": "shop", "type": "image.uploaded"} | attributes
    return parse_upload(record(json.dumps(event).encode(), headers=[STRUCTURED]))


def binary(*headers: tuple[str, bytes | None], **data: object) -> Upload:
    value = json.dumps({"url": URL, **data}).encode()
    return parse_upload(record(value, headers=[*BINARY, *headers]))


def refused(value: bytes | None, **fields: object) -> BadEventError:
    with pytest.raises(BadEventError) as caught:
        parse_upload(record(value, **fields))
    return caught.value


def milliseconds(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * 1000  # type: ignore[arg-type,misc]


def test_plain_event_with_every_default() -> None:
    """A URL is enough: the key names the image, Kafka's time is the event time, its place the id."""
    upload = parse_upload(record(b'{"url":"https://example.com/koala.jpg"}'))
    assert upload == Upload(
        source="kafka:image.uploads",
        id="image.uploads/2/7",
        type=UploadType.UPLOADED,
        public_id="koala",
        at=KAFKA_TIME,
        data=UploadData(url=URL),
        add_ons=(),
        auto_tagging=None,
    )


def test_the_event_names_the_image_before_the_key() -> None:
    """`public_id` wins over the record's key."""
    assert parse(public_id="panda").public_id == "panda"


def test_all_encodings_say_the_same() -> None:
    """Structured, base64 and binary CloudEvents of the same data give the same upload."""
    data = {"url": URL, "public_id": "koala", "tags": ["grey"]}
    encoded = (
        "eyJ1cmwiOiJodHRwczovL2V4YW1wbGUuY29tL2tvYWxhLmpwZyIsInB1YmxpY19pZCI6ImtvYWxhIiwidGFncyI6WyJncmV5Il19"
    )
    assert structured(data=data) == structured(data_base64=encoded) == binary(**data)
    assert (structured(data=data).source, structured(data=data).id) == ("shop", "e1")


def test_a_cloud_event_is_identified_by_source_and_id() -> None:
    """`event_id` and `type` in the data of a CloudEvent are somebody else's: they are ignored."""
    upload = binary(event_id="other", type="upload")
    assert (upload.source, upload.id, upload.type) == ("shop", "e1", UploadType.UPLOADED)


def test_a_plain_event_is_identified_by_its_event_id() -> None:
    """The topic stands for the source."""
    upload = parse(event_id="e9")
    assert (upload.source, upload.id) == ("kafka:image.uploads", "e9")


def test_event_time_precedence() -> None:
    """`uploaded_at` wins over the CloudEvent's time, that one over Kafka's timestamp; empty is absent."""
    time = ("ce_time", b"2026-02-01T00:00:00Z")
    assert binary(time, uploaded_at="2026-01-31T12:00:00Z").at == milliseconds(2026, 1, 31, 12)
    assert binary(time).at == milliseconds(2026, 2, 1)
    assert structured(data={"url": URL}, time="2026-02-01T00:00:00Z").at == milliseconds(2026, 2, 1)
    assert binary().at == KAFKA_TIME
    assert binary(("ce_time", None), uploaded_at="").at == KAFKA_TIME


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-31T12:00:00Z",
        "2026-01-31t12:00:00z",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00",
        "2026-01-31T13:30:00+01:30",
        "2026-01-31T12:00:00.000999Z",
        "2026-01-31T12:00:00.000000001Z",
    ],
)
def test_event_times(text: str) -> None:
    """RFC 3339 in either case and any precision; a time without an offset is UTC."""
    assert parse(uploaded_at=text).at == milliseconds(2026, 1, 31, 12)


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "yesterday",
        "1700000000",
        "2026-13-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-01:00",
        "2026-01-31T12:00:00Z" * 100,
    ],
)
def test_impossible_event_times(text: str) -> None:
    """What is no time, or outside 1970 to 9999 in UTC, is refused with the time in the message."""
    error = refused(json.dumps({"url": URL, "uploaded_at": text}).encode())
    assert error.code == "invalid_event"
    assert repr(text[:64]) in str(error)


def test_kafka_without_a_timestamp() -> None:
    """Kafka says -1 where a record has no timestamp: then the event must have a time."""
    error = refused(b'{"url":"https://example.com/"}', timestamp=-1)
    assert error.code == "invalid_event"
    assert "Kafka timestamp -1" in str(error)
    dated = record(b'{"url":"https://example.com/","uploaded_at":"1970-01-01T00:00:00Z"}', timestamp=-1)
    assert parse_upload(dated).at == 0


@given(st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9999, 12, 31)))  # noqa: DTZ001
def test_milliseconds_are_exact(moment: datetime) -> None:
    """No float rounds an event time into the millisecond before."""
    exact = int(moment.replace(microsecond=0, tzinfo=UTC).timestamp()) * 1000 + moment.microsecond // 1000
    published = record(json.dumps({"url": URL, "uploaded_at": moment.isoformat()}).encode(), timestamp=exact)
    assert parse_upload(published).at == exact


def test_an_event_time_may_be_an_hour_ahead_of_kafka() -> None:
    """Clocks differ a little; one that is wrong by more would freeze the image until its time has come."""
    at = milliseconds(2026, 3, 1, 12)
    value = json.dumps({"url": URL, "uploaded_at": "2026-03-01T12:00:00Z"}).encode()
    assert parse_upload(record(value, timestamp=at - HOUR_MS)).at == at
    error = refused(value, timestamp=at - HOUR_MS - 1)
    assert error.code == "invalid_event"
    found = "'2026-03-01T12:00:00Z' is more than an hour ahead of the record's Kafka timestamp"
    assert found in str(error)
    assert "check the publisher's clock and time zone" in str(error)


@pytest.mark.parametrize("told", [{}, {"uploaded_at": "2126-03-01T12:00:00Z"}], ids=["none told", "told"])
def test_kafka_s_own_timestamp_may_be_no_further_ahead(told: dict[str, str]) -> None:
    """Where a topic takes timestamps of the far future, the worker's clock says how late it is.

    A day's patience: a clock that is hours behind must not refuse what is right.
    """
    at = milliseconds(2126, 3, 1, 12)
    published = record(json.dumps({"url": URL, **told}).encode(), timestamp=at)
    assert parse_upload(published, at - 24 * HOUR_MS).at == at
    with pytest.raises(BadEventError, match="a day ahead of this worker's clock"):
        parse_upload(published, at - 24 * HOUR_MS - 1)


def test_a_replay_that_claims_to_be_of_the_future_is_refused() -> None:
    """The time in a replay's headers is held against its own Kafka timestamp, like any other."""
    headers = [("tagstream.replay-of", b"image.uploads/0/1"), ("tagstream.replay-time", b"4000000000000")]
    error = refused(json.dumps({"url": URL}).encode(), headers=headers)
    assert "Kafka timestamp 4000000000000 is more than an hour ahead" in str(error)


@pytest.mark.parametrize(
    ("asked", "add_ons"),
    [
        ("imagga_tagging", ("imagga_tagging",)),
        (" b , a,,b, ", ("b", "a")),
        (["b", " a ", "b", ""], ("b", "a")),
        (["a,b"], ("a", "b")),
        ("", ()),
        ([], ()),
        (None, ()),
    ],
)
def test_add_ons(asked: object, add_ons: tuple[str, ...]) -> None:
    """A list and a comma string mean the same: distinct names in their order, blanks dropped."""
    assert parse(categorization=asked).add_ons == add_ons


@pytest.mark.parametrize(("asked", "none"), [([], True), ([""], False), ("", False), (None, False)])
def test_an_empty_list_asks_for_no_add_on(asked: object, none: bool) -> None:  # noqa: FBT001 - a parameter
    """Only a list without any entry says that nothing is to look at the image."""
    assert parse(categorization=asked).asks_for_no_add_on is none


def test_an_asset_has_its_own_limit() -> None:
    """It is kept in the image's row, so it has at most 64 KiB."""
    asset = {"asset_id": "0" * 32, "context": {"a": "x" * 65_000}}
    assert parse(asset=asset).data.asset is not None
    asset["context"] = {"a": "x" * 65_600}
    assert refused(json.dumps({"url": URL, "asset": asset}).encode()).code == "event_too_large"


@pytest.mark.parametrize(
    ("given_value", "threshold"),
    [(0, 0.0), (1, 1.0), (0.6, 0.6), ("0.60", 0.6), (" 1e-1 ", 0.1), ("", None), (None, None)],
)
def test_thresholds(given_value: object, threshold: float | None) -> None:
    """`auto_tagging` is a number or its string; an empty one asks for the default."""
    assert parse(auto_tagging=given_value).auto_tagging == threshold


@pytest.mark.parametrize(
    "text",
    [
        *("-0.1", "1.0001", "1e400", "9" * 5000, "true", "[0.5]"),
        *(
            '"1.1"',
            '"nan"',
            '"inf"',
            '"-inf"',
            '"60%"',
            '"0,5"',
            '"0_1"',
            '"\u0660.\u0665"',
            '" "',
            f'"0.{"1" * 40}"',
        ),
    ],
)
def test_impossible_thresholds(text: str) -> None:
    """What is no number from 0 to 1 has a code of its own."""
    error = refused(f'{{"url":"{URL}","auto_tagging":{text}}}'.encode())
    assert error.code == "invalid_auto_tagging"
    assert "auto_tagging" in str(error)


@pytest.mark.parametrize("token", ["NaN", "Infinity", "-Infinity"])
def test_tokens_that_json_lacks(token: str) -> None:
    """Python writes NaN where JSON has no such number: the value is no JSON at all."""
    assert refused(f'{{"url":"{URL}","auto_tagging":{token}}}'.encode()).code == "invalid_json"


def test_tags_are_stripped_and_distinct() -> None:
    """Blank tags and repeats go, the order stays."""
    assert parse(tags=[" sea ", "sky", "sea", "", "  ", "sky\n"]).data.tags == ["sea", "sky"]
    assert parse(tags=[]).data.tags == []


@pytest.mark.parametrize("kind", ["image.update", "image.deleted"])
def test_only_an_upload_needs_a_url(kind: str) -> None:
    """Updates and deletions speak of an image that is known."""
    assert parse_upload(record(json.dumps({"type": kind}).encode())).type == kind


def test_duplicate_keys() -> None:
    """Where a key is there twice, the last one counts, as in most JSON readers."""
    assert parse_upload(record(b'{"url":"https://a/","url":"https://b/"}')).data.url == "https://b/"


def test_unknown_fields_are_ignored() -> None:
    """A publisher may be newer than the worker."""
    assert parse(shape={"round": [True]}).data == UploadData(url=URL)


def test_numbers_and_texts_stand_for_each_other() -> None:
    """One rule for all fields: a whole number stands for its digits, and digits for the number."""
    upload = parse(public_id=7, user_id=12, tags=[2026, "x"], version="1690000000", auto_tagging="0.4")
    assert (upload.public_id, upload.data.user_id, upload.data.tags) == ("7", "12", ["2026", "x"])
    assert (upload.data.version, upload.auto_tagging) == (1_690_000_000, 0.4)


@pytest.mark.parametrize("field", [{"public_id": True}, {"user_id": 1.5}, {"version": "one"}, {"url": 7}])
def test_nothing_else_is_taken_for_anything(field: dict[str, object]) -> None:
    """A truth, a fraction, a word and a number where a URL is meant are refused, with the field's name."""
    error = refused(json.dumps({"url": URL} | field).encode())
    assert error.code == "invalid_event"
    assert next(iter(field)) in str(error)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b'\xef\xbb\xbf{"url":"x"}', "byte order mark"),
        ('{"url":"x"}'.encode("utf-16"), "UTF-16"),
        ('{"url":"x"}'.encode("utf-16-be"), "UTF-16"),
        (b'{"url":"x","tags":["\\ud800"]}', "half of a surrogate pair"),
        (b'\0\0\0\0\x07{"url":"x"}', "schema registry's prefix (schema 7)"),
        (b"\0\0\0\0\x07\x0akoala", "Avro or Protobuf"),
        (b"\n<!DOCTYPE html><html></html>", "HTML page"),
        (b'"{\\"url\\": \\"x\\"}"', "a string that holds JSON"),
        (b'{"schema":{"type":"struct"},"payload":{"url":"x"}}', "Connect envelope"),
        (b'{"Records":[]}', "source = 's3'"),
        (b'{"op":"d","before":{"id":1},"after":null}', "source = 'debezium'"),
        (b'[{"eventType":"a","data":{},"subject":"b"}]', "source = 'azure'"),
        (b'{"url":"x","uploaded_at":1690000000000}', "milliseconds since 1970, which is 2023-07-22T04:26:40"),
        (b'{"url":"x","uploaded_at":"1690000000"}', "looks like seconds since 1970"),
        (b'{"url":"x","auto_tagging":40}', "did you mean 0.4?"),
    ],
)
def test_messages_say_what_was_sent_instead(value: bytes, said: str) -> None:
    """What looks like something that is known is named, with the cure."""
    assert said in str(refused(value))


def test_nothing_is_removed_by_a_guess() -> None:
    """A plain event that names no image, and holds something that may, is not one about its record's key."""
    for value in (
        {"type": "image.deleted", "data": {"public_id": "x"}},
        {"type": "image.deleted", "event": {"id": 1}},
    ):
        assert refused(json.dumps(value).encode()).code == "invalid_event"
    assert parse_upload(record(b'{"type":"image.deleted"}')).public_id == "koala"


def test_a_sequencer_orders_above_versions() -> None:
    """Compared as numbers of any length, whatever the case and the zeros before."""
    told = [parse(version=2**53), *(parse(sequencer=text) for text in ("00ff", "0100", "0055AED6DCD90281E5"))]
    ranks = [rank_of(upload.version) for upload in told if upload.version is not None]
    assert ranks == sorted(ranks)
    assert len(ranks) == 4
    assert parse(sequencer="0AbC").version == "abc"
    assert refused(json.dumps({"url": URL, "sequencer": "xyz"}).encode()).code == "invalid_event"


@pytest.mark.parametrize("value", [None, b""])
def test_empty_value(value: bytes | None) -> None:
    """A tombstone is no upload event."""
    assert refused(value).code == "empty_value"


@pytest.mark.parametrize(
    "value",
    [
        b" ",
        b"{",
        b"koala",
        b'{"url":"x"} x',
        b'\xef\xbb\xbf{"url":"x"}',
        '{"url":"x"}'.encode("utf-16"),
        b'{"url":"\xff"}',
        b'{"url":"\xed\xa0\x80"}',
        b'{"url":"\\ud800"}',
        b'{"url":"\\ud800\\ud800"}',
        b'{"url":"\\udc00x"}',
        b'{"url":"x","context":{"\\udfff":1}}',
        b'{"url":"x","context":' + b'{"a":' * 100_000,
        b'{"url":"x","unknown":' + b"[" * 100_000,
    ],
)
def test_not_json(value: bytes) -> None:
    """Other text, other encodings, lone surrogates and bottomless nesting are not JSON to us."""
    assert refused(value).code == "invalid_json"


@pytest.mark.parametrize("value", [b"[" * 100_000, b"[]", b"null", b"1", b'"text"', b"true"])
def test_not_an_object(value: bytes) -> None:
    """JSON that is no object is no event, however deep it goes."""
    error = refused(value)
    assert error.code == "invalid_event"
    assert "object" in str(error)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("public_id", ""),
        ("public_id", "x" * 256),
        ("public_id", " \u3000"),
        ("public_id", "a\x00b"),
        ("public_id", "a\n"),
        ("public_id", "a\x85"),
        ("public_id", 1.5),
        ("event_id", "x" * 256),
        ("event_id", "a\x1fb"),
        ("user_id", "\t"),
        ("tenant", "x" * 256),
        ("etag", "\x7f"),
        ("url", ""),
        ("url", ["https://example.com/"]),
        ("uploaded_at", 1_700_000_000),
        ("version", -1),
        ("version", 2**53 + 1),
        ("version", 10**30),
        ("version", "1e3"),
        ("tags", "sea"),
        ("tags", ["x" * 256]),
        ("tags", ["x"] * (MAX_TAGS + 1)),
        ("added", "sea"),
        ("removed", ["x" * 256]),
        ("removed", ["x"] * (MAX_TAGS + 1)),
        ("by", "\n"),
        ("keep_edits", 1),
        ("categorization", ["x" * 256]),
        ("context", []),
    ],
)
def test_fields_that_break_their_rule(field: str, value: object) -> None:
    """Over-long, blank, invisible or mistyped: the message names the field."""
    error = refused(json.dumps({"url": URL, field: value}).encode())
    assert error.code == "invalid_event"
    assert field in str(error)


def test_tags_with_control_characters() -> None:
    """A control character inside of a tag is refused, and shown escaped."""
    error = refused(json.dumps({"url": URL, "tags": ["sea\x00side"]}).encode())
    assert error.code == "invalid_event"
    assert r"tag 'sea\x00side'" in str(error)


def test_an_edit_is_read() -> None:
    """What was added and removed, each tag once and without blanks around it; it needs no URL."""
    value = b'{"type":"image.tags-edited","added":[" zoo","zoo",""],"removed":["tree"],"by":"ann"}'
    upload = parse_upload(record(value))
    assert (upload.type, upload.data.added, upload.data.removed) == (UploadType.EDITED, ["zoo"], ["tree"])
    assert upload.data.by == "ann"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "`added` and `removed` name no tag"),
        ({"added": [" "], "removed": []}, "`added` and `removed` name no tag"),
        ({"added": ["sea", "zoo"], "removed": [" zoo"]}, "'zoo' is in `added` and in `removed`"),
        ({"added": ["sea\x00side"]}, r"'sea\x00side'"),
    ],
)
def test_edits_that_say_nothing_or_contradict_themselves(data: dict[str, object], told: str) -> None:
    """They are refused, and the message says why."""
    error = refused(json.dumps({"type": "image.tags-edited", **data}).encode())
    assert error.code == "invalid_event"
    assert told in str(error)


def test_missing_url() -> None:
    """An upload without a URL is refused."""
    error = refused(b'{"public_id":"koala"}')
    assert error.code == "invalid_event"
    assert "`url`" in str(error)


@pytest.mark.parametrize("key", [None, b"", b"\xff", b"x" * 256, b" ", b"a\x00"])
def test_a_key_that_names_no_image(key: bytes | None) -> None:
    """Without `public_id` the key must be a name; with it the key may be anything."""
    error = refused(b'{"url":"https://example.com/"}', key=key)
    assert error.code == "invalid_event"
    assert "`public_id`" in str(error)
    named = record(b'{"url":"https://example.com/","public_id":"koala"}', key=key)
    assert parse_upload(named).public_id == "koala"


def test_unknown_types() -> None:
    """Plain or CloudEvent: the code is the same, and the message lists what is known."""
    plain = refused(json.dumps({"url": URL, "type": "image.painted"}).encode())
    headers = [*BINARY[:3], ("ce_type", b"image.painted")]
    enveloped = refused(json.dumps({"url": URL}).encode(), headers=headers)
    assert plain.code == enveloped.code == "unknown_type"
    assert str(plain) == str(enveloped)
    assert "'image.painted'; known are image.uploaded, image.update, image.deleted" in str(plain)


def test_sizes() -> None:
    """A large URL passes, since images come as data URLs; a large rest would burst the results."""
    longest = MAX_EVENT_BYTES - len('{"url":""}')
    assert parse_upload(record(b'{"url":"%s"}' % (b"x" * longest))).public_id == "koala"
    assert refused(b'{"url":"%s"}' % (b"x" * (longest + 1))).code == "event_too_large"
    context = {"note": "x" * MAX_PASSED_ON_BYTES}
    error = refused(json.dumps({"url": URL, "context": context}).encode())
    assert error.code == "event_too_large"
    assert str(MAX_PASSED_ON_BYTES) in str(error)


def test_key_and_headers_have_a_size() -> None:
    """They go into dead letters and rows of retries, too; each header takes more than its text."""
    value = b'{"public_id":"koala","url":"%s"}' % URL.encode()
    largest = [("note", b"x" * (MAX_BESIDES_BYTES - 100))]
    assert parse_upload(record(value, headers=largest)).public_id == "koala"
    many = [("a", None)] * (MAX_BESIDES_BYTES // 11 + 1)
    for headers in ([("note", b"x" * MAX_BESIDES_BYTES)], [("n" * MAX_BESIDES_BYTES, None)], many):
        error = refused(value, headers=headers)
        assert error.code == "event_too_large"
        assert f"bytes of key and headers; at most {MAX_BESIDES_BYTES}" in str(error)


@pytest.mark.parametrize("given_as", [list, ",".join])
def test_languages_have_a_bound(given_as: Callable[[list[str]], list[str] | str]) -> None:
    """A result repeats them at each tag."""
    codes = [f"de-{number:0{MAX_LANGUAGE - 3}}" for number in range(MAX_LANGUAGES)]
    assert parse(language=given_as(codes)).data.language == given_as(codes)
    many = refused(json.dumps({"url": URL, "language": given_as([*codes, "fr"])}).encode())
    long = refused(json.dumps({"url": URL, "language": given_as([codes[0] + "x"])}).encode())
    assert many.code == long.code == "invalid_event"
    assert f"{MAX_LANGUAGES + 1} languages in `language`; at most {MAX_LANGUAGES}" in str(many)
    assert f"has more than {MAX_LANGUAGE} characters" in str(long)


def nested(depth: int) -> dict[str, Any]:
    return {"a": nested(depth - 1)} if depth > 1 else {"a": 1}


def test_context_can_be_written_again() -> None:
    """Nesting and integers that encoders refuse are refused before they get into a result."""
    assert parse(context=nested(MAX_CONTEXT_DEPTH)).data.context == nested(MAX_CONTEXT_DEPTH)
    for bad in (
        nested(MAX_CONTEXT_DEPTH + 1),
        nested(300),
        {"n": 2**64},
        {"n": [-(2**63) - 1]},
        {"n": 10**4000},
    ):
        error = refused(json.dumps({"url": URL, "context": bad}).encode())
        assert error.code == "invalid_event"
        assert "context" in str(error)
    limits = {"n": [2**64 - 1, -(2**63)], "flag": True, "none": None, "x": 0.5}
    assert orjson.loads(orjson.dumps(parse(context=limits).data.context)) == limits


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
wild_headers = st.lists(
    st.tuples(
        st.sampled_from(["content-type", "ce_specversion", "ce_id", "ce_source", "ce_type", "CE_TIME"])
        | st.text(),
        st.none()
        | st.binary()
        | st.sampled_from([b"application/cloudevents+json", b"1.0", b"image.uploaded", b"2026-01-31"]),
    ),
    max_size=8,
)
times = st.integers() | st.just(KAFKA_TIME)
keys = st.none() | st.binary() | st.just(b"koala")


def check_verdict(tried: Record) -> None:
    """Parsing gives an upload that can be written again, or an error whose code is documented."""
    try:
        upload = parse_upload(tried)
    except BadEventError as caught:
        error = caught
    else:
        check_usable(upload)
        return
    assert error.code in PARSE_CODES
    assert str(error)


def check_usable(upload: Upload) -> None:
    """Nothing in an upload stands in the way of a result, a row, an id or a date made from it."""
    assert msgspec.json.decode(msgspec.json.encode(upload), type=Upload) == upload
    orjson.dumps(msgspec.to_builtins(upload))
    assert f"{upload.source}\x1f{upload.id}\x1f{upload.public_id}".encode()
    datetime.fromtimestamp(upload.at / 1000, UTC)


@given(st.binary(), wild_headers, keys, times)
def test_any_bytes(
    value: bytes, headers: list[tuple[str, bytes | None]], key: bytes | None, time: int
) -> None:
    """Whatever the bytes and headers: an upload or a BadEventError, never another exception."""
    check_verdict(record(value, headers=headers, key=key, timestamp=time))


@given(st.dictionaries(st.sampled_from(UploadData.__struct_fields__) | st.text(), json_values), wild_headers)
def test_any_json(data: dict[str, object], headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever the JSON, also with NaN, lone surrogates and large integers: the same."""
    value = json.dumps({"url": URL} | data).encode()
    check_verdict(record(value))
    check_verdict(record(value, headers=headers))
    check_verdict(record(value, headers=BINARY))


@given(st.dictionaries(st.sampled_from(["data", "data_base64", "time", "id", "specversion"]), json_values))
def test_any_cloud_event(attributes: dict[str, object]) -> None:
    """Whatever the attributes of a structured CloudEvent: the same."""
    event = {"specversion": "1.0", "id": "e1", "source": "shop", "type": "image.update"} | attributes
    check_verdict(record(json.dumps(event).encode(), headers=[STRUCTURED]))


visible = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=255)
languages = visible.map(lambda code: code[:MAX_LANGUAGE])
contexts = st.dictionaries(st.text(), st.integers(-(2**63), 2**64 - 1) | st.text() | st.lists(st.booleans()))
upload_data = st.builds(
    UploadData,
    public_id=st.none() | visible,
    url=visible,
    event_id=st.none() | visible,
    type=st.none() | st.sampled_from([str(kind) for kind in UploadType]),
    added=st.lists(visible.map(lambda tag: f"+{tag}"[:255]), unique=True, min_size=1, max_size=9),
    removed=st.none() | st.lists(visible.map(lambda tag: f"-{tag}"[:255]), unique=True, max_size=9),
    by=st.none() | visible,
    keep_edits=st.none() | st.booleans(),
    user_id=st.none() | visible,
    tenant=st.none() | visible,
    uploaded_at=st.none() | st.just("2026-01-31T12:00:00Z"),
    version=st.none() | st.integers(0, 2**53),
    etag=st.none() | visible,
    tags=st.none() | st.lists(visible, unique=True, max_size=9),
    categorization=st.none() | st.text() | st.lists(visible, max_size=9),
    auto_tagging=st.none() | st.floats(0, 1) | st.floats(0, 1).map(lambda number: f"{number:.4f}"),
    language=st.none() | st.text(max_size=MAX_LANGUAGE) | st.lists(languages, max_size=9),
    notification_url=st.none() | st.text(),
    context=st.none() | contexts,
)


@given(upload_data)
def test_round_trip(data: UploadData) -> None:
    """What is encoded from the type is read back with the same fields."""
    if data.type == UploadType.FORGOTTEN:  # of a user, not of an image
        data.user_id = data.user_id or "ann"
    upload = parse_upload(record(msgspec.json.encode(data)))
    assert upload.data == data
    assert upload.public_id == ("" if data.type == UploadType.FORGOTTEN else data.public_id or "koala")
    assert upload.type == (data.type or "image.uploaded")


COSTLY = {
    "numbers": b'"context":{"a":[' + b"1," * 520_000 + b"1]}",
    "lists": b'"context":{"a":[' + b"[]," * 80_000 + b"1]}",
    "lists in lists": b'"context":{"a":[' + (b"[" * 31 + b"]" * 31 + b",") * 4_000 + b"1]}",
    "languages": b'"language":"' + b"," * 1_040_000 + b'"',
    "a long URL": b'"x":"' + b"a" * 1_040_000 + b'"',
}


@pytest.mark.parametrize("name", COSTLY)
def test_no_event_takes_long_to_parse(name: str) -> None:
    """The largest events are refused, or read, in milliseconds: the event loop does it."""
    value = b'{"url":"data:,",' + COSTLY[name] + b"}"
    started = time.thread_time()
    with contextlib.suppress(BadEventError):
        parse_upload(record(value))
    assert time.thread_time() - started < 0.03
