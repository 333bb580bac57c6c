"""What comes of a record carries that record's trace, whatever the image has been through before."""

from support.fakes import RULES, apply, edit, record, tagged, upload

from schemas.dead_letters import Fault
from schemas.tracing import TraceContext
from schemas.uploads import Record, Upload, UploadType
from streams.fold.outcomes import Deferred, Deleted, Done, Edited, Output, Parked
from streams.fold.retries import record_of
from streams.state.partition import PartitionState

SPAN = "00f067aa0ba902b7"
BUSY = Fault("timeout", "fetch", retryable=True, error="SourceBusyError", message="no answer")


def traced(offset: int) -> Record:
    """A record whose trace is named after its offset."""
    parent = f"00-{offset + 1:032x}-{SPAN}-01".encode()
    return record(offset, headers=[("traceparent", parent), ("baggage", b"a=%d" % offset)])


def carried(outputs: list[Output]) -> list[tuple[str, list[tuple[str, bytes | None]]]]:
    names = {"traceparent", "tracestate", "baggage"}
    return [(output.topic, [header for header in output.headers if header[0] in names]) for output in outputs]


def deleted(event_id: str) -> Upload:
    return upload(event_id=event_id, at=9_000_000, kind=UploadType.DELETED)


def test_each_output_has_the_trace_of_its_cause() -> None:
    """The upload's own; then that of an edit, and of the deletion in the end."""
    state = PartitionState(0)
    first, second, third = (traced(offset) for offset in range(3))
    uploaded = apply(state, Done(first, tagged(upload(), koala=0.9)))
    assert carried(uploaded) == [
        (RULES.names.categorizations, list(first.headers)),
        (RULES.names.tag_updates, list(first.headers)),
    ]
    edited = apply(state, Done(second, Edited(edit("e2", added=["zoo"]), read_at=1_000)))
    assert carried(edited) == [(RULES.names.tag_updates, list(second.headers))]
    gone = apply(state, Done(third, Deleted(deleted("e3"))))
    assert carried(gone) == [(RULES.names.tag_updates, list(third.headers))]


def test_a_span_of_ours_takes_the_publishers_place() -> None:
    """Where the record is traced here, its outputs follow that; the rest stays."""
    ours = TraceContext(b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01", None, b"a=0")
    seen = record(0, headers=traced(0).headers, trace=ours)
    outputs = apply(PartitionState(0), Done(seen, tagged(upload(), koala=0.9)))
    assert [headers for _, headers in carried(outputs)] == [ours.headers(), ours.headers()]


def test_an_upload_that_waits_keeps_its_trace() -> None:
    """In its row, for the retry; and as a dead letter where it is given up."""
    state = PartitionState(0)
    for offset, outcome in ((0, Deferred(BUSY, 1_000, None)), (1, Parked(1_000))):
        assert apply(state, Done(traced(offset), outcome)) == []
        again = record_of(state.rows["retries"][str(offset)], 0)
        assert again.trace_context == traced(offset).trace_context
    letters = apply(state, Done(traced(2), Deferred(BUSY, 1_000, None), over_limit=True))
    assert carried(letters) == [(RULES.names.dead_letters, list(traced(2).headers))]
