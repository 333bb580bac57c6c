"""A worker's own metrics: real process, real broker, and what an independent client finds in its topics."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from prometheus_client import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from support.cluster import Cluster, free_port
from support.fault_cases import PHOTO, STUB, log_of, status, uploads

from schemas.uploads import UploadData
from streams.telemetry.metrics import METRICS, OTHER, Kind, reason_label

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(240)]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
# Not of the stub, of other roles, of other upload topics.
OTHERS = (
    *("tagstream_tagger_", "tagstream_gateway_", "tagstream_webhooks_", "tagstream_repartition_"),
    "tagstream_rises",
)
GIVEN = ("secret-", "image-", "person-", "10.1.2.3", "host-7", "koala", "event-")  # by publishers and callers
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def cluster(kafka: str, unique: str, tmp_path: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster(kafka, unique, tmp_path, environment=dict(STUB))
    try:
        yield cluster
    finally:
        await cluster.close()


async def families(cluster: Cluster, worker: int = 0) -> dict[str, Family]:
    """What a worker tells in OpenMetrics, by the names of the list."""
    text = await cluster.metrics(worker, OPENMETRICS)
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(text)
    }


def values(family: Family, suffix: str = "") -> dict[tuple[str, ...], float]:
    """What a family's samples say that are no zero, by their label values."""
    named = [sample for sample in family.samples if sample.name.endswith(suffix)]
    return {tuple(sample.labels.values()): sample.value for sample in named if sample.value}


def bad_uploads() -> list[UploadData]:
    """Uploads that become dead letters, with hosts, images and users that no label may name."""
    return [
        UploadData(public_id=f"secret-{n}", event_id=f"bad-{n}", user_id=f"person-{n}", url=url)
        for n, url in enumerate(
            [
                "http://10.1.2.3/a.jpg",
                "http://127.0.0.1:1/b.jpg",
                "data:application/json,[]",
                "ftp://host-7/c",
            ]
        )
    ]


async def check_counts(cluster: Cluster, told: dict[str, Family], events: int) -> None:
    """Each counter is what the topics hold."""
    letters = [dict(letter.headers) for letter in await cluster.read(cluster.names.dead_letters)]
    reasons = Counter(reason_label(letter["tagstream.reason"].decode()) for letter in letters)
    results = await cluster.results()
    assert values(told["tagstream_uploads_total"]) == {(): events}
    assert values(told["tagstream_results_total"]) == {(): len(results)}
    assert values(told["tagstream_tag_updates_total"]) == {
        (): len(await cluster.read(cluster.names.tag_updates))
    }
    assert values(told["tagstream_dead_letters_total"]) == {(reason,): n for reason, n in reasons.items()}
    assert values(told["tagstream_outcomes_total"]) == {
        ("tagged",): len(results),
        ("rejected",): len(letters),
    }
    assert values(told["tagstream_e2e_latency_seconds"], "_count") == {(): len(results)}


def check_list(told: dict[str, Family]) -> None:
    """What is told is in the list, as it is there; what is in the list is told."""
    assert told.keys() == {name for name in METRICS if not name.startswith(OTHERS)}
    for name, family in told.items():
        metric = METRICS[name]
        assert family.type == metric.kind
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert labels <= {label.name for label in metric.labels}
        if metric.kind is Kind.HISTOGRAM:
            assert {sample.labels["le"] for sample in family.samples if "le" in sample.labels} == {
                *map(str, metric.buckets),
                "+Inf",
            }


def check_labels(told: dict[str, Family], partitions: int) -> None:
    """Label values are of closed sets; nothing of an upload is among them."""
    closed = {"partition": set(map(str, range(partitions)))}
    for name, family in told.items():
        for sample in family.samples:
            for label in METRICS[name].labels:
                allowed = label.values or closed.get(label.name)
                assert allowed is None or sample.labels[label.name] in allowed | {OTHER}
    text = {
        value for family in told.values() for sample in family.samples for value in sample.labels.values()
    }
    assert not {value for value in text if any(given in value for given in GIVEN)}


async def test_counters_are_what_the_topics_hold(cluster: Cluster) -> None:
    """Results, updates and dead letters by reason; rows and lag; questions by route; a kill, by its name."""
    await cluster.start(0)
    await cluster.until_ready([0])
    good, bad = uploads(range(20)), bad_uploads()
    await cluster.publish([*good, *bad])
    traced = b'{"public_id": "traced", "url": "%s", "auto_tagging": 0.5}' % PHOTO.encode()
    header = ("traceparent", f"00-{TRACE}-00f067aa0ba902b7-01".encode())
    await cluster.publish_raw([(b"traced", traced, [header])])
    events = len(good) + len(bad) + 1
    await cluster.until_folded(events)
    for path in ("/images/image-1", "/images/secret-9", "/koala-of-person-1"):
        await cluster.get(0, path)
    told = await families(cluster)
    check_list(told)
    check_labels(told, cluster.partitions)
    await check_counts(cluster, told, events)
    check_readings(told, cluster)
    exemplars = {s.exemplar.labels["trace_id"] for f in told.values() for s in f.samples if s.exemplar}
    assert exemplars == {TRACE}
    await cluster.kill(0)
    await cluster.start(0)
    await cluster.until_ready([0])
    assert values((await families(cluster))["tagstream_restarts_total"]) == {("killed",): 1}


def check_readings(told: dict[str, Family], cluster: Cluster) -> None:
    """What is read when somebody asks."""
    everywhere = {(str(partition),): 1 for partition in range(cluster.partitions)}
    assert values(told["tagstream_partition_ready"]) == everywhere
    assert values(told["tagstream_partitions_owned"]) == {(): cluster.partitions}
    assert values(told["tagstream_partition_lag_records"]) == {}
    assert values(told["tagstream_partition_lag_seconds"]) == {}
    assert values(told["tagstream_state_complete"]) == {(): 1}
    assert values(told["tagstream_state_rows"])["images",] == 21
    assert values(told["tagstream_state_size_bytes"])["images",] > 21 * 50
    requests = values(told["tagstream_http_requests_total"])
    assert requests["/images/{public_id}", "200"] == 1
    assert requests["/images/{public_id}", "404"] == 1
    assert requests[OTHER, "404"] == 1
    assert {route for route, _ in requests} == {"/readyz", "/images/{public_id}", OTHER}
    assert values(told["tagstream_transactions_total"]).keys() == {("committed",)}
    assert values(told["tagstream_restarts_total"]) == {}
    assert values(told["tagstream_build_info"]) != {}


async def test_what_would_refuse_the_next_start_is_told(cluster: Cluster) -> None:
    """A topic's configuration goes wrong, and right again, while the worker runs; what it says follows."""
    cluster.environment |= {"TAGSTREAM_CHECK_INTERVAL": "0.2"}
    await cluster.start(0)
    await cluster.until_ready([0])
    await until_found(cluster, ("cleanup.policy", "fail"), 0)
    topic = cluster.names.changelog("images")
    right = cluster.names.configs[topic]
    await alter(cluster, topic, {**right, "cleanup.policy": "compact,delete", "retention.ms": "60000"})
    await until_found(cluster, ("cleanup.policy", "fail"), 1)
    assert (await status(cluster, 0)) == (200, "ready")
    assert 'check="other"' not in await cluster.metrics(0)
    await alter(cluster, topic, right)
    await until_found(cluster, ("cleanup.policy", "fail"), 0)
    assert await cluster.stop(0) == 0
    await cluster.start(0)
    await cluster.until_ready([0])
    restored = values((await families(cluster))["tagstream_snapshots_total"])
    assert restored == {("restored",): cluster.partitions}


async def alter(cluster: Cluster, topic: str, config: dict[str, str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    finally:
        await admin.close()


async def until_found(cluster: Cluster, wanted: tuple[str, str], count: float) -> None:
    async with asyncio.timeout(30):
        while True:
            told = (await families(cluster)).get("tagstream_findings")
            if told and {tuple(one.labels.values()): one.value for one in told.samples}[wanted] == count:
                return
            await asyncio.sleep(0.1)


async def test_a_port_that_is_taken_stops_nobody(cluster: Cluster) -> None:
    """Two workers with one port: the second one works without metrics, and says so. Empty: none, silently."""
    cluster.metrics_ports = dict.fromkeys(range(2), free_port())
    await cluster.start(0)
    await cluster.until_ready([0])
    await cluster.start(1)
    async with asyncio.timeout(60):
        while (await status(cluster, 1))[1] != "ready":
            await asyncio.sleep(0.2)
    assert "no metrics: TAGSTREAM_METRICS_HOST='127.0.0.1', TAGSTREAM_METRICS_PORT=" in log_of(cluster, 1)
    assert "tagstream_build_info" in await cluster.metrics(0)
    cluster.environment["TAGSTREAM_METRICS_PORT"] = ""
    assert [await cluster.stop(0), await cluster.stop(1)] == [0, 0]
    await cluster.start(0)
    await cluster.until_ready([0])
    with pytest.raises(httpx.ConnectError):
        await cluster.metrics(0)
