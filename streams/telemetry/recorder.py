"""What happens, counted and timed as it happens.

Everything is recorded in the event loop's thread. So nothing here takes a lock, and recording costs a
fraction of a microsecond; prometheus-client's own instruments take a lock, or two, each time.
"""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from streams.telemetry.metrics import METRICS, OTHER, Kind, Label, Metric

LabelValues = tuple[str, ...]


class Exemplar(NamedTuple):
    """One observation that stands for its bucket, and the trace that led to it."""

    trace_id: str
    value: float
    at: float  # seconds since the epoch


class Histogram:
    """Observations of one metric with one set of label values.

    Attributes:
        counts: How many fell in each bucket alone; the last one is beyond every bound.
        total: Their sum.
        exemplars: The latest one of each bucket that has any.
    """

    __slots__ = ("bounds", "counts", "exemplars", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0
        self.exemplars: dict[int, Exemplar] = {}

    def observe(self, value: float, trace_id: str | None = None, times: int = 1) -> None:
        """Count a value, or as many equal ones.

        Args:
            value: In the metric's unit; what is below 0 counts as 0.
            trace_id: Where the observation belongs to a trace.
            times: How many.
        """
        value = max(value, 0.0)
        bucket = bisect_left(self.bounds, value)
        self.counts[bucket] += times
        self.total += value * times
        if trace_id is not None:
            self.exemplars[bucket] = Exemplar(trace_id, value, time.time())


class Counters:
    """The counters of one metric, by label values; those of a closed single label start at 0."""

    def __init__(self, guard: "LabelGuard") -> None:
        self._guard = guard
        self.values: dict[LabelValues, float] = dict.fromkeys(guard.known(), 0.0)

    def add(self, amount: float, *labels: str) -> None:
        """Count so many more."""
        if labels not in self.values:
            labels = self._guard.closed(labels)
        self.values[labels] = self.values.get(labels, 0.0) + amount


class Histograms:
    """The histograms of one metric, by label values."""

    def __init__(self, metric: Metric, guard: "LabelGuard") -> None:
        self._bounds = metric.buckets
        self._guard = guard
        self.values = {labels: Histogram(self._bounds) for labels in guard.known()}

    def of(self, *labels: str) -> Histogram:
        """The histogram of some label values."""
        found = self.values.get(labels)
        if found is None:
            found = self.values.setdefault(self._guard.closed(labels), Histogram(self._bounds))
        return found


class LabelGuard:
    """Keeps the label values of one metric inside closed sets: nobody's input makes a time series.

    Args of the constructor: the labels; the values of those whose set is not in the list of metrics.
    """

    def __init__(self, labels: tuple[Label, ...], named: Mapping[str, frozenset[str]]) -> None:
        self._names = tuple(label.name for label in labels)
        self._sets = tuple(
            label.values if label.values is not None else named.get(label.name, frozenset())
            for label in labels
        )

    @property
    def most(self) -> int:
        """The most sets of label values that there can be."""
        product = 1
        for values in self._sets:
            product *= len(values | {OTHER})
        return product

    def known(self) -> Iterator[LabelValues]:
        """What is told from the start: the only series, or those of a single label."""
        if not self._sets:
            yield ()
        elif len(self._sets) == 1:
            yield from ((value,) for value in sorted(self._sets[0]))

    def closed(self, labels: LabelValues) -> LabelValues:
        """The values, each that is none of its set as `other`.

        Raises:
            ValueError: They are more or fewer than the labels.
        """
        if len(labels) != len(self._names):
            raise ValueError(f"{len(labels)} label values {labels!r} for the labels {self._names!r}")
        pairs = zip(labels, self._sets, strict=True)
        return tuple(value if value in values else OTHER for value, values in pairs)


class Recorder:
    """Counters and histograms of the list, by name."""

    def __init__(self, named: Mapping[str, Iterable[str]]) -> None:
        """Prepare.

        Args:
            named: The values of labels whose closed set settings decide, by label.
        """
        self._named = {label: frozenset(values) for label, values in named.items()}
        self._guards: dict[str, LabelGuard] = {}
        self.counters: dict[str, Counters] = {}
        self.histograms: dict[str, Histograms] = {}

    def name(self, label: str, values: Iterable[str]) -> None:
        """Say which values a label may have, before the first use of its metrics."""
        self._named[label] = frozenset(values)

    def guard(self, name: str) -> LabelGuard:
        """What keeps the label values of a metric closed."""
        found = self._guards.get(name)
        if found is None:
            found = self._guards[name] = LabelGuard(METRICS[name].labels, self._named)
        return found

    def counter(self, name: str) -> Counters:
        """The counters of a metric.

        Raises:
            LookupError: The list has no such counter.
        """
        _metric_of(name, Kind.COUNTER)
        return self.counters.setdefault(name, Counters(self.guard(name)))

    def histogram(self, name: str) -> Histograms:
        """The histograms of a metric.

        Raises:
            LookupError: The list has no such histogram.
        """
        metric = _metric_of(name, Kind.HISTOGRAM)
        return self.histograms.setdefault(name, Histograms(metric, self.guard(name)))


def _metric_of(name: str, kind: Kind) -> Metric:
    metric = METRICS.get(name)
    if metric is None or metric.kind is not kind:
        raise LookupError(f"{name!r} is no {kind} of streams/telemetry/metrics.py; add it there first")
    return metric
