"""What a transaction is counted as: what it committed, neither more nor less."""

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError, ProducerFenced
from support.fakes import NAMES, RULES, MemoryStore, done, record, tagged, upload

from schemas.dead_letters import Fault
from schemas.times import steady_time
from schemas.uploads import UploadType
from streams.fold.changes import Changes
from streams.fold.outcomes import Deferred, Done, Parked, Rejected
from streams.kafka.producers import CommitTimeoutError
from streams.telemetry.recorder import Recorder
from streams.units.meter import UnitMeter
from streams.units.micro_batch import MicroBatch, fold_and_commit

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def now() -> int:
    return int(steady_time() * 1000)


def value(recorder: Recorder, name: str, *labels: str) -> float:
    return recorder.counter(name).values.get(labels, 0.0)


def rejected(offset: int, reason: str) -> Done:
    return Done(record(offset), Rejected(Fault(reason, "fetch", False, "E", "m")))


async def committed(*outcomes: Done, taken: int | None = None) -> Recorder:
    """What is recorded of a micro-batch."""
    recorder, store = Recorder({}), MemoryStore()
    batch = MicroBatch(
        store=store,
        changes=Changes(store.state.rows),
        expired=(),
        outcomes=outcomes,
        rules=RULES,
        next_offset=len(outcomes),
        taken=len(outcomes) if taken is None else taken,
        meter=UnitMeter(recorder, NAMES),
    )
    await fold_and_commit(batch)
    return recorder


async def test_results_and_updates_are_those_that_were_sent() -> None:
    """A repeat of an upload is an event, and no second result."""
    event = upload("img-1", "e1", at=now() - 300)
    recorder = await committed(done(0, event, koala=0.9), done(1, event, koala=0.9))
    assert value(recorder, "tagstream_uploads_total") == 2
    assert value(recorder, "tagstream_outcomes_total", "tagged") == 2
    assert value(recorder, "tagstream_results_total") == 1
    assert value(recorder, "tagstream_tag_updates_total") == 1
    assert value(recorder, "tagstream_images_bytes_total") == 20
    assert recorder.histogram("tagstream_transaction_events").of().total == 2
    latency = recorder.histogram("tagstream_e2e_latency_seconds").of()
    assert 0.6 <= latency.total < 20
    stages = recorder.histogram("tagstream_stage_duration_seconds")
    assert sum(stages.of("decode").counts) == 2
    assert sum(stages.of("fold").counts) == 1


async def test_dead_letters_are_counted_by_reason() -> None:
    """Statuses by their first digit; a reason that nobody knows is `other`."""
    recorder = await committed(
        rejected(0, "http_404"), rejected(1, "http_403"), rejected(2, "corrupt"), rejected(3, "koala-7")
    )
    letters = recorder.counter("tagstream_dead_letters_total").values
    assert {labels[0]: number for labels, number in letters.items() if number} == {
        "http_4xx": 2,
        "corrupt": 1,
        "other": 1,
    }
    assert value(recorder, "tagstream_outcomes_total", "rejected") == 4


async def test_what_waits_leaves_the_log_once() -> None:
    """An upload that is parked is taken off the log; its retries are outcomes of records that had left it."""
    waiting = Deferred(Fault("unknown_host", "fetch", True, "E", "m"), now(), None)
    recorder = await committed(Done(record(0), Parked(now())), Done(record(1), waiting), taken=1)
    assert value(recorder, "tagstream_uploads_total") == 1
    assert value(recorder, "tagstream_outcomes_total", "parked") == 1
    assert value(recorder, "tagstream_outcomes_total", "deferred") == 1
    assert value(recorder, "tagstream_results_total") == 0


async def test_people_and_deletions_are_outcomes_of_their_own() -> None:
    """Each kind of event is told by what became of it."""
    deletion = upload("img-1", "e2", kind=UploadType.DELETED)
    recorder = await committed(done(0, upload("img-1", "e1"), koala=0.9), done(1, deletion))
    assert value(recorder, "tagstream_outcomes_total", "deleted") == 1
    assert value(recorder, "tagstream_tag_updates_total") == 2


async def test_nothing_is_counted_before_it_is_committed() -> None:
    """A transaction that fails leaves no result behind."""

    class Broken(MemoryStore):
        async def commit(self, *_: object) -> None:
            raise ProducerFenced

    recorder, store = Recorder({}), Broken()
    meter = UnitMeter(recorder, NAMES)
    outcomes = [done(0, upload(), koala=0.9)]
    batch = MicroBatch(store, Changes(store.state.rows), (), outcomes, RULES, 1, 1, meter)
    with pytest.raises(ProducerFenced):
        await fold_and_commit(batch)
    assert value(recorder, "tagstream_uploads_total") == 0
    assert value(recorder, "tagstream_results_total") == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (ProducerFenced(), "fenced"),
        (KafkaError("at the end of a transaction"), "fenced"),
        (CommitTimeoutError("no answer"), "unknown"),
        (KafkaTimeoutError(), "aborted"),
    ],
)
def test_ends_of_transactions(error: Exception, expected: str) -> None:
    """Each end is told apart from the others."""
    recorder = Recorder({})
    UnitMeter(recorder, NAMES).note_failure(error)
    ends = recorder.counter("tagstream_transactions_total").values
    assert {end: number for (end,), number in ends.items() if number} == {expected: 1}


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", [TRACE]),
        (f"00-{TRACE}-00f067aa0ba902b7-00", []),
        ("koala", []),
        (None, []),
    ],
)
async def test_the_trace_of_a_record_is_its_exemplar(parent: str | None, expected: list[str]) -> None:
    """Latency and stages of an upload whose trace is recorded lead to that; nothing else makes one up."""
    headers = () if parent is None else (("traceparent", parent.encode()),)
    event = tagged(upload(at=now()), koala=0.9)
    recorder = await committed(Done(record(0, headers=headers), event))
    for histogram in (
        recorder.histogram("tagstream_e2e_latency_seconds").of(),
        recorder.histogram("tagstream_stage_duration_seconds").of("fetch"),
    ):
        assert [exemplar.trace_id for exemplar in histogram.exemplars.values()] == expected
