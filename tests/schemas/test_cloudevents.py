"""Envelopes: which of the three encodings a record has, and what is wrong with a false one."""

import json

import pytest

from schemas.cloudevents import MAX_ATTRIBUTE, Envelope, Headers, event_headers, open_envelope
from schemas.errors import BadEventError

STRUCTURED: Headers = [("content-type", b"application/cloudevents+json")]
EVENT = {"specversion": "1.0", "id": "e1", "source": "shop", "type": "image.uploaded"}
BINARY = {f"ce_{name}": value.encode() for name, value in EVENT.items()}
OPENED = Envelope(
    data=b'{"a": 1}', id="e1", source="shop", type="image.uploaded", time="2026-01-31T12:00:00Z"
)


def refused(value: bytes, headers: Headers) -> BadEventError:
    with pytest.raises(BadEventError) as caught:
        open_envelope(value, headers)
    return caught.value


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("content-type", b"application/json")],
        [("content-type", None)],
        [("traceparent", b"\xff"), ("ce_extension", b"\xff"), ("x", None)],
        [("\ud800", b"")],
    ],
)
def test_plain_json(headers: Headers) -> None:
    """A record without CloudEvents headers is the data itself; headers of others do not matter."""
    assert open_envelope(b"{}", headers) == Envelope(data=b"{}")


@pytest.mark.parametrize(
    "header",
    [
        ("content-type", b"application/cloudevents"),
        ("content-type", b"application/cloudevents+json; charset=utf-8"),
        ("Content-Type", b" Application/CloudEvents+JSON"),
    ],
)
def test_structured(header: tuple[str, bytes]) -> None:
    """The content type decides, in upper or lower case; data keeps its bytes."""
    value = json.dumps(EVENT | {"time": OPENED.time, "data": {"a": 1}, "extension": 5}).encode()
    assert open_envelope(value, [header]) == OPENED


def test_structured_base64() -> None:
    """Data may come as base64, beside a null."""
    for more in ({}, {"data": None}):
        value = json.dumps(EVENT | {"time": OPENED.time, "data_base64": "eyJhIjogMX0=", **more}).encode()
        assert open_envelope(value, STRUCTURED) == OPENED


def test_binary() -> None:
    """Attributes come as headers, in upper or lower case; the value is the data."""
    headers = [
        *((name.upper(), value) for name, value in BINARY.items()),
        ("ce_time", b"2026-01-31T12:00:00Z"),
    ]
    assert open_envelope(b'{"a": 1}', headers) == OPENED
    assert open_envelope(b"", list(BINARY.items())).time is None


@pytest.mark.parametrize("prefix", ["ce-", "CE-", "cloudEvents:", "cloudEvents_"])
def test_binary_by_other_bindings(prefix: str) -> None:
    """Headers as the bindings for HTTP and AMQP have them, and as Spring sends them, are read as ours."""
    headers = [(f"{prefix}{name}", value.encode()) for name, value in EVENT.items()]
    assert open_envelope(b"{}", headers) == Envelope(
        data=b"{}", id="e1", source="shop", type="image.uploaded"
    )


@pytest.mark.parametrize("name", ["ce.type", "ce:type", "cloudevent_type", "ce--id"])
def test_headers_that_are_nearly_cloudevents_are_named(name: str) -> None:
    """Nothing is guessed where a type may remove an image."""
    error = refused(b"{}", [(name, b"image.deleted")])
    assert error.code == "invalid_cloudevent"
    assert repr(name) in str(error)


def test_headers_that_contradict_each_other_are_named() -> None:
    """Two prefixes with two types, or headers and a value that are different events."""
    twice: Headers = [*BINARY.items(), ("ce-type", b"image.deleted")]
    assert "'ce-type'" in str(refused(b"{}", twice))
    other = json.dumps(EVENT | {"id": "inside", "data": {}}).encode()
    assert "'inside'" in str(refused(other, list(BINARY.items())))
    same = json.dumps(EVENT | {"data": {}}).encode()
    assert open_envelope(same, list(BINARY.items())).data == b"{}"


@pytest.mark.parametrize("headers", [[], [("content-type", b"application/json")]])
def test_structured_without_its_content_type(headers: Headers) -> None:
    """What has a `specversion` is a CloudEvent: SDKs send it as application/json, or without a type."""
    assert open_envelope(json.dumps(EVENT | {"data": {"a": 1}}).encode(), headers).id == "e1"
    broken = json.dumps(EVENT | {"specversion": "0.3", "data": {}}).encode()
    assert refused(broken, headers).code == "invalid_cloudevent"
    assert open_envelope(b'{"context":{"specversion":"1.0"}}', headers).id is None


def test_formats_that_are_not_read_are_named() -> None:
    """Batches, and CloudEvents in Avro."""
    for kind in (b"application/cloudevents-batch+json", b"application/cloudevents+avro"):
        assert kind.decode() in str(refused(b"[]", [("content-type", kind)]))


def test_structured_wins_over_binary() -> None:
    """The content type says that the whole event is in the value, whatever other headers there are."""
    value = json.dumps(EVENT | {"id": "inside", "data": {}}).encode()
    assert open_envelope(value, [*BINARY.items(), *STRUCTURED]).id == "inside"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"specversion": "0.3"}, "'0.3'"),
        ({"specversion": None}, "specversion"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"id": "x" * (MAX_ATTRIBUTE + 1)}, "id"),
        ({"id": " "}, "`id`"),
        ({"id": "a\x1fb"}, "`id`"),
        ({"source": "a\nb"}, "`source`"),
        ({"source": None}, "source"),
        ({"type": ""}, "type"),
        ({"time": 5}, "time"),
        ({"data_base64": "e30"}, "`data_base64`"),
        ({"data_base64": "é"}, "`data_base64`"),
        ({"data_base64": "e30=", "data": {}}, "both"),
    ],
)
def test_false_structured_events(changes: dict[str, object], named: str) -> None:
    """An attribute that is missing, empty, over-long or invisible is named."""
    event = EVENT | ({} if "data_base64" in changes else {"data": {}}) | changes
    error = refused(json.dumps(event).encode(), STRUCTURED)
    assert error.code == "invalid_cloudevent"
    assert named in str(error)


def test_structured_event_without_data() -> None:
    """An upload event has data."""
    error = refused(json.dumps(EVENT).encode(), STRUCTURED)
    assert error.code == "invalid_cloudevent"
    assert "neither" in str(error)


@pytest.mark.parametrize("value", [b"[]", b"null", b'[{"specversion":"1.0"}]'])
def test_structured_event_that_is_no_object(value: bytes) -> None:
    """A batch is no event either."""
    assert refused(value, STRUCTURED).code == "invalid_cloudevent"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"{",
        b"\xff",
        b'{"id":"\xff"}',
        b'{"id":"\\ud800"}',
        b'{"specversion":"1.0","data":' + b"[" * 100_000,
    ],
)
def test_structured_event_that_is_no_json(value: bytes) -> None:
    """Bottomless nesting and lone surrogates are no JSON to us."""
    assert refused(value, STRUCTURED).code == "invalid_json"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ce_specversion", b"2.0"),
        ("ce_specversion", None),
        ("ce_id", b""),
        ("ce_id", None),
        ("ce_id", b"\xff"),
        ("ce_id", b"a\x00"),
        ("ce_id", b"x" * (MAX_ATTRIBUTE + 1)),
        ("ce_source", b" "),
        ("ce_source", None),
        ("ce_type", b""),
        ("ce_time", b"\xff"),
        ("content-type", b"\xff"),
    ],
)
def test_false_binary_events(name: str, value: bytes | None) -> None:
    """A header without a value, not in UTF-8, empty, over-long or invisible is named."""
    error = refused(b"{}", list((BINARY | {name: value}).items()))
    assert error.code == "invalid_cloudevent"
    assert name.removeprefix("ce_") in str(error)


def test_binary_event_without_version() -> None:
    """An id alone is a claim: ignoring it would count the event twice when it is sent twice."""
    error = refused(b"{}", [item for item in BINARY.items() if item[0] != "ce_specversion"])
    assert error.code == "invalid_cloudevent"
    assert "specversion" in str(error)


def test_our_own_events_can_be_opened() -> None:
    """The headers of our results are those of a CloudEvent in binary mode."""
    headers = event_headers(id="r1", source="tagstream:app", type="tagstream.image.categorized")
    assert headers[0] == ("content-type", b"application/json")
    opened = Envelope(data=b"{}", id="r1", source="tagstream:app", type="tagstream.image.categorized")
    assert open_envelope(b"{}", headers) == opened
