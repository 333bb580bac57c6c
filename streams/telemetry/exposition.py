"""From what was recorded, and what is read now, to what Prometheus takes."""

import asyncio
import concurrent.futures
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as Sample

from streams.telemetry.metrics import METRICS, Kind, Metric
from streams.telemetry.recorder import Histogram, LabelValues, Recorder

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds that the event loop has to read what is read now
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
Values = dict[LabelValues, float]
Bucket = tuple[str, float] | tuple[str, float, Sample]
_UNITS = {"seconds", "bytes"}


class Reading(NamedTuple):
    """What a gauge, or a counter that is kept elsewhere, says now."""

    name: str
    value: float
    labels: LabelValues = ()


ReadsNow = Callable[[], Iterable[Reading]]


class Exposition(Collector):
    """All metrics of a worker. Collected in any thread.

    Readings are made in the event loop's thread, where nothing changes meanwhile. If it does not get to that
    in time they are left out, and what was recorded is told all the same: above all the loop's lag.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._sources: list[ReadsNow] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)

    def read(self, source: ReadsNow) -> None:
        """Ask a source whenever somebody collects, in the event loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._sources.append(source)

    def describe(self) -> Iterator[Family]:
        """Nothing: what there is, is known when it is collected."""
        return iter(())

    def collect(self) -> Iterator[Family]:
        """Every metric that has a value."""
        for name, counters in list(self._recorder.counters.items()):
            yield _simple(METRICS[name], dict(counters.values))
        for name, histograms in list(self._recorder.histograms.items()):
            yield _histogram(METRICS[name], dict(histograms.values))
        for name, values in self._readings().items():
            yield _simple(METRICS[name], values)

    def _readings(self) -> dict[str, Values]:
        if self._loop is None or self._loop.is_closed():
            return {}
        answer: concurrent.futures.Future[dict[str, Values]] = concurrent.futures.Future()
        try:
            self._loop.call_soon_threadsafe(self._read_into, answer)
            return answer.result(PATIENCE)
        except (TimeoutError, RuntimeError):
            log.warning("the event loop did not read its gauges within %g s", PATIENCE)
            return {}

    def _read_into(self, answer: "concurrent.futures.Future[dict[str, Values]]") -> None:
        try:
            answer.set_result(self.read_now())
        except Exception as error:  # noqa: BLE001 - whoever collects shall hear of it
            answer.set_exception(error)

    def read_now(self) -> dict[str, Values]:
        """What every source says, by metric; in the event loop's thread."""
        found: dict[str, Values] = defaultdict(dict)
        for source in self._sources:
            for name, value, labels in source():
                found[name][self._recorder.guard(name).closed(labels)] = value
        return found


def _simple(metric: Metric, values: Values) -> CounterMetricFamily | GaugeMetricFamily:
    kind = CounterMetricFamily if metric.kind is Kind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.meaning, labels=_names(metric), unit=_unit(metric))
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(metric: Metric, values: dict[LabelValues, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.meaning, labels=_names(metric), unit=_unit(metric))
    for labels, histogram in values.items():
        family.add_metric(labels, list(_buckets(histogram)), histogram.total)
    return family


def _buckets(histogram: Histogram) -> Iterator[Bucket]:
    count = 0
    bounds = (*histogram.bounds, float("inf"))
    for number, (bound, more) in enumerate(zip(bounds, tuple(histogram.counts), strict=True)):
        count += more
        seen = histogram.exemplars.get(number)
        if seen is None:
            yield _le(bound), count
        else:
            yield _le(bound), count, Sample({"trace_id": seen.trace_id}, seen.value, seen.at)


def _le(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)


def _names(metric: Metric) -> list[str]:
    return [label.name for label in metric.labels]


def _unit(metric: Metric) -> str:
    return metric.unit if metric.unit in _UNITS else ""
