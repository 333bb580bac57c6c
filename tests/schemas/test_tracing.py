"""Headers of a trace: read by the W3C's grammar, bounded, dropped where they break it."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letters import MAX_WHOLE_BYTES, Fault, dead_letter, dead_letter_headers
from schemas.replays import failed_place, replay_headers
from schemas.tracing import NO_CONTEXT, TRACE_HEADERS, TraceContext, read_context
from schemas.uploads import MAX_EVENT_BYTES, Record

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01".encode()
OTHER = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
STATE = b"congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
BAGGAGE = b"userId=alice,serverNode=DF%2028,isProduction=false;ttl=5;secret"
FAULT = Fault("http_404", "fetch", retryable=False, error="SourceGoneError", message="gone")

hexadecimal = st.text("0123456789abcdef", min_size=1, max_size=32)


def record(headers: list[tuple[str, bytes | None]], value: bytes = b"{}") -> Record:
    return Record(topic="t", partition=1, offset=2, timestamp=3, key=b"k", value=value, headers=headers)


def parent_of(text: bytes) -> bytes | None:
    return read_context([("traceparent", text)]).traceparent


def state_of(text: bytes) -> bytes | None:
    return read_context([("traceparent", PARENT), ("tracestate", text)]).tracestate


def baggage_of(text: bytes) -> bytes | None:
    return read_context([("baggage", text)]).baggage


def test_all_three_are_read_as_they_are() -> None:
    """What keeps to the grammar is passed on byte for byte, and nothing else is."""
    sent = [("traceparent", PARENT), ("tracestate", STATE), ("baggage", BAGGAGE)]
    context = read_context([("x", b"1"), *sent])
    assert context == TraceContext(PARENT, STATE, BAGGAGE)
    assert context.trace_id == TRACE
    assert context.headers() == sent


@pytest.mark.parametrize(
    "text",
    [
        b"",
        PARENT[:-1],
        PARENT + b"-",
        PARENT.upper(),
        b"ff" + PARENT[2:],
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + PARENT[52:],
        PARENT.replace(b"-", b"_"),
        b" " + PARENT,
        b"\xff" * 55,
        b"01" + PARENT[2:] + b"x",
    ],
)
def test_a_traceparent_that_breaks_the_grammar_is_none(text: bytes) -> None:
    """Nor is its tracestate looked at; baggage needs no trace."""
    headers = [("traceparent", text), ("tracestate", STATE), ("baggage", BAGGAGE)]
    assert read_context(headers) == TraceContext(None, None, BAGGAGE)


def test_later_versions_are_read_as_version_0() -> None:
    """With the flags that this one knows; what they add is not passed on."""
    assert parent_of(b"cc" + PARENT[2:53] + b"ff-what-is-this") == PARENT[:53] + b"03"
    assert parent_of(b"01" + PARENT[2:]) == PARENT


@given(hexadecimal, hexadecimal, st.sampled_from(["00", "01", "03", "ff"]))
def test_every_traceparent_of_version_0_is_passed_on(trace: str, span: str, flags: str) -> None:
    """All but those whose ids are zero."""
    trace, span = trace.rjust(32, "0"), span[:16].rjust(16, "0")
    text = f"00-{trace}-{span}-{flags}".encode()
    assert parent_of(text) == (text if int(trace, 16) and int(span, 16) else None)


@given(st.lists(st.tuples(st.sampled_from([*TRACE_HEADERS, "ce_traceparent", "x"]), st.none() | st.binary())))
def test_no_headers_make_it_fail(headers: list[tuple[str, bytes | None]]) -> None:
    """Whatever a stranger sends, what is read is bounded, and reads as itself again."""
    context = read_context(headers, b"\xff")
    assert read_context(context.headers()) == context


@given(st.binary(max_size=600), st.text(alphabet='abz019=,; \t-_*/@%"\\', max_size=600))
def test_what_passes_keeps_to_the_bounds(noise: bytes, text: str) -> None:
    """512 characters of tracestate and 8,192 bytes of baggage, of printable ASCII."""
    for sent in (noise, text.encode()):
        state, baggage = state_of(sent), baggage_of(sent)
        assert state is None or (len(state) <= 512 and re.fullmatch(rb"[\t\x20-\x7e]+", state))
        assert baggage is None or (baggage == sent and re.fullmatch(rb"[\t\x20-\x7e]+", baggage))


def test_entries_of_tracestate() -> None:
    """32 entries with keys of their own; blanks around them and empty ones are allowed."""
    assert state_of(b"a=1 ,\t b=2,,") == b"a=1 ,\t b=2,,"
    assert state_of(b"fw529a3039@dt=x:y;z") == b"fw529a3039@dt=x:y;z"
    many = b",".join(b"k%d=%d" % (number, number) for number in range(33))
    assert state_of(many) is None
    assert state_of(many.rpartition(b",")[0]) is not None
    for broken in (
        b"A=1",
        b"a=",
        b"a",
        b"=1",
        b"a=1=2",
        b"a=1,a=2",
        b"a=\x00",
        b"a=\xc3\xa9",
        b",",
        b"a" * 257 + b"=1",
    ):
        assert state_of(broken) is None, broken


def test_a_long_tracestate_is_shortened() -> None:
    """Entries beyond 128 characters go first, then those at the end, as the specification says."""
    long, short = b"long=" + b"x" * 200, [b"k%d=" % number + b"y" * 90 for number in range(6)]
    assert state_of(b",".join([long, *short])) == b",".join(short[:5])
    assert (
        state_of(b"a=1," + long + b"," + long.replace(b"long", b"l2") + b"," + long.replace(b"long", b"l3"))
        == b"a=1"
    )


def test_baggage_is_whole_or_absent() -> None:
    """8,192 bytes and 180 entries; one entry that breaks the grammar drops all."""
    full = b"k=" + b"v" * 8190
    assert baggage_of(full) == full
    assert baggage_of(full + b"v") is None
    assert baggage_of(b",".join([b"a=1"] * 180)) is not None
    assert baggage_of(b",".join([b"a=1"] * 181)) is None
    assert baggage_of(b"a = 1 ; p = q ; r , b=") == b"a = 1 ; p = q ; r , b="
    for broken in (
        b"a",
        b"a b=1",
        b"a=1,,b=2",
        b"a=b c",
        b'a="1"',
        b"a=1;",
        b"a=1;p q",
        b"a=\xc3\xa9",
        b"=1",
    ):
        assert baggage_of(broken) is None, broken


def test_of_several_the_last_counts() -> None:
    """As for all headers; names in any case; one without a value is none."""
    assert parent_of(PARENT) == PARENT
    assert read_context([("traceparent", OTHER), ("TraceParent", PARENT)]).traceparent == PARENT
    assert read_context([("traceparent", PARENT), ("traceparent", None)]).traceparent == PARENT


def test_the_attributes_of_a_cloudevent_count_as_well() -> None:
    """In binary and in structured mode, unless the record has a valid `traceparent` of its own."""
    binary = [("ce_traceparent", PARENT), ("ce_tracestate", STATE)]
    assert read_context(binary) == TraceContext(PARENT, STATE)
    assert read_context([*binary, ("traceparent", OTHER)]) == TraceContext(OTHER)
    assert read_context([*binary, ("traceparent", b"nonsense"), ("tracestate", b"z=1")]) == TraceContext(
        PARENT, STATE
    )
    event = {
        "specversion": "1.0",
        "traceparent": PARENT.decode(),
        "tracestate": STATE.decode(),
        "data": {"a": [1]},
    }
    structured = [("content-type", b"application/cloudevents+json"), ("baggage", BAGGAGE)]
    value = json.dumps(event).encode()
    assert read_context(structured, value) == TraceContext(PARENT, STATE, BAGGAGE)
    assert read_context([("content-type", b"application/json")], value) == NO_CONTEXT
    for broken in (
        b"[]",
        b"{",
        b'{"traceparent": 7}',
        b"\xff",
        b'{"traceparent": "\xed\xa0\x80"}',
        b"[" * 100_000,
    ):
        assert read_context(structured, broken).traceparent is None
    large = value + b" " * MAX_EVENT_BYTES
    assert record(list(structured), large).trace_context.traceparent is None


def test_a_dead_letter_has_the_trace_of_its_record() -> None:
    """As headers, once, also where a CloudEvent's attribute named it, or the record is too large to keep."""
    kept = [("traceparent", PARENT), ("tracestate", STATE), ("baggage", BAGGAGE)]
    assert dead_letter_headers(record([*kept]), FAULT)[:4] == [
        *kept,
        dead_letter_headers(record([]), FAULT)[0],
    ]
    attribute: list[tuple[str, bytes | None]] = [("ce_traceparent", PARENT)]
    assert dict(dead_letter_headers(record(attribute), FAULT))["traceparent"] == PARENT
    _, value, headers = dead_letter(record([*kept], b"x" * (MAX_WHOLE_BYTES + 1)), FAULT)
    assert value is None
    assert headers[:3] == kept


def test_the_headers_are_told() -> None:
    """In the page on records, in the same words."""
    page = (Path(__file__).parents[2] / "schemas" / "README.md").read_text("utf-8")
    assert [name for name, text in TRACE_HEADERS.items() if f"| `{name}` | {text} |" not in page] == []


def test_a_replay_stays_in_its_trace() -> None:
    """The headers of the letter that was published again name the same one."""
    letter = record(dead_letter_headers(record([("ce_traceparent", PARENT)]), FAULT))
    failed = failed_place(letter.headers)
    assert failed is not None
    assert read_context(replay_headers(letter, failed)).traceparent == PARENT
