"""A worker's telemetry without a broker: what is read of fetcher and threads, and where it listens."""

import asyncio
import contextlib

import pytest
from prometheus_client.openmetrics.exposition import generate_latest

from schemas.errors import SettingsError
from schemas.results import ModelInfo
from schemas.topics import TopicNames
from streams.app.settings import Settings
from streams.app.telemetry import WorkerTelemetry
from streams.fetch.addresses import AddressPolicy
from streams.fetch.fetcher import Fetcher, FetchLimits
from streams.tag.pool import TaggerPool

LIMITS = FetchLimits(1000, 4000, deadline=5, answer=5, concurrency=2, per_host=2)


async def test_fetcher_and_threads_are_read() -> None:
    """Memory that is taken, threads that are idle, models by add-on."""
    telemetry = WorkerTelemetry(Settings(metrics_port=0, partitions=1), TopicNames("app"))
    async with contextlib.AsyncExitStack() as stack:
        await telemetry.start(stack)
        fetcher = Fetcher(AddressPolicy.parse(""), LIMITS)
        fetcher.budget.reserve("h").expect(700)
        telemetry.read_fetcher(fetcher)
        telemetry.read_pool(TaggerPool({}, threads=3, max_batch=8))
        telemetry.read_models({"imagga_tagging": ModelInfo("lite", "1.2")})
        registry = telemetry._exposition.registry
        text = (await asyncio.to_thread(generate_latest, registry)).decode()
    assert "tagstream_fetch_memory_bytes 700.0" in text
    assert "tagstream_fetch_memory_limit_bytes 1.28e+08" in text
    assert "tagstream_circuits_open 0.0" in text
    assert "tagstream_tagger_threads 3.0" in text
    assert "tagstream_tagger_threads_busy 0.0" in text
    assert "tagstream_tagger_queue_images 0.0" in text
    assert 'tagstream_model_info{add_on="imagga_tagging",model="lite",model_version="1.2"} 1.0' in text
    assert "tagstream_batch_images_count 0.0" in text


async def test_without_a_port_nothing_is_recorded() -> None:
    """Units, threads and API are told that nobody listens."""
    telemetry = WorkerTelemetry(Settings(metrics_port=None), TopicNames("app"))
    async with contextlib.AsyncExitStack() as stack:
        await telemetry.start(stack)
        telemetry.read_models({})
    assert (telemetry.port, telemetry.units, telemetry.inferences) == (None, None, None)
    assert telemetry.queries is None


async def test_an_address_of_others_is_refused() -> None:
    """It is the operator's to change: the message names both settings."""
    telemetry = WorkerTelemetry(Settings(metrics_host="192.0.2.1", metrics_port=0), TopicNames("app"))
    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(
            SettingsError, match=r"TAGSTREAM_METRICS_HOST='192\.0\.2\.1', TAGSTREAM_METRICS_PORT=0"
        ):
            await telemetry.start(stack)
