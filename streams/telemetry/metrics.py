"""The list of metrics: type, unit, labels, meaning, knob. docs/reference/metrics.md is made from it.

Names follow Prometheus: `tagstream_`, what is measured, the unit, and `_total` where it only grows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus

from schemas.reasons import HTTP, REASONS
from schemas.topics import TABLES

OTHER = "other"
"""What a label says where a value is not one of its closed set."""

_HTTP_CLASSES = ("http_1xx", "http_2xx", "http_3xx", "http_4xx", "http_5xx")


class Kind(StrEnum):
    """How Prometheus reads a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Label:
    """A label and its closed set of values: what is none of these is told as `other`.

    Attributes:
        meaning: Its values in words.
        values: Its values; None where settings or models decide: they are named when the worker starts.
    """

    name: str
    meaning: str
    values: frozenset[str] | None = None


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes:
        unit: seconds, bytes, or what is counted.
        meaning: What it says, in a sentence.
        knob: What to turn where it is not as it should be.
        labels: In the order in which values are given.
        buckets: Upper bounds of a histogram, the last one (infinity) left out.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    knob: str
    labels: tuple[Label, ...] = ()
    buckets: tuple[float, ...] = field(default=())


def reason_label(reason: str) -> str:
    """A dead letter's reason as the label has it: statuses of sources by their first digit."""
    return f"{reason[:6]}xx" if reason.startswith("http_") else reason


def _of(values: Sequence[str]) -> frozenset[str]:
    return frozenset(values)


OUTCOMES = (
    "tagged",
    "retagged",
    "stored",
    "deleted",
    "edited",
    "ignored",
    "forgotten",
    "forwarded",
    "rejected",
    "deferred",
    "parked",
)
STAGES = ("queue", "fetch", "decode", "infer", "fold", "commit")
TRANSACTION_ENDS = ("committed", "aborted", "fenced", "unknown")
SOURCE_OUTCOMES = ("event", "skipped", "refused")
TREND_PHASES = ("trend.began", "trend.peaked", "trend.ended")
WEBHOOK_RESULTS = ("delivered", "failed", "postponed", "given_up")
EXITS = {
    "stopped": "asked to stop",
    "killed": "without a word: kill -9, out of memory, power",
    "unusable": "exit code 78",
    "fenced": "another worker took a partition over",
    "commit_unknown": "no answer to a commit",
    "clock": "Kafka refused the clock",
    "kafka": "another fault of Kafka",
    "invariant": "a fault of Tagstream's own",
}

CHECKS = (
    *(
        "broker",
        "login",
        "version",
        "clock",
        "coordinators",
        "permissions",
        "topics",
        "partitions",
        "rescale",
    ),
    *("topic configuration", "cleanup.policy", "delete.retention.ms", "max.message.bytes"),
    *("message.timestamp", "data directory", "disk", "rules", "sources", "tokens"),
    *("object store", "credentials"),
)
FINDINGS = ("warn", "fail")
SNAPSHOTS = ("saved", "failed", "restored", "unusable")

_CHECK = Label("check", "checks as `tagstream doctor` names them", _of(CHECKS))
_FINDING = Label("status", ", ".join(FINDINGS), _of(FINDINGS))
_SNAPSHOT = Label(
    "result",
    "saved; failed: not saved; restored: read at a start; unusable: left aside at a start",
    _of(SNAPSHOTS),
)
_PARTITION = Label("partition", "partitions of the upload topic that this worker owns")
_ADD_ON = Label("add_on", "add-ons that are offered")
_CALL = Label("call", "what was called, such as `v1_1.upload` or `serve`")
_ROUTE = Label("route", "routes by their template, such as `/images/{public_id}`")
_TABLE = Label("table", "state tables", _of(TABLES))
_STAGE = Label("stage", ", ".join(STAGES), _of(STAGES))
_TIME = Label("time", "passed: as a clock has it; cpu: of the loop's thread", _of(("passed", "cpu")))
_OUTCOME = Label("outcome", ", ".join(OUTCOMES), _of(OUTCOMES))
_END = Label("result", ", ".join(TRANSACTION_ENDS), _of(TRANSACTION_ENDS))
_EXIT = Label("reason", "; ".join(f"{name}: {told}" for name, told in EXITS.items()), _of([*EXITS, OTHER]))
_REASON = Label(
    "reason",
    "[reasons of dead letters](reasons.md); statuses of sources as `http_4xx` and the like",
    _of([*(code for code in REASONS if code != HTTP), *_HTTP_CLASSES]),
)
_TOO_OFTEN = "420"  # what Cloudinary's clients take for it
_STATUS = Label(
    "status", "HTTP status codes", _of([_TOO_OFTEN, *(str(status.value) for status in HTTPStatus)])
)
_SOURCE_OUTCOME = Label(
    "outcome",
    "event: an upload event; skipped: it is about no image's bytes; refused: it became a dead letter",
    _of(SOURCE_OUTCOMES),
)
_TREND_PHASE = Label("phase", ", ".join(TREND_PHASES), _of(TREND_PHASES))
_WEBHOOK_RESULT = Label("result", ", ".join(WEBHOOK_RESULTS), _of(WEBHOOK_RESULTS))
_MODEL = (Label("model", "names of models"), Label("model_version", "their versions"))
_VERSION = (Label("version", "this program's version"), Label("python_version", "of the interpreter"))

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_SLOW = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 21_600.0, 86_400.0)
_COUNTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
_SIZES = (1e3, 1e4, 1e5, 1e6, 1e7)

SECTIONS: dict[str, tuple[Metric, ...]] = {
    "Records in and out": (
        Metric(
            "tagstream_uploads_total",
            Kind.COUNTER,
            "events",
            "Records taken off the upload topic, as their transactions were committed.",
            "More workers, or threads (TAGSTREAM_THREADS), where it is below what is published.",
        ),
        Metric(
            "tagstream_outcomes_total",
            Kind.COUNTER,
            "events",
            "What became of events. One whose source is busy is deferred or parked first, and counts again "
            "with each further attempt.",
            "Many deferred or parked: see `tagstream_circuits_open` and TAGSTREAM_FETCH_TIMEOUT.",
            (_OUTCOME,),
        ),
        Metric(
            "tagstream_results_total",
            Kind.COUNTER,
            "records",
            "Categorizations that were committed.",
            "As for `tagstream_uploads_total`.",
        ),
        Metric(
            "tagstream_tag_updates_total",
            Kind.COUNTER,
            "records",
            "Tag-updates that were committed.",
            "TAGSTREAM_AUTO_TAGGING and the rules decide which tags are assigned.",
        ),
        Metric(
            "tagstream_dead_letters_total",
            Kind.COUNTER,
            "records",
            "Dead letters that were committed.",
            "The cure of each reason; `tagstream dead-letters explain`.",
            (_REASON,),
        ),
        Metric(
            "tagstream_images_bytes_total",
            Kind.COUNTER,
            "bytes",
            "Bytes of the images that were tagged.",
            "TAGSTREAM_MAX_IMAGE_BYTES bounds one image.",
        ),
    ),
    "Time": (
        Metric(
            "tagstream_e2e_latency_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "From an upload's event time to the commit of its result. Exemplars name the trace of an upload "
            "whose `traceparent` says that it is recorded.",
            "Look which stage is slow; old events that are published late are slow here by nature.",
            buckets=_SLOW,
        ),
        Metric(
            "tagstream_stage_duration_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "Of each tagged image: fetch, decode, infer (its share of its batch), and queue, all the rest "
            "between reading the event and its tags. Of each transaction: fold, and commit. A copy of an "
            "image that was tagged before is not decoded.",
            "queue: TAGSTREAM_THREADS, TAGSTREAM_FETCH_CONCURRENCY, TAGSTREAM_FETCH_PER_HOST; fetch: the "
            "sources; infer: a smaller model, TAGSTREAM_MAX_BATCH; commit: the brokers, "
            "TAGSTREAM_COMMIT_INTERVAL.",
            (_STAGE,),
            _FAST,
        ),
        Metric(
            "tagstream_event_loop_lag_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "How much later than asked for the event loop woke a timer of half a second.",
            "More workers with fewer partitions each; TAGSTREAM_ROLES=tag where a worker only tags.",
            buckets=_FAST,
        ),
        Metric(
            "tagstream_event_loop_longest_seconds",
            Kind.GAUGE,
            "seconds",
            "The longest time since the start for which the event loop gave no sign of life, and the most "
            "CPU time that it took between two. Above 0.2 s the log says what it was at.",
            "As for its lag; report what the log says: nothing from outside may hold the loop.",
            (_TIME,),
        ),
    ),
    "Partitions": (
        Metric(
            "tagstream_partitions_owned",
            Kind.GAUGE,
            "partitions",
            "Partitions that this worker works on. All workers' add up to TAGSTREAM_PARTITIONS.",
            "Start workers; see `/readyz`.",
        ),
        Metric(
            "tagstream_partition_ready",
            Kind.GAUGE,
            "0 or 1",
            "Whether the partition's state is loaded and its log is read.",
            "Wait; TAGSTREAM_SNAPSHOT_INTERVAL shortens a restart.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_partition_lag_records",
            Kind.GAUGE,
            "records",
            "Records of the log that are not folded in, up to the last stable offset.",
            "More workers, up to TAGSTREAM_PARTITIONS; TAGSTREAM_THREADS.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_repartition_lag_records",
            Kind.GAUGE,
            "records",
            "Records of upload topics that this worker copies to the partitions of their images and has not "
            "copied yet; where TAGSTREAM_UPLOADS_TOPICS names topics.",
            "Open transactions of publishers, a slow broker; the lag of the group APP-repartition has all.",
        ),
        Metric(
            "tagstream_partition_lag_seconds",
            Kind.GAUGE,
            "seconds",
            "Age, by its Kafka timestamp, of the first record that is not folded in; 0: there is none.",
            "As for the lag in records.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_partition_in_flight_records",
            Kind.GAUGE,
            "records",
            "Records in work or about to be committed, retries included.",
            "TAGSTREAM_MAX_IN_FLIGHT.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_retries_waiting_records",
            Kind.GAUGE,
            "records",
            "Uploads that wait for a retry, or are in work at a source that is slow.",
            "TAGSTREAM_MAX_RETRIES; the sources.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_retries_oldest_seconds",
            Kind.GAUGE,
            "seconds",
            "How long the oldest of these has waited; 0: none waits.",
            "TAGSTREAM_RETRY_BUDGET is the most; the sources.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_uploads_skipped_records",
            Kind.GAUGE,
            "records",
            "Records of the upload topic that were deleted before they were read, since the state began.",
            "Publish them again; `retention.ms` of the upload topic, more workers.",
            (_PARTITION,),
        ),
        Metric(
            "tagstream_open_transaction_records",
            Kind.GAUGE,
            "records",
            "Records behind a publisher's transaction that is open: nobody can read them before it ends.",
            "The publisher's transaction.timeout.ms; end what hangs with kafka-transactions.sh.",
            (_PARTITION,),
        ),
    ),
    "Transactions": (
        Metric(
            "tagstream_transactions_total",
            Kind.COUNTER,
            "transactions",
            "How transactions ended. After any end but `committed` the worker ends, too: its next start "
            "tells why in `tagstream_restarts_total`.",
            "fenced: workers that froze, or two of one TAGSTREAM_INSTANCE_ID; others: the brokers.",
            (_END,),
        ),
        Metric(
            "tagstream_transaction_events",
            Kind.HISTOGRAM,
            "events",
            "Events whose outcomes a committed transaction holds.",
            "TAGSTREAM_MAX_TRANSACTION, TAGSTREAM_COMMIT_INTERVAL.",
            buckets=_COUNTS,
        ),
        Metric(
            "tagstream_transaction_size_bytes",
            Kind.HISTOGRAM,
            "bytes",
            "Bytes of the results and rows of a committed transaction.",
            "As for its events.",
            buckets=_SIZES,
        ),
    ),
    "Fetching": (
        Metric(
            "tagstream_circuits_open",
            Kind.GAUGE,
            "hosts",
            "Source hosts that are left alone because they keep failing. The log names them.",
            "The sources; TAGSTREAM_FETCH_TIMEOUT, TAGSTREAM_FETCH_ANSWER_TIMEOUT.",
        ),
        Metric(
            "tagstream_fetch_memory_bytes",
            Kind.GAUGE,
            "bytes",
            "Memory that images take or are promised, until they are decoded.",
            "TAGSTREAM_MAX_BYTES_IN_FLIGHT; TAGSTREAM_FETCH_CONCURRENCY.",
        ),
        Metric(
            "tagstream_fetch_memory_limit_bytes",
            Kind.GAUGE,
            "bytes",
            "The most that they may take.",
            "TAGSTREAM_MAX_BYTES_IN_FLIGHT.",
        ),
    ),
    "Tagging": (
        Metric(
            "tagstream_batch_images",
            Kind.HISTOGRAM,
            "images",
            "Images in one inference.",
            "TAGSTREAM_MAX_BATCH; batches are small where threads are idle.",
            buckets=_COUNTS,
        ),
        Metric(
            "tagstream_model_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "Per image: its share of the run of the add-on's network, and what the add-on makes of that. "
            "Add-ons that share a network each tell its whole run: do not add them up.",
            "TAGSTREAM_ADD_ONS with a smaller model, TAGSTREAM_PROVIDERS, `tagstream bench-model`.",
            (_ADD_ON,),
            _FAST,
        ),
        Metric(
            "tagstream_tagger_threads",
            Kind.GAUGE,
            "threads",
            "Threads that decode and infer.",
            "TAGSTREAM_THREADS.",
        ),
        Metric(
            "tagstream_tagger_threads_busy",
            Kind.GAUGE,
            "threads",
            "Those of them that are at work.",
            "All are, all the time: more workers, or TAGSTREAM_THREADS where cores are idle.",
        ),
        Metric(
            "tagstream_tagger_queue_images",
            Kind.GAUGE,
            "images",
            "Fetched images that wait for a thread.",
            "As for the threads that are busy.",
        ),
    ),
    "State and questions": (
        Metric(
            "tagstream_state_rows",
            Kind.GAUGE,
            "rows",
            "Rows in memory, of all partitions that this worker follows.",
            "trends: TAGSTREAM_KEEP_MINUTES, _HOURS and _DAYS; interests: TAGSTREAM_KEEP_INTERESTS.",
            (_TABLE,),
        ),
        Metric(
            "tagstream_state_size_bytes",
            Kind.GAUGE,
            "bytes",
            "Keys and values of these rows, as changelogs have them. Memory takes more: see `process_*`.",
            "As for the rows; TAGSTREAM_ROLES=tag follows no partitions of others.",
            (_TABLE,),
        ),
        Metric(
            "tagstream_state_complete",
            Kind.GAUGE,
            "0 or 1",
            "Whether answers cover every partition.",
            "Wait while the state is loaded; then see the log.",
        ),
        Metric(
            "tagstream_partitions_behind",
            Kind.GAUGE,
            "partitions",
            "Partitions that answers name in `behind`: not loaded, or uploads wait and none is done for 5 s.",
            "See who owns them: their worker's lag and log.",
        ),
        Metric(
            "tagstream_snapshots_total",
            Kind.COUNTER,
            "snapshots",
            "Snapshots of partitions' states that were written and read.",
            "failed: room on the disk of TAGSTREAM_DATA_DIR; TAGSTREAM_SNAPSHOT_INTERVAL.",
            (_SNAPSHOT,),
        ),
        Metric(
            "tagstream_http_requests_total",
            Kind.COUNTER,
            "requests",
            "Answers of the query API. What was not let in, or asked for no route, is `other`.",
            "429: TAGSTREAM_RATE_LIMIT, TAGSTREAM_RATE_BURST; 503: TAGSTREAM_MAX_QUERIES, "
            "TAGSTREAM_QUERY_TIMEOUT.",
            (_ROUTE, _STATUS),
        ),
        Metric(
            "tagstream_http_request_duration_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "From a request to the end of its answer's work.",
            "More query workers; TAGSTREAM_MAX_QUERIES.",
            (_ROUTE,),
            _FAST,
        ),
    ),
    "Gateway": (
        Metric(
            "tagstream_gateway_requests_total",
            Kind.COUNTER,
            "requests",
            "Answers of the gateway, by what was called. What no route answers is `other`.",
            "420: the limits of a key in the file of credentials; 500: the gateway's log.",
            (_CALL, _STATUS),
        ),
        Metric(
            "tagstream_gateway_request_duration_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "From a call to its answer: for an upload that waits, until its tags are committed.",
            "More workers with the role tag where uploads wait; more gateways where other calls are slow.",
            (_CALL,),
            _CALLS,
        ),
        Metric(
            "tagstream_gateway_swept_objects_total",
            Kind.COUNTER,
            "objects",
            "Objects that no asset named and that were removed.",
            "Many: gateways end between bytes and event, or clients replace what they have just uploaded.",
        ),
    ),
    "Sources and trends": (
        Metric(
            "tagstream_source_outcomes_total",
            Kind.COUNTER,
            "events",
            "What was made of messages of sources' topics, as its copies were committed; one may be several.",
            "refused: the dead letters name the cure; skipped: narrow what the source sends; "
            "`tagstream sources check` shows what becomes of a message.",
            (_SOURCE_OUTCOME,),
        ),
        Metric(
            "tagstream_trends_total",
            Kind.COUNTER,
            "records",
            "Records of `image.trends` that this worker committed; one of all that have the role does.",
            "TAGSTREAM_WATCHLISTS, TAGSTREAM_TRENDS_WINDOW.",
            (_TREND_PHASE,),
        ),
        Metric(
            "tagstream_rises",
            Kind.GAUGE,
            "tags",
            "Rises that go on; told by the one that judges.",
            "As for the records.",
        ),
    ),
    "Webhooks": (
        Metric(
            "tagstream_webhook_attempts_total",
            Kind.COUNTER,
            "attempts",
            "Attempts to deliver notifications, by what became of them. Postponed: the receiver failed "
            "several times in a row and was not asked.",
            "given_up: `tagstream webhooks list` says why, `replay` sends again.",
            (_WEBHOOK_RESULT,),
        ),
        Metric(
            "tagstream_webhook_duration_seconds",
            Kind.HISTOGRAM,
            "seconds",
            "From a notification's request to its answer, or to its failure.",
            "The receiver; TAGSTREAM_WEBHOOK_TIMEOUT.",
            (),
            _FAST,
        ),
        Metric(
            "tagstream_webhooks_pending",
            Kind.GAUGE,
            "notifications",
            "Notifications of this worker's partitions that wait or are under way.",
            "A receiver that is down; TAGSTREAM_WEBHOOK_CONCURRENCY.",
        ),
        Metric(
            "tagstream_webhooks_oldest_seconds",
            Kind.GAUGE,
            "seconds",
            "Age of the oldest of them.",
            "At TAGSTREAM_WEBHOOK_BUDGET it is given up.",
        ),
        Metric(
            "tagstream_webhooks_behind_records",
            Kind.GAUGE,
            "records",
            "Results that were read and have led to no notification yet.",
            "A backlog of receivers that answer slowly.",
        ),
    ),
    "The process": (
        Metric(
            "tagstream_kafka_up",
            Kind.GAUGE,
            "0 or 1",
            "Whether a broker has answered this worker lately.",
            "The brokers, and the way to them: `tagstream doctor`.",
        ),
        Metric(
            "tagstream_findings",
            Kind.GAUGE,
            "findings",
            "What the checks of `tagstream doctor`, models apart, found when this worker made them last. "
            "With a `fail` it goes on, but its next start is refused.",
            "`tagstream doctor` names value, rule and cure; TAGSTREAM_CHECK_INTERVAL.",
            (_CHECK, _FINDING),
        ),
        Metric(
            "tagstream_restarts_total",
            Kind.COUNTER,
            "restarts",
            "Starts after an end, by how that end came, as this worker's data directory remembers them.",
            "See [operations](../operations.md#exit-codes-and-who-starts-it-again).",
            (_EXIT,),
        ),
        Metric(
            "tagstream_build_info",
            Kind.GAUGE,
            "always 1",
            "Which program runs.",
            "Upgrade those that lag behind.",
            _VERSION,
        ),
        Metric(
            "tagstream_model_info",
            Kind.GAUGE,
            "always 1",
            "Which model each add-on runs.",
            "TAGSTREAM_ADD_ONS.",
            (_ADD_ON, *_MODEL),
        ),
        Metric(
            "process_cpu_seconds_total",
            Kind.COUNTER,
            "seconds",
            "CPU time of the process. This one and those below come from prometheus-client, on Linux.",
            "TAGSTREAM_THREADS; more workers.",
        ),
        Metric(
            "process_resident_memory_bytes",
            Kind.GAUGE,
            "bytes",
            "Memory of the process.",
            "TAGSTREAM_MAX_BYTES_IN_FLIGHT; what `tagstream_state_size_bytes` tells.",
        ),
        Metric(
            "process_virtual_memory_bytes",
            Kind.GAUGE,
            "bytes",
            "Address space of the process.",
            "Nothing.",
        ),
        Metric(
            "process_start_time_seconds",
            Kind.GAUGE,
            "seconds",
            "When the process started, since the epoch.",
            "See `tagstream_restarts_total`.",
        ),
        Metric(
            "process_open_fds",
            Kind.GAUGE,
            "files",
            "Open files and connections.",
            "The machine's limit.",
        ),
        Metric(
            "process_max_fds",
            Kind.GAUGE,
            "files",
            "The most of them.",
            "The machine's limit: `ulimit -n`.",
        ),
    ),
}

METRICS: dict[str, Metric] = {metric.name: metric for section in SECTIONS.values() for metric in section}
