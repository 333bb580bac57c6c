"""What a unit's transactions are counted and timed as: exactly what was committed, once it is."""

from collections import Counter
from collections.abc import Sequence

from schemas.results import Timings
from schemas.times import steady_time
from schemas.topics import TopicNames
from schemas.uploads import UploadType
from streams.fold.outcomes import (
    Deferred,
    Deleted,
    Done,
    Edited,
    ForgottenUser,
    Forwarded,
    Ignored,
    Outcome,
    Output,
    Parked,
    Rederived,
    Rejected,
    Stored,
    Tagged,
)
from streams.kafka.producers import CommitTimeoutError
from streams.telemetry.metrics import reason_label
from streams.telemetry.recorder import Recorder
from streams.units.faults import may_be_fenced

_NAMES: dict[type[Outcome], str] = {
    Tagged: "tagged",
    Rederived: "retagged",
    Stored: "stored",
    Deleted: "deleted",
    Edited: "edited",
    Ignored: "ignored",
    ForgottenUser: "forgotten",
    Forwarded: "forwarded",
    Rejected: "rejected",
    Deferred: "deferred",
    Parked: "parked",
}


class UnitMeter:
    """Told by units and their ledgers; one for all of a worker's."""

    def __init__(self, recorder: Recorder, names: TopicNames) -> None:
        self._names = names
        self._uploads = recorder.counter("tagstream_uploads_total")
        self._outcomes = recorder.counter("tagstream_outcomes_total")
        self._results = recorder.counter("tagstream_results_total")
        self._tag_updates = recorder.counter("tagstream_tag_updates_total")
        self._dead_letters = recorder.counter("tagstream_dead_letters_total")
        self._image_bytes = recorder.counter("tagstream_images_bytes_total")
        self._transactions = recorder.counter("tagstream_transactions_total")
        self._events = recorder.histogram("tagstream_transaction_events").of()
        self._sizes = recorder.histogram("tagstream_transaction_size_bytes").of()
        self._latency = recorder.histogram("tagstream_e2e_latency_seconds").of()
        stages = recorder.histogram("tagstream_stage_duration_seconds")
        self._queue, self._fetch, self._decode, self._infer, self._fold, self._commit = (
            stages.of(stage) for stage in ("queue", "fetch", "decode", "infer", "fold", "commit")
        )

    def note_folded(self, seconds: float) -> None:
        """Take note that a micro-batch was folded."""
        self._fold.observe(seconds)

    def note_transaction(self, seconds: float, size: int) -> None:
        """Take note of a transaction that was committed, of so many bytes."""
        self._transactions.add(1, "committed")
        self._commit.observe(seconds)
        self._sizes.observe(size)

    def note_failure(self, error: BaseException) -> None:
        """Take note of a transaction that was not committed, or perhaps not."""
        self._transactions.add(1, _end_of(error))

    def note_committed(self, taken: int, outcomes: Sequence[Done], outputs: Sequence[Output]) -> None:
        """Take note of what a committed transaction holds.

        Args:
            taken: How many of the events it took off the log; the others had left it before.
            outcomes: Those of all its events.
            outputs: The records that it sent.
        """
        self._uploads.add(taken)
        if outcomes:
            self._events.observe(len(outcomes))
        for kind, number in Counter(outcome_name(done.outcome) for done in outcomes).items():
            self._outcomes.add(number, kind)
        self._count_outputs(outputs)
        now = steady_time()
        for done in outcomes:
            if isinstance(done.outcome, Tagged):
                self._note_tagged(done.outcome, now, done.record.trace_context.recorded_trace_id)

    def _count_outputs(self, outputs: Sequence[Output]) -> None:
        names = self._names
        topics = Counter(output.topic for output in outputs)
        self._results.add(topics[names.categorizations])
        self._tag_updates.add(topics[names.tag_updates])
        if topics[names.dead_letters]:
            for output in outputs:
                if output.topic == names.dead_letters:
                    self._dead_letters.add(1, _reason_of(output))

    def _note_tagged(self, tagged: Tagged, now: float, trace: str | None) -> None:
        self._image_bytes.add(tagged.size)
        self._note_stages(tagged.timings, trace)
        if (
            tagged.basis is None and tagged.upload.type is UploadType.UPLOADED
        ):  # an update may tell an old time
            self._latency.observe(now - tagged.upload.at / 1000, trace)

    def _note_stages(self, timings: Timings, trace: str | None) -> None:
        worked = timings.fetch + timings.decode + timings.inference
        self._queue.observe((timings.total - worked) / 1000, trace)
        self._fetch.observe(timings.fetch / 1000, trace)
        if timings.decode or timings.inference:  # no copy of an image that is known
            self._decode.observe(timings.decode / 1000, trace)
            self._infer.observe(timings.inference / 1000, trace)


def outcome_name(outcome: Outcome) -> str:
    """What metrics and spans call an outcome."""
    is_retag = isinstance(outcome, Tagged) and outcome.basis is not None
    return "retagged" if is_retag else _NAMES[type(outcome)]


def _reason_of(output: Output) -> str:
    value = dict(output.headers).get("tagstream.reason") or b""
    return reason_label(value.decode("ascii", "replace"))


def _end_of(error: BaseException) -> str:
    if isinstance(error, CommitTimeoutError):
        return "unknown"
    return "fenced" if may_be_fenced(error) else "aborted"
