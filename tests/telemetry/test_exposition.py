"""What Prometheus gets: both formats, exemplars where a trace is, and an answer from a worker that hangs."""

import asyncio
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import openmetrics
from prometheus_client.openmetrics import exposition as openmetrics_text
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.registry import CollectorRegistry

from streams.telemetry.exposition import PATIENCE, Exposition, Reading
from streams.telemetry.loop_lag import INTERVAL, watch_loop
from streams.telemetry.recorder import Recorder
from streams.telemetry.server import MetricsServer

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


@contextmanager
def serving(registry: CollectorRegistry) -> Iterator[str]:
    server = MetricsServer(registry)
    port = server.start("127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def get(url: str, **headers: str) -> tuple[str, str]:
    """An answer's type and text."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:  # noqa: S310
        return answer.headers["content-type"], answer.read().decode()


async def test_both_formats_are_served() -> None:
    """Text by default, OpenMetrics where it is asked for, and both can be parsed."""
    recorder = Recorder({})
    recorder.counter("tagstream_uploads_total").add(7)
    recorder.histogram("tagstream_batch_images").of().observe(8)
    with serving(Exposition(recorder).registry) as url:
        kind, text = await asyncio.to_thread(get, f"{url}/metrics")
        other, open_text = await asyncio.to_thread(get, f"{url}/metrics", **OPENMETRICS)
    assert kind.startswith("text/plain")
    assert other.startswith("application/openmetrics-text")
    families = {family.name: family for family in parse_openmetrics(open_text)}
    assert families["tagstream_uploads"].samples[0].value == 7
    buckets = {s.labels.get("le"): s.value for s in families["tagstream_batch_images"].samples}
    assert (buckets["4.0"], buckets["8.0"], buckets["+Inf"]) == (0, 1, 1)
    assert {family.name for family in parse_text(text)} >= {"tagstream_uploads", "process_cpu_seconds"}


@pytest.mark.parametrize("traced", [True, False])
async def test_exemplars_are_there_where_a_trace_is(traced: bool) -> None:  # noqa: FBT001 - a case
    """An observation of a traced upload names its trace, in OpenMetrics; of others nothing is made up."""
    recorder = Recorder({})
    latency = recorder.histogram("tagstream_e2e_latency_seconds").of()
    latency.observe(0.3, TRACE if traced else None)
    text = openmetrics_text.generate_latest(Exposition(recorder).registry).decode()
    (family,) = [f for f in parse_openmetrics(text) if f.name == "tagstream_e2e_latency_seconds"]
    exemplars = {s.labels["le"]: s.exemplar for s in family.samples if s.exemplar}
    if traced:
        assert exemplars.keys() == {"0.5"}
        assert (exemplars["0.5"].labels, exemplars["0.5"].value) == ({"trace_id": TRACE}, 0.3)
    else:
        assert exemplars == {}


async def test_readings_are_made_in_the_event_loop() -> None:
    """Where nothing changes meanwhile, whoever collects; values beyond a closed set are told as `other`."""
    threads: list[int] = []

    def readings() -> Iterator[Reading]:
        threads.append(threading.get_ident())
        yield Reading("tagstream_partition_lag_records", 5, ("0",))
        yield Reading("tagstream_partition_lag_records", 6, ("img-1",))

    exposition = Exposition(Recorder({"partition": ["0"]}))
    exposition.read(readings)
    with serving(exposition.registry) as url:
        _, text = await asyncio.to_thread(get, f"{url}/metrics")
    assert threads == [threading.get_ident()]
    assert 'tagstream_partition_lag_records{partition="0"} 5.0' in text
    assert 'tagstream_partition_lag_records{partition="other"} 6.0' in text


async def test_a_stuck_event_loop_leaves_its_readings_out() -> None:
    """What was recorded is told all the same, in time for Prometheus, which waits for 10 s."""
    recorder = Recorder({})
    recorder.counter("tagstream_results_total").add(1)
    exposition = Exposition(recorder)
    exposition.read(lambda: [Reading("tagstream_circuits_open", 1)])
    answers: list[str] = []
    with serving(exposition.registry) as url:
        asking = threading.Thread(target=lambda: answers.append(get(f"{url}/metrics")[1]))
        asking.start()
        asking.join(PATIENCE + 5)  # in the event loop's thread: it is stuck as long
    assert "tagstream_results_total 1.0" in answers[0]
    assert "tagstream_circuits_open" not in answers[0]


async def test_only_metrics_are_served() -> None:
    """Another path says where they are."""
    with serving(Exposition(Recorder({})).registry) as url, pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(get, f"{url}/koala")
    assert caught.value.code == 404
    assert b"/metrics" in caught.value.read()


async def test_the_event_loops_lag_is_recorded() -> None:
    """A loop that was held up for longer than its timer shows it."""
    recorder = Recorder({})
    watching = asyncio.create_task(watch_loop(recorder))
    await asyncio.sleep(0)
    time.sleep(INTERVAL + 0.2)  # noqa: ASYNC251 - the fault that is to be seen
    lag = recorder.histogram("tagstream_event_loop_lag_seconds").of()
    async with asyncio.timeout(5):
        while not sum(lag.counts):
            await asyncio.sleep(0.01)
    watching.cancel()
    assert lag.total >= 0.2


def test_openmetrics_is_what_the_library_knows() -> None:
    """The content type is the library's: nothing of the format is written by hand."""
    assert openmetrics.exposition.CONTENT_TYPE_LATEST.startswith("application/openmetrics-text")
